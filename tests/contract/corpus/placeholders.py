"""Values, `{filters}`, `{variables}` (reference 2.10) and cohorts (2.11)."""

from __future__ import annotations

from typing import Any

from posthog_events.errors import HogQLError, UnresolvedName, UnsupportedHogQL
from tests.contract.corpus.cases import Case, refused, rows, value

_PURCHASES = "SELECT count() FROM events WHERE event = 'purchase' AND {filters}"
_AMOUNT = "SELECT sum(properties.amount) AS v FROM events WHERE event = 'purchase' AND {filters}"


def _property(id_: str, expected: int, key: str, operator: str, wanted: Any = None, **more: Any) -> Case:
    """How many of the ten purchases pass one property filter."""
    prop = {"key": key, "operator": operator, "value": wanted, "type": "event", **more}
    return rows(f"2.10-filter-{id_}", _PURCHASES, (expected,), filters={"properties": [prop]})


def _dates(id_: str, query: str, expected: Any, date_from: str | None, date_to: str | None, **given: Any) -> Case:
    span = {"date_from": date_from, "date_to": date_to}
    return rows(f"2.10-{id_}", query, (expected,), filters={"dateRange": span}, **given)


_HOSTILE = (
    "ada' OR 1 = 1 --",
    "ada\\' OR 1 = 1 --",
    "'); DROP TABLE events; --",
    "{filters}",
    "{who}",
    "tab\there\nnew line\r\\ back \\' slash",
    "\b\f\a\v",
    "/* comment */ -- # //",
    '`"` ❤ 日本 é',
    "%s %(a)s {0} $1 ?",
    "",
)

