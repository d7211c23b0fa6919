"""Templates of inputs (reference 2.3 and 2.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from posthog_events.errors import HogError
from posthog_events.hog.template import parse_template, render_inputs

GLOBALS: dict[str, Any] = {
    "event": {
        "uuid": "0198f2a4",
        "event": "purchase",
        "distinct_id": "u_1",
        "timestamp": "2026-08-20T10:15:30.123Z",
        "properties": {
            "amount": 12.0,
            "ratio": 0.1,
            "plan-name": "pro plan",
            "$session_id": "s1",
            "tags": ["a", 1, None, True],
            "address": {"city": "Berlin", "o'clock": 5},
            "ok": True,
            "off": False,
            "nothing": None,
            "empty": "",
        },
    },
    "person": None,
    "groups": {},
    "inputs": {"key": "k"},
}


def rendered(source: str) -> Any:
    return parse_template(source, clock=lambda: datetime(2026, 1, 31, 8, 5, 9, tzinfo=UTC)).render(GLOBALS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # text, and what stands for itself
        ("", ""),
        ("plain", "plain"),
        (r"\{event.event}", "{event.event}"),
        ("a } b", "a } b"),
        (r"line\nbreak\ttab", "line\nbreak\ttab"),
        (r"a\\nb \\{event}", r"a\nb \{event}"),
        (r"it's \"quoted\" \x41", r"it's \"quoted\" \x41"),
        # one expression keeps its type
        ("{event.properties.amount}", 12),
        ("{event.properties.ratio}", 0.1),
        ("{event.properties.ok}", True),
        ("{event.properties.nothing}", None),
        ("{event.properties.missing.deep}", None),
        ("{person}", None),
        ("{person.properties.email}", None),
        ("{event.properties.address}", {"city": "Berlin", "o'clock": 5}),
        ("{event.properties.tags}", ["a", 1, None, True]),
        # mixed with text it becomes text
        (" {event.properties.amount}", " 12"),
        ("{event.properties.amount}{event.properties.ratio}", "120.1"),
        ("<{event.properties.nothing}>", "<>"),
        ("<{event.properties.missing}{person.name}>", "<>"),
        ("{event.properties.ok} {event.properties.off}", "true false"),
        ("it: {event.properties.tags}", "it: ['a', 1, null, true]"),
        ("it: {event.properties.address}", r"it: {'city': 'Berlin', 'o\'clock': 5}"),
        ("it: {jsonStringify(event.properties.address)}", """it: {"city":"Berlin","o'clock":5}"""),
        # access
        ("{event.properties['plan-name']}", "pro plan"),
        ("{event.properties.$session_id}", "s1"),
        ("{event.properties.tags[1]}", "a"),
        ("{event.properties.tags[-1]}", True),
        ("{event.properties.tags[9]}", None),
        ("{event.properties.tags.2}", 1),
        ("{event.event.length}", 8),
        ("{event?.properties?.amount}", 12),
        ("{inputs.key}", "k"),
        # choices
        ("{event.properties.nothing ?? 'free'}", "free"),
        ("{event.properties.empty ?? 'free'}", ""),
        ("{event.properties.off ? 1 : 2}", 2),
        ("{if(event.properties.amount > 10, 'big', upper(null))}", "big"),
        ("{if(false, 1)}", None),
        ("{multiIf(1 = 2, 'a', 2 = 2, 'b', 'c')}", "b"),
        ("{case when 1 = 2 then 'a' else 'c' end}", "c"),
        # arithmetic is JavaScript's
        ("{event.properties.amount * 2 + 1}", 25),
        ("{1 + '2'}", 3),
        ("{null + 1}", 1),
        ("{'a' + 1} x", "NaN x"),
        ("{7 % 4}{-7 % 4}{7 / 2}", "3-33.5"),
        ("{1 / 0} {-1 / 0} {0 / 0}", "Infinity -Infinity NaN"),
        ("{1e21} {1e-7} {0.1 + 0.2} {12345678901234567890}", "1e+21 1e-7 0.30000000000000004 12345678901234567000"),
        # comparison coerces
        ("{'5' = 5} {true = 'true'} {'true' = true} {'yes' = true}", "true true true false"),
        ("{1 = true} {null = 0} {5 != '5'} {false = 'no'}", "true false false true"),
        ("{'10' < '9'} {'10' < 9} {null < 5} {'b' > 'a'}", "true false true true"),
        ("{5 between 1 and 5} {5 not between 1 and 4}", "true true"),
        ("{'a' in ('a', 'b')} {5 in ['5']} {5 not in [1]}", "true false true"),
        ("{'Abc' like 'b'} {'Abc' ilike 'B%'} {'abc' =~ '^a'} {'abc' !~* '^B'}", "true true true true"),
        ("{event.properties.nothing is null} {event.event is not null}", "true true"),
        ("{not 0} {not ''} {not []} {not null}", "true true false true"),
        ("{1 and 'x'} {0 or ''} {1 or 0}", "true false true"),
        # literals
        ("{[1, 'a', [2]]}", [1, "a", [2]]),
        ("{(1, 2)} {tuple(1)}", "(1, 2) tuple(1)"),
        ("{{'a': 1, 'b': event.event}}", {"a": 1, "b": "purchase"}),
        ("{'a' || 1 || null}", "a1"),
        ("{f'<{event.event}>'}", "<purchase>"),
        ("{'}'}{/* } */ 1}", "}1"),
        ("{arrayMap(x -> x * 2, [1, 2])}", [2, 4]),
        ("{arrayMap(x -> concat(event.event, x), ['!'])}", ["purchase!"]),
        # moments
        ("{now()} x", "2026-01-31T08:05:09.000Z x"),
        ("{toDateTime('2026-08-20')}", {"__hogDateTime__": True, "dt": 1787184000, "zone": "UTC"}),
        ("{today()} x", "2026-01-31 x"),
    ],
)
def test_template_renders_as_in_posthog(source: str, expected: Any) -> None:
    """Values, coercions and texts are those of PostHog's virtual machine."""
    value = rendered(source)

    assert (expected, type(expected)) == (value, type(value))


