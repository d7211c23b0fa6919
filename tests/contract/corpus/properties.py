"""Property reads: every row of the table, typed reads, paths (reference 2.3)."""

from __future__ import annotations

from typing import Any

from posthog_events.errors import HogQLError
from tests.contract.corpus.cases import Case, refused, rows

_UNTYPED: dict[str, str | None] = {
    "text": "x",
    "empty": "",
    "null": None,
    "missing": None,
    "text_null": "null",
    "one": "1",
    "exponent": "1000",
    "decimal": "1.5",
    "huge": "123456789012345678901",
    "true": "true",
    "array": '[1,2,"x"]',
    "object": '{"b":1}',
    "quotes": 'say \\"hi\\"',
    "tab": "tab\\t",
    "escaped": "é",
    "number_text": "12.5",
}
_NUMERIC: dict[str, float | None] = {
    "one": 1.0,
    "exponent": 1000.0,
    "decimal": 1.5,
    "huge": 123456789012345678901.0,
    "number_text": 12.5,
    "true": None,
    "text": None,
    "empty": None,
    "missing": None,
    "array": None,
}
_BOOLEAN: dict[str, bool | None] = {"true": True, "false": False, "text": None, "one": None, "null": None}
_TIME: dict[str, str | None] = {"time": "2025-03-30T01:30:00+00:00", "text": None, "missing": None, "object": None}


def _probe(kind: str, key: str, name: str, expected: Any, type_: str, **given: Any) -> Case:
    return rows(
        f"2.3-{kind}-{name}",
        f"SELECT properties.{key} FROM events WHERE event = 'probe' AND properties.name = '{name}'",
        (expected,),
        columns=[key],
        types=[type_],
        **given,
    )


def _read(id_: str, path: str, expected: Any, event: str = "custom", **given: Any) -> Case:
    return rows(f"2.3-{id_}", f"SELECT {path} AS v FROM events WHERE event = '{event}'", (expected,), **given)


