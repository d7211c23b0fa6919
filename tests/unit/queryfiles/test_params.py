"""Parameter values from Python and from the command line."""

from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup

from posthog_events.errors import ParameterError
from posthog_events.queryfiles.model import Param, Step
from posthog_events.queryfiles.params import coerce, coerce_all

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TOKYO = ZoneInfo("Asia/Tokyo")


def given(kind: str, raw: object, **more: object) -> object:
    return coerce(Param("p", kind, **more), raw, now=NOW, tz=TOKYO)


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("event", "$pageview", "$pageview"),
        ("event", "it's {x} \\", "it's {x} \\"),
        ("text", "", ""),
        ("text", " kept as it is ", " kept as it is "),
        ("property", "person.plan", "person.plan"),
        ("int", "-12", -12),
        ("int", 2**64 - 1, 2**64 - 1),
        ("float", "1e3", 1000.0),
        ("float", 2, 2.0),
        ("bool", "Yes", True),
        ("bool", "0", False),
        ("when", "-7d", datetime(2026, 3, 3, 12, tzinfo=UTC)),
        ("when", "2026-03-01", datetime(2026, 3, 1, tzinfo=TOKYO)),
        ("when", "2026-03-01T00:00:00Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("when", datetime(2026, 3, 1, 9), datetime(2026, 3, 1, tzinfo=UTC)),
        ("when", date(2026, 3, 1), datetime(2026, 2, 28, 15, tzinfo=UTC)),
        ("when", "all", None),
        ("duration", "14d", 1_209_600),
        ("duration", "1h 30min", 5_400),
        ("duration", "2w", 1_209_600),
        ("duration", timedelta(hours=36), 129_600),
        ("list[int]", "1, 2,3", [1, 2, 3]),
        ("list[text]", '["a,b", "c"]', ["a,b", "c"]),
        ("list[text]", "", []),
        ("list[event]", ("a", "b"), ["a", "b"]),
        ("list[when]", ["2026-03-01"], [datetime(2026, 3, 1, tzinfo=TOKYO)]),
        ("steps", "signup,purchase", [Step("signup", name="signup"), Step("purchase", name="purchase")]),
        ("steps", '[{"event": "a, b", "name": "First"}]', [Step("a, b", name="First")]),
        ("steps", "{event: a}", [Step("a", name="a")]),
        ("steps", [MappingProxyType({"event": "a"}), Step("b", name="B")], [Step("a", name="a"), Step("b", name="B")]),
    ],
)
def test_a_value_is_converted_to_its_type(kind, raw, expected):
    """Text from a command line and Python values mean the same."""
    value = given(kind, raw)

    assert expected == value
    assert type(expected) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw", "message"),
    [
        ("event", " ", "an empty text names nothing"),
        ("event", 3, "3 is not text"),
        ("text", "\ud800", "not valid Unicode"),
        ("text", None, "None is not text"),
        ("property", "a..b", "is not a property"),
        ("int", "1.5", "not a whole number"),
        ("int", True, "not a whole number"),
        ("int", 2**64, "64 bits"),
        ("float", "nan", "not a finite number"),
        ("float", "1,5", "not a number"),
        ("float", 10**400, "not a number"),
        ("bool", 1, "neither true nor false"),
        ("bool", "maybe", "neither true nor false"),
        ("when", "yesterday", "is not a moment"),
        ("when", "2026-02-30", "does not exist"),
        ("when", 5, "is not text"),
        ("duration", "30m", "write 30min"),
        ("duration", "90", "write 14d"),
        ("duration", 90, "write 14d"),
        ("duration", "0d", "longer than nothing"),
        ("duration", timedelta(milliseconds=1500), "whole number of seconds"),
        ("list[int]", "1,x,y", "element 2: 'x' is not a whole number"),
        ("list[int]", "[1, 2", "not YAML"),
        ("list[int]", 5, "is not a list"),
        ("list[text]", b"ab", "is not a list"),
        ("list[text]", {"a": 1}, "is not a list"),
        ("steps", "a,,b", "element 2: an empty text names nothing"),
        ("steps", [{"evnt": "a"}], "`evnt` is not part of a step; did you mean `event`?"),
        ("steps", [{"where": "a = 1"}], "a step needs an `event`"),
        ("choice", "wek", "is not one of day, week; did you mean `week`?"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(kind, raw, message):
    """The message begins with the parameter's name and says what would fit."""
    with pytest.raises(ParameterError) as caught:
        given(kind, raw, choices=("day", "week"))

    assert str(caught.value).startswith("`p`: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "raw", "bounds", "message"),
    [
        ("int", 4, {"min": 5}, "4 is too little; the least is 5"),
        ("float", "2.5", {"max": 2}, "2.5 is too much; the most is 2"),
        ("duration", "2d", {"max": 86_400}, "172800 seconds is too much"),
        ("steps", "a", {"min": 2}, "1 steps is too little"),
        ("list[int]", "1,2,3", {"max": 2}, "3 elements is too much"),
    ],
)
def test_bounds_hold_for_numbers_durations_and_lengths(kind, raw, bounds, message):
    """What a bound means depends on the type."""
    with pytest.raises(ParameterError, match=message):
        given(kind, raw, **bounds)


def test_all_faults_of_a_call_are_reported_at_once():
    """Unknown, missing and wrong parameters stand in one error."""
    params = {
        "event": Param("event", "event", description="what to count"),
        "since": Param("since", "when", default="-7d", required=False),
        "steps": Param("steps", "list[int]"),
    }

    with pytest.raises(ParameterError) as caught:
        coerce_all(params, {"sinse": "-1d", "since": "soon", "steps": "1,a,b"}, now=NOW, tz=TOKYO)

    messages = [fault.message for fault in caught.value.faults]
    assert "there is no parameter `sinse`; did you mean `since`? (there are event, since, steps)" == messages[0]
    assert "`event` is missing; its type is event: what to count" == messages[1]
    assert "`since`: 'soon' is not a moment." in messages[2]
    assert [
        "`steps`: element 2: 'a' is not a whole number",
        "`steps`: element 3: 'b' is not a whole number",
    ] == messages[3:]


def test_defaults_are_converted_like_given_values():
    """A relative default is counted from the given moment; an optional parameter without one is None."""
    params = {
        "since": Param("since", "when", default="-7d", required=False),
        "plan": Param("plan", "text", required=False),
    }

    values = coerce_all(params, {}, now=NOW, tz=TOKYO)

    assert {"since": datetime(2026, 3, 3, 12, tzinfo=UTC), "plan": None} == values


def test_none_is_a_value_of_optional_parameters_only():
    """Python's None leaves an optional parameter out; a required one refuses it."""
    assert given("int", None, required=False) is None
    with pytest.raises(ParameterError, match="None is not a whole number"):
        given("int", None)


def test_text_subclasses_arrive_as_plain_text():
    """Markup, whose operators behave differently, keeps nothing of that."""
    value = given("text", Markup("<b>"))

    assert "<b>" == value
    assert type(value) is str


def test_a_long_value_is_cut_in_the_message():
    """A fault fits on a line however long the value is."""
    with pytest.raises(ParameterError) as caught:
        given("int", "9" * 5000)

    assert len(str(caught.value)) < 120
