"""How bound values go to PostHog, and how positions come back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from posthog_events.errors import HogQLError, UnresolvedName
from posthog_events.posthog.statement import prepare
from posthog_events.result import Query, Value

NOON = datetime(2026, 3, 29, 12, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "zone", "hogql", "values"),
    [
        ("it's {x}", "UTC", "SELECT {v}", {"v": "it's {x}"}),
        (7, "UTC", "SELECT {v}", {"v": 7}),
        (True, "UTC", "SELECT {v}", {"v": True}),
        (None, "UTC", "SELECT {v}", {"v": None}),
        (1.5, "UTC", "SELECT {v}", {"v": 1.5}),
        (float("nan"), "UTC", "SELECT NaN", {}),
        (float("-inf"), "UTC", "SELECT -Inf", {}),
        (["a", "b"], "UTC", "SELECT [{v__0}, {v__1}]", {"v__0": "a", "v__1": "b"}),
        ([], "UTC", "SELECT []", {}),
        (date(2026, 1, 2), "UTC", "SELECT toDate({v})", {"v": "2026-01-02"}),
        (NOON, "UTC", "SELECT toDateTime64({v}, 6, 'UTC')", {"v": "2026-03-29 12:00:00.000005"}),
        (
            NOON.astimezone(ZoneInfo("Asia/Tokyo")),
            "Europe/Berlin",
            "SELECT toTimeZone(toDateTime64({v}, 6, 'UTC'), 'Europe/Berlin')",
            {"v": "2026-03-29 12:00:00.000005"},
        ),
    ],
    ids=["text", "int", "bool", "null", "float", "nan", "inf", "list", "empty", "date", "utc", "zone"],
)
def test_value_is_written_over_plain_json(value: Value, zone: str, hogql: str, values: dict[str, object]) -> None:
    """JSON has the plain values; everything else is HogQL around plain values, in the project's zone."""
    statement = prepare(Query("SELECT {v}", {"v": value}), timezone=zone)

    assert (hogql, values) == (statement.hogql, dict(statement.values))


def test_text_in_quotes_and_comments_is_left_alone() -> None:
    """Braces inside a string, a comment or `{filters}` are no placeholders of ours."""
    text = "SELECT '{v}' /* {v} */ FROM events WHERE {filters} AND {filters.dateRange.from} < {v} -- {v}"

    statement = prepare(Query(text, {"v": NOON}), timezone="UTC")

    assert text.replace("< {v}", "< toDateTime64({v}, 6, 'UTC')") == statement.hogql


def test_variables_become_values() -> None:
    """The API wants a variable's id in the project; as a value it needs none."""
    statement = prepare(Query("SELECT {variables.plan}", variables={"plan": "pro"}), timezone="UTC")

    assert ("SELECT {variables__plan}", {"variables__plan": "pro"}) == (statement.hogql, dict(statement.values))


@pytest.mark.parametrize(
    ("query", "kind", "message"),
    [
        (Query("SELECT {a}", {"b": 1}), UnresolvedName, r"Unresolved placeholder: \{a\}. Values were given for: b"),
        (Query("SELECT {a.b}", {"a": 1}), UnresolvedName, r"Unresolved placeholder: \{a.b\}"),
        (Query("SELECT {variables.x}"), UnresolvedName, "Variable x is missing from query"),
        (Query("SELECT {a}", {"a": datetime(2026, 1, 1)}), HogQLError, "a datetime without a time zone"),
        (Query("SELECT {a}", {"a": {1}}), HogQLError, "of type set, which HogQL cannot express"),  # type: ignore[dict-item]
        (Query("SELECT {variables}", {"variables": 1}), HogQLError, r"PostHog keeps the name \{variables\} for itself"),
    ],
    ids=["missing", "chain", "variable", "naive", "type", "reserved"],
)
def test_value_that_cannot_be_sent_is_refused_with_its_place(
    query: Query, kind: type[HogQLError], message: str
) -> None:
    """Before anything is sent, the placeholder is pointed at."""
    with pytest.raises(kind, match=message) as caught:
        prepare(query, timezone="UTC")
    assert (1, 8) == (caught.value.line, caught.value.column)


def test_positions_in_the_sent_text_lead_back_to_the_query() -> None:
    """However placeholders grew, every unchanged character is found again at its own place."""
    text = "SELECT {a}, x FROM events WHERE t > {b} AND y"
    statement = prepare(Query(text, {"a": NOON, "b": ["p", "q"]}), timezone="UTC")

    for name in ("x FROM", "WHERE", "AND y"):
        assert text.index(name) == statement.original(statement.hogql.index(name))
    inside = statement.hogql.index("{b__0}")
    assert text.index("{b}") == statement.original(inside)


def test_names_that_lists_take_do_not_hide_other_values() -> None:
    """A list's elements get names of their own; a value that has such a name already keeps it."""
    query = Query("SELECT {a__0}, {a}", {"a": ["x"], "a__0": "y"})

    statement = prepare(query, timezone="UTC")

    assert ("SELECT {a__0}, [{a__0_}]", {"a__0": "y", "a__0_": "x"}) == (statement.hogql, dict(statement.values))