CASES = (
    # values
    value("2.10-value-text", "{v}", "it's", "String", values={"v": "it's"}),
    value("2.10-value-integer", "{v} + 1", 8, values={"v": 7}),
    value("2.10-value-negative", "{v}", -7, values={"v": -7}),
    value("2.10-value-float", "{v}", 1.5, "Float64", values={"v": 1.5}),
    value("2.10-value-true", "{v}", True, "Bool", values={"v": True}),
    value("2.10-value-null", "{v} IS NULL", 1, values={"v": None}),
    value("2.10-value-list", "{v}", [1, 2, 3], values={"v": [1, 2, 3]}),
    value("2.10-value-list-of-text", "{v}", ["a", "it's"], "Array(String)", values={"v": ["a", "it's"]}),
    value("2.10-value-used-twice", "concat({v}, {v})", "abab", values={"v": "ab"}),
    rows("2.10-value-in-where", "SELECT count() FROM events WHERE distinct_id = {who}", (6,), values={"who": "ada"}),
    rows(
        "2.10-value-null-compares-as-null",
        "SELECT count() FROM events WHERE properties.w = {v}",
        (50,),
        values={"v": None},
    ),
    rows(
        "2.10-value-list-in",
        "SELECT count() FROM events WHERE event IN {names}",
        (6,),
        values={"names": ["view", "checkout"]},
    ),
    rows("2.10-value-inside-a-string-stays-text", "SELECT '{v}' AS v", ("{v}",), values={"v": "x"}),
    rows(
        "2.10-value-in-a-template-string",
        "SELECT f'<{event}>' AS v FROM events WHERE event = 'checkout'",
        ("<checkout>",),
    ),
    *(
        value(f"2.10-hostile-text-{number}-comes-back", "{who}", text, values={"who": text})
        for number, text in enumerate(_HOSTILE)
    ),
    rows(
        "2.10-hostile-text-matches-nothing",
        "SELECT count() FROM events WHERE distinct_id = {who}",
        (0,),
        values={"who": "ada' OR 1 = 1 --"},
    ),
    refused("2.10-missing-value", "SELECT {nobody}", UnresolvedName, "nobody", at="{nobody}"),
    refused(
        "2.10-missing-value-among-others",
        "SELECT {v}, {nobody}",
        UnresolvedName,
        "nobody",
        at="{nobody}",
        values={"v": 1},
    ),
    refused("2.10-value-is-no-table", "SELECT * FROM {t}", HogQLError, values={"t": "plans"}),
    refused("2.10-value-is-no-column-chain", "SELECT {a.b.c}", HogQLError, "a.b.c", values={"v": 1}),
    refused("2.10-object-value", "SELECT {v}", HogQLError, "v", values={"v": {"a": 1}}),
    # variables
    value("2.10-variable", "{variables.plan}", "pro", variables={"plan": "pro"}),
    rows(
        "2.10-variable-in-where",
        "SELECT count() FROM events WHERE event = {variables.event_name}",
        (5,),
        variables={"event_name": "view"},
    ),
    value("2.10-variable-null", "{variables.plan} IS NULL", 1, variables={"plan": None}),
    refused(
        "2.10-variable-missing",
        "SELECT {variables.nothing}",
        UnresolvedName,
        "Variable nothing is missing from query",
        at="{variables.nothing}",
        variables={"plan": "pro"},
    ),
    # filters: dates
    rows("2.10-filters-none-is-true", _PURCHASES, (10,)),
    rows("2.10-filters-empty-is-true", _PURCHASES, (10,), filters={}),
    _dates("filters-dates-utc", _AMOUNT, 39.0, "2025-03-30", "2025-03-31"),
    _dates("filters-dates-local", _AMOUNT, 59.5, "2025-03-30", "2025-03-31", timezone="Europe/Berlin"),
    _dates("filters-from-only", _PURCHASES, 4, "2025-10-01", None),
    _dates("filters-to-only", _PURCHASES, 6, None, "2025-10-01"),
    _dates("filters-all-is-no-bound", _PURCHASES, 10, "all", None),
    _dates("filters-relative", _PURCHASES, 3, "-2d", "-1d", now="2025-04-01T00:00:00+00:00"),
    _dates("filters-on-sessions", "SELECT count() FROM sessions WHERE {filters}", 2, "2025-01-08", None),
    _dates("filters-on-groups", "SELECT count() FROM groups WHERE {filters}", 2, "2025-01-02", None),
    _dates(
        "filters-in-a-subquery",
        "SELECT n FROM (SELECT count() AS n FROM events WHERE {filters})",
        18,
        "2025-01-10",
        "2025-01-11",
    ),
    refused(
        "2.10-filters-on-another-table", "SELECT 1 FROM plans WHERE {filters}", HogQLError, "filters", at="{filters}"
    ),
    _dates(
        "filters-bounds-given",
        "SELECT count() FROM events WHERE event = 'purchase' AND timestamp >= {filters.dateRange.from} "
        "AND timestamp < {filters.dateRange.to}",
        3,
        "2025-03-30",
        "2025-03-31",
    ),
    rows(
        "2.10-filters-bounds-unset-drop-the-comparison",
        "SELECT count() FROM events WHERE event = 'purchase' AND timestamp >= {filters.dateRange.from} "
        "AND timestamp < {filters.dateRange.to}",
        (10,),
    ),
    _dates(
        "filters-one-bound-unset",
        "SELECT count() FROM events WHERE event = 'purchase' AND timestamp >= {filters.dateRange.from} "
        "AND timestamp < {filters.dateRange.to}",
        4,
        "2025-10-01",
        None,
    ),
    # filters: property operators
    _property("exact", 6, "currency", "exact", "EUR"),
    _property("exact-list-of-one", 6, "currency", "exact", ["EUR"]),
    _property("exact-many", 7, "currency", "exact", ["EUR", "GBP"]),
    _property("is-not", 4, "currency", "is_not", "EUR"),
    _property("is-not-many", 1, "currency", "is_not", ["EUR", "USD"]),
    _property("icontains", 3, "currency", "icontains", "us"),
    _property("icontains-many-is-any", 4, "currency", "icontains", ["us", "gb"]),
    _property("not-icontains", 7, "currency", "not_icontains", "us"),
    _property("not-icontains-many-is-none", 6, "currency", "not_icontains", ["us", "gb"]),
    _property("regex", 6, "currency", "regex", "^E"),
    _property("not-regex", 4, "currency", "not_regex", "^E"),
    _property("gt", 3, "amount", "gt", 10),
    _property("gte", 4, "amount", "gte", 10),
    _property("lt", 4, "amount", "lt", 10),
    _property("lte", 4, "amount", "lte", 9),
    _property("is-set", 4, "items", "is_set"),
    _property("is-not-set", 6, "items", "is_not_set"),
    _property("is-not-set-counts-null", 2, "paid", "is_not_set"),
    _property("boolean-text-with-definition", 6, "paid", "exact", "true"),
    _property("boolean-false", 2, "paid", "exact", ["false"]),
    _property("date-after", 2, "due", "is_date_after", "2025-03-31"),
    _property("date-before", 0, "due", "is_date_before", "2025-03-31"),
    _property("person", 2, "email", "icontains", "example.com", type="person"),
    _property("missing-is-not", 10, "nowhere", "is_not", "x"),
    _property("missing-not-regex", 10, "nowhere", "not_regex", "x"),
    rows(
        "2.10-filter-two-properties-and",
        _PURCHASES,
        (2,),
        filters={
            "properties": [
                {"key": "currency", "operator": "exact", "value": "USD", "type": "event"},
                {"key": "paid", "operator": "exact", "value": "true", "type": "event"},
            ]
        },
    ),
    rows(
        "2.10-filter-hogql",
        _PURCHASES,
        (1,),
        filters={
            "properties": [
                {"key": "properties.amount > 50", "type": "hogql", "value": None},
            ]
        },
    ),
    rows(
        "2.10-filter-cohort",
        _PURCHASES,
        (4,),
        filters={
            "properties": [
                {"key": "id", "type": "cohort", "value": 1, "operator": "in"},
            ]
        },
    ),
    # cohorts
    rows("2.11-in-cohort", "SELECT count() FROM events WHERE person_id IN COHORT 1 AND event = 'purchase'", (4,)),
    rows(
        "2.11-in-cohort-by-name",
        "SELECT count() FROM events WHERE person_id IN COHORT 'buyers' AND event = 'purchase'",
        (4,),
    ),
    rows(
        "2.11-not-in-cohort", "SELECT count() FROM events WHERE person_id NOT IN COHORT 1 AND event = 'purchase'", (6,)
    ),
    rows("2.11-static-cohort", "SELECT uniqExact(distinct_id) FROM events WHERE person_id IN COHORT 3", (1,)),
    rows(
        "2.11-cohort-sees-overridden-ids",
        "SELECT count() FROM events WHERE person_id IN COHORT 2 AND event = 'user_signed_up'",
        (2,),
    ),
    rows("2.11-cohort-of-persons", "SELECT count() FROM persons WHERE id IN COHORT 1", (2,)),
    refused(
        "2.11-unknown-cohort-name", "SELECT 1 FROM events WHERE person_id IN COHORT 'nobody'", HogQLError, "nobody"
    ),
    refused("2.11-cohort-not-constant", "SELECT 1 FROM events WHERE person_id IN COHORT event", HogQLError, "COHORT"),
    refused(
        "2.11-matches-action-without-definitions",
        "SELECT matchesAction('x') FROM events",
        UnsupportedHogQL,
        "matchesAction",
        at="matchesAction",
    ),
)