CASES = (
    *(_probe("untyped", "v", name, expected, "Nullable(String)") for name, expected in _UNTYPED.items()),
    *(_probe("numeric", "n", name, expected, "Nullable(Float64)") for name, expected in _NUMERIC.items()),
    *(_probe("boolean", "b", name, expected, "Nullable(Bool)") for name, expected in _BOOLEAN.items()),
    *(_probe("datetime", "d", name, expected, "Nullable(DateTime64(6, 'UTC'))") for name, expected in _TIME.items()),
    _probe("no-definition-numeric", "n", "exponent", "1000", "Nullable(String)", typed=False),
    _probe("no-definition-boolean", "b", "true", "true", "Nullable(String)", typed=False),
    _probe("no-definition-datetime", "d", "time", "2025-03-30T01:30:00Z", "Nullable(String)", typed=False),
    rows(
        "2.3-datetime-is-read-in-the-project-zone",
        "SELECT properties.due FROM events WHERE event = 'purchase' AND properties.items IS NOT NULL "
        "ORDER BY timestamp",
        ("2025-04-01T02:00:00+02:00",),
        ("2025-04-01T00:00:00+02:00",),
        (None,),
        (None,),
        types=["Nullable(DateTime64(6, 'Europe/Berlin'))"],
        timezone="Europe/Berlin",
    ),
    _read("bracket", "properties['sp ace']", "spaced"),
    _read("quoted-identifier", 'properties."sp ace"', "spaced"),
    _read("bracket-with-a-quote", r"properties['it\'s']", "quoted"),
    _read("bracket-with-unicode", "properties['uni✓']", "ok"),
    _read("bracket-key-with-a-dot", "properties['n.dot']", "dotted"),
    _read("chain-is-not-a-key-with-a-dot", "properties.n.dot", None),
    _read("nested-chain", "properties.a.b.c", "deep"),
    _read("nested-brackets", "properties['a']['b']['c']", "deep"),
    _read("nested-mixed", "properties.a['b'].c", "deep"),
    _read("nested-missing", "properties.a.zz.c", None),
    _read("nested-object", "properties.a.b", '{"c":"deep"}'),
    _read("nested-array", "properties.a.list", "[10,20,30]"),
    _read("array-index-is-one-based", "properties.a.list[1]", "10"),
    _read("array-index-last", "properties.a.list[3]", "30"),
    _read("array-index-past-the-end", "properties.a.list[9]", None),
    _read("array-of-objects", "properties['a']['o'][2]['k']", "v2"),
    _read("array-index-in-the-chain", "properties.a.o.1.k", "v1"),
    refused(
        "2.3-array-index-zero",
        "SELECT properties.a.list[0] FROM events",
        HogQLError,
        "SQL indexes start from one, not from zero",
    ),
    _read("whole-document-decodes-nested", "JSONExtractInt(properties, 'a', 'list', 2)", 20),
    rows(
        "2.3-json-functions-decode-escapes",
        "SELECT JSONExtractString(properties, 'v') AS v FROM events WHERE properties.name = 'quotes'",
        ('say "hi"',),
    ),
    rows(
        "2.3-nested-read-is-never-cast",
        "SELECT properties.n.b AS v FROM events WHERE properties.name = 'object'",
        ("1",),
        types=["Nullable(String)"],
    ),
    rows(
        "2.3-bracket-read-of-a-typed-key-is-cast",
        "SELECT properties['amount'] AS v FROM events WHERE event = 'purchase' ORDER BY timestamp LIMIT 3",
        (10.0,),
        (20.5,),
        (30.0,),
        types=["Nullable(Float64)"],
    ),
    rows(
        "2.3-typed-comparison-is-numeric",
        "SELECT count() FROM events WHERE properties.amount > 10",
        (3,),
    ),
    refused(
        "2.3-untyped-text-compared-with-a-number",
        "SELECT count() FROM events WHERE properties.amount > 10",
        HogQLError,
        "amount is text",
        at="properties.amount",
        typed=False,
    ),
    rows(
        "2.3-untyped-order-is-by-text",
        "SELECT properties.amount FROM events WHERE event = 'purchase' ORDER BY properties.amount DESC LIMIT 3",
        ("n/a",),
        ("9",),
        ("7",),
        typed=False,
    ),
    rows(
        "2.3-typed-order-is-by-number-and-null-comes-last",
        "SELECT properties.amount FROM events WHERE event = 'purchase' ORDER BY properties.amount DESC",
        (100.0,),
        (30.0,),
        (20.5,),
        (10.0,),
        (9.0,),
        (7.0,),
        (5.0,),
        (5.0,),
        (None,),
        (None,),
    ),
    rows("2.3-typed-sum", "SELECT sum(properties.amount) AS v FROM events WHERE event = 'purchase'", (186.5,)),
    rows(
        "2.3-untyped-sum-after-toFloat",
        "SELECT sum(toFloat(properties.amount)) AS v FROM events WHERE event = 'purchase'",
        (186.5,),
        typed=False,
    ),
    rows("2.3-boolean-equals-true", "SELECT count() FROM events WHERE properties.paid = true", (6,)),
    rows("2.3-boolean-equals-false", "SELECT count() FROM events WHERE properties.paid = false", (2,)),
    rows(
        "2.3-boolean-not-true-keeps-null",
        "SELECT count() FROM events WHERE event = 'purchase' AND properties.paid != true",
        (4,),
    ),
    rows(
        "2.3-text-boolean-without-definition",
        "SELECT properties.paid AS p, count() AS n FROM events WHERE event = 'purchase' GROUP BY p ORDER BY n DESC, p",
        ("true", 6),
        ("false", 2),
        (None, 2),
        typed=False,
    ),
    rows(
        "2.3-grouping-keeps-empty-null-and-text-null-apart",
        "SELECT properties.$referrer AS r, count() AS n FROM events WHERE event = 'user_signed_up' GROUP BY r",
        ("google", 2),
        ("", 1),
        (None, 2),
        ("null", 1),
        ("Google", 1),
        ("news letter", 1),
        ordered=False,
    ),
    _read("through-the-table-name", "events.properties.a.b.c", "deep"),
    rows(
        "2.3-through-a-table-alias",
        "SELECT e.properties.page AS v FROM events e WHERE e.event = 'checkout'",
        ("done",),
    ),
    rows(
        "2.3-through-a-subquery",
        "SELECT properties.page AS v FROM (SELECT properties FROM events WHERE event = 'checkout')",
        ("done",),
    ),
    rows(
        "2.3-person-property-at-event-time",
        "SELECT person.properties.plan AS plan, person.properties.age AS age FROM events "
        "WHERE distinct_id = 'ada' AND event IN ('user_signed_up', 'purchase') ORDER BY timestamp",
        ("free", 36.0),
        ("pro", 37.0),
        ("pro", 37.0),
        types=["Nullable(String)", "Nullable(Float64)"],
    ),
    rows(
        "2.3-person-property-empty-and-missing",
        "SELECT distinct_id, person.properties.email AS email FROM events WHERE event = 'user_signed_up' "
        "AND distinct_id IN ('cy', 'dee') ORDER BY distinct_id",
        ("cy", ""),
        ("dee", None),
    ),
)