@pytest.mark.parametrize("name", ["distinct_id", "properties", "timestamp", "record", "Event"])
def test_unknown_global_says_that_deliveries_are_lost(name: str) -> None:
    """PostHog saves a name that stands for nothing and then fails for every event."""
    template = parse_template(f"{{{name}}}", where="inputs.body")

    with pytest.raises(HogError, match=f"inputs.body: there is no global `{name}`.*deliveries are lost"):
        template.render(GLOBALS)


def test_known_names_are_offered_with_their_place() -> None:
    """The common mistake of a public recipe leads to the right name."""
    with pytest.raises(HogError, match=r"Write \{event\.distinct_id\}"):
        rendered("{distinct_id}")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ event.event }}", "one pair of braces"),
        ("{event.event", "never closed"),
        ("{", "never closed"),
        ("{}", "braces are empty"),
        ("{ }", "braces are empty"),
        ("{1 +}", "no Hog expression"),
        ("{select 1}", "no Hog expression"),
        ("{(select 1)}", "SELECT"),
        ("{nosuch(1)}", r"nosuch\(\): PostHog has none such"),
        ("{fetch('x')}", r"fetch\(\): PostHog has it"),
        ("{UPPER('x')}", "case-sensitive"),
        ("{upper()}", "takes 1 arguments, not 0"),
        ("{count(distinct event.event)}", "no aggregates"),
        ("{event.properties.tags[0]}", "start from index 1"),
        ("{*}", "`*`"),
        ("{event::String}", "type cast"),
        ("{1 in cohort 5}", "cohorts"),
    ],
)
def test_what_cannot_be_compiled_is_refused(source: str, says: str) -> None:
    """A template that PostHog would not save, or that cannot run here, names the reason before any event."""
    with pytest.raises(HogError, match=says) as caught:
        parse_template(source, where="inputs.text")

    assert "inputs.text" == caught.value.where


@pytest.mark.parametrize(
    "source",
    [
        "{upper(event.properties.missing)}",
        "{1 = 1 or upper(null) = ''}",  # nothing is skipped
        "{1 = 2 and nowhere}",
        "{5 in null}",
        "{length(null)}",
        "{formatDateTime(event.timestamp, '%Y')}",
        "{toDateTime('soon')} x",
        "{x -> x}",
        "{upper} x",
        "{jsonParse('{')}",
    ],
)
def test_what_fails_at_run_time_is_a_hog_error(source: str) -> None:
    """A delivery that PostHog would lose is an error with a place, never a traceback of another kind."""
    template = parse_template(source, where="inputs.text")

    with pytest.raises(HogError, match=r"inputs\.text: "):
        template.render(GLOBALS)


def test_long_templates_and_strings_with_braces_find_their_ends() -> None:
    """The end of an expression is found behind strings of any length."""
    long = "}" * 3000

    assert f"<{long}>!" == rendered(f"<{{'{long}'}}>!")


def test_inputs_are_rendered_through_json() -> None:
    """Texts inside lists and objects are templates; keys and other values stay."""
    inputs = {"body": {"{event}": "{event.event}", "list": ["{1}", 5, None]}, "debug": False}

    assert {"body": {"{event}": "purchase", "list": [1, 5, None]}, "debug": False} == render_inputs(inputs, GLOBALS)


def test_failing_input_is_named_by_its_path() -> None:
    """An error inside an input says where in it."""
    with pytest.raises(HogError) as caught:
        render_inputs({"body": {"list": ["ok", "{nope}"]}}, GLOBALS)

    assert "inputs.body.list[1]" == caught.value.where


def test_constant_templates_are_known() -> None:
    """Whoever renders many events can tell what never changes."""
    assert [True, False] == [parse_template(source).constant for source in (r"a \{b}", "{event}")]
