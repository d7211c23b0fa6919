"""The SQL that queries become. Expected texts follow reference/hogql.md chapter 2; results are tested by the corpus."""

from __future__ import annotations

import pytest

from posthog_events.clickhouse.catalog import PersonMode
from posthog_events.clickhouse.compiler import Compiled, CompileSettings, compile_query
from posthog_events.errors import HogQLError, UnresolvedName, UnsupportedHogQL
from posthog_events.hogql.parser import parse_select
from posthog_events.hogql.source import Source
from posthog_events.limits import POSTHOG_ROWS, UNLIMITED_ROWS
from tests.helpers.catalogs import catalog


def compiled(text: str, *, limited: bool = False, **options: object) -> Compiled:
    settings = CompileSettings(row_limits=POSTHOG_ROWS if limited else UNLIMITED_ROWS)
    return compile_query(parse_select(text), catalog=catalog(**options), settings=settings, source=Source(text))  # type: ignore[arg-type]


def expression(text: str, **options: object) -> str:
    """Return the SQL of one expression over events."""
    sql = compiled(f"SELECT {text} AS x FROM events", **options).sql
    return sql.removeprefix("SELECT ").removesuffix(" AS x FROM store.events AS events__1")


CANONICAL = "replaceRegexpAll(nullIf(nullIf(JSONExtractRaw(events__1.properties, {}), ''), 'null'), '^\"|\"$', '')"


@pytest.mark.parametrize(
    ("hogql", "sql"),
    [
        ("event", "events__1.event"),
        ("properties.plan", "events__1.`e:plan`"),
        ("properties.rare", CANONICAL.format("'rare'")),
        ("properties['two words']", CANONICAL.format("'two words'")),
        ("properties.a.b", CANONICAL.format("'a', 'b'")),
        ("properties.list[1]", CANONICAL.format("'list', 1")),
        ("properties.amount", "accurateCastOrNull(events__1.`e:amount`, 'Float64')"),
        # a nested read is never typed, even where a top-level key of that name is
        ("properties.plan.amount", CANONICAL.format("'plan', 'amount'")),
        ("timestamp", "events__1.timestamp"),
        ("1 = 1", "1"),
        ("1 = 2", "0"),
        ("event = 'a'", "equals(events__1.event, 'a')"),
        ("properties.plan = 'a'", "ifNull(equals(events__1.`e:plan`, 'a'), 0)"),
        ("properties.plan != 'a'", "ifNull(notEquals(events__1.`e:plan`, 'a'), 1)"),
        (
            "properties.plan = event",
            "ifNull(equals(events__1.`e:plan`, events__1.event), isNull(events__1.`e:plan`) and isNull(events__1.event))",
        ),
        ("properties.plan is null", "isNull(events__1.`e:plan`)"),
        ("properties.plan = null", "isNull(events__1.`e:plan`)"),
        ("properties.plan in ('a', 'b')", "in(events__1.`e:plan`, tuple('a', 'b'))"),
        ("properties.plan < 'b'", "ifNull(less(events__1.`e:plan`, 'b'), 0)"),
        ("event =~ 'x'", "match(events__1.event, 'x')"),
        ("event !~* 'x'", "not(match(events__1.event, concat('(?i)', 'x')))"),
        ("event = 'a' and 1 = 1", "equals(events__1.event, 'a')"),
        ("event = 'a' and 1 = 2", "0"),
        ("event = 'a' or 1 = 1", "1"),
        ("'a' || null", "concat('a', ifNull(toString(NULL), ''))"),
        ("toDate(timestamp)", "toDate(events__1.timestamp)"),
        ("toDate(event)", "toDateOrNull(events__1.event)"),
        ("toStartOfWeek(timestamp)", "toStartOfWeek(events__1.timestamp, 0)"),
        ("toStartOfWeek(timestamp, 3)", "toStartOfWeek(events__1.timestamp, 3)"),
        ("event::int", "toInt64(events__1.event)"),
        ("toInt(event)", "accurateCastOrNull(events__1.event, 'Int64')"),
        ("count(*)", "count()"),
        ("count(distinct event)", "count(DISTINCT events__1.event)"),
        (
            "countIf(event = 'a') filter (where event = 'b')",
            "countIf(equals(events__1.event, 'a')) FILTER (WHERE equals(events__1.event, 'b'))",
        ),
    ],
    ids=lambda value: value if len(value) < 50 else value[:50],
)
def test_expression_becomes(hogql: str, sql: str) -> None:
    """Each construct becomes the SQL that the reference gives for it."""
    assert sql == expression(hogql)


def test_time_columns_are_read_in_the_projects_zone() -> None:
    """A DateTime column of a table is converted to the project's zone."""
    assert "toTimeZone(events__1.timestamp, 'Europe/Berlin')" == expression("timestamp", timezone="Europe/Berlin")


@pytest.mark.parametrize("literal", ["2025-08-10", "2025-08-10 12:30:00", "2025-08-10 12:30:00.123456"])
def test_timestamp_is_compared_bare_with_a_local_literal(literal: str) -> None:
    """The literal is read in the project's zone and the column stays bare, so that storage can skip data."""
    sql = compiled(f"SELECT 1 FROM events WHERE timestamp >= '{literal}'", timezone="Europe/Berlin").sql

    assert sql.endswith(f"WHERE greaterOrEquals(events__1.timestamp, toDateTime64('{literal}', 6, 'Europe/Berlin'))")


def test_timestamp_compared_with_other_text_keeps_the_zone_wrapper() -> None:
    """A text that is not plainly a date is left to ClickHouse, in the project's zone."""
    sql = compiled("SELECT 1 FROM events WHERE timestamp = 'soon'", timezone="Europe/Berlin").sql

    assert sql.endswith("WHERE equals(toTimeZone(events__1.timestamp, 'Europe/Berlin'), 'soon')")


def test_alias_wins_over_column_in_where() -> None:
    """WHERE filters the alias when one is called like a column."""
    sql = compiled("SELECT toDate(timestamp) AS timestamp FROM events WHERE timestamp > '2025-01-01'").sql

    assert sql.endswith("WHERE greater(timestamp, '2025-01-01')")


@pytest.mark.parametrize(
    ("hogql", "names"),
    [
        ("properties.$referrer", ["$referrer"]),
        ("properties.a.b", ["a__b"]),
        ("person.properties.plan", ["plan"]),
        ("e.event", ["event"]),
        ("count()", ["count()"]),
        ("uniq(person_id)", ["uniq(person_id)"]),
        ("event = 'x'", ["equals(event, 'x')"]),
        ("2 * (1 + 3)", ["multiply(2, plus(1, 3))"]),
        ("e.*", ["uuid", "event", "properties", "timestamp", "distinct_id", "created_at", "$session_id", "person_id", "$group_0"]),
    ],
)  # fmt: skip
def test_output_columns_are_named_as_posthog_names_them(hogql: str, names: list[str]) -> None:
    """A column is called by its alias, its last name, its property path or its printed call."""
    import re

    sql = compiled(f"SELECT {hogql} FROM events AS e").sql

    assert names == [name.strip("`") for name in re.findall(r" AS (`[^`]*`|[\w$]+)(?=,| FROM)", sql)]


def test_lazy_joins_appear_only_when_used() -> None:
    """`session.*` and `company.*` join their tables; a query without them joins nothing."""
    plain = compiled("SELECT event FROM events").sql
    joined = compiled("SELECT session.$start_timestamp AS s, company.properties.name AS n FROM events").sql

    assert "JOIN" not in plain
    assert (
        "LEFT JOIN store.sessions AS events__1__session ON equals(events__1.`$session_id`, events__1__session.session_id)"
        in joined
    )
    assert (
        "LEFT JOIN (SELECT * FROM store.groups WHERE equals(index, 0)) AS events__1__group_0 "
        "ON equals(events__1.`$group_0`, events__1__group_0.key)" in joined
    )


@pytest.mark.parametrize(
    ("mode", "overrides", "person_id", "plan_source"),
    [
        (PersonMode.NO_OVERRIDE_ON_EVENTS, True, "events__1.person_id", "events__1.person_properties"),
        (PersonMode.OVERRIDE_ON_EVENTS, False, "events__1.person_id", "events__1.person_properties"),
        (
            PersonMode.OVERRIDE_ON_EVENTS,
            True,
            "if(not(empty(events__1__override.distinct_id)), events__1__override.person_id, events__1.person_id)",
            "events__1.person_properties",
        ),
        (
            PersonMode.OVERRIDE_JOINED,
            True,
            "if(not(empty(events__1__override.distinct_id)), events__1__override.person_id, events__1.person_id)",
            "events__1__person.properties",
        ),
        (PersonMode.DISABLED, True, "events__1__pdi.person_id", "events__1__person.properties"),
    ],
)  # fmt: skip
def test_person_mode_decides_where_persons_come_from(
    mode: PersonMode, overrides: bool, person_id: str, plan_source: str
) -> None:
    """Each mode reads the person's id and properties from the place that PostHog reads them from."""
    sql = compiled("SELECT person_id, person.properties.plan FROM events", mode=mode, overrides=overrides).sql

    assert f"SELECT {person_id} AS person_id, " in sql
    assert f"JSONExtractRaw({plan_source}, 'plan')" in sql


def test_sample_is_a_condition_on_the_hash() -> None:
    """SAMPLE 0.1 OFFSET 0.5 keeps the hashes of that tenth of the range."""
    sql = compiled("SELECT count() FROM events SAMPLE 1/10 OFFSET 1/2").sql

    low, high = 2**63, 2**63 + 2**64 // 10
    assert (
        f"(SELECT * FROM store.events WHERE greaterOrEquals(cityHash64(distinct_id), {low}) "
        f"AND less(cityHash64(distinct_id), {high})) AS events" in sql
    )


def test_missing_limit_asks_for_one_row_more_than_the_default() -> None:
    """A query without LIMIT gets 100 rows; the 101st is asked for so that a cut shows."""
    result = compiled("SELECT event FROM events", limited=True)

    assert result.sql.endswith("LIMIT 101")
    assert (100, False) == (result.row_cap, result.clamped)


def test_large_limit_is_clamped_and_says_so() -> None:
    """A LIMIT above PostHog's maximum is cut to it, plus the row that shows the cut."""
    result = compiled("SELECT event FROM events LIMIT 60000", limited=True)

    assert result.sql.endswith("LIMIT 50001")
    assert (50_000, True) == (result.row_cap, result.clamped)


def test_every_branch_of_a_union_has_its_own_limit() -> None:
    """A branch without LIMIT gets the default, and is listed so that a cut inside it can be found."""
    result = compiled("SELECT event FROM events UNION ALL SELECT event FROM events LIMIT 5", limited=True)

    assert result.sql.count("LIMIT 100)") == 1
    assert [100] == [cap for _, cap in result.branches]
    assert result.row_cap is None


def test_limits_can_be_switched_off() -> None:
    """Without row limits the query runs as written."""
    assert "LIMIT" not in compiled("SELECT event FROM events").sql


def test_first_branchs_with_is_seen_by_all_branches() -> None:
    """A WITH before a union serves every branch of it."""
    sql = compiled("WITH x AS (SELECT 1 AS a) SELECT a FROM x UNION ALL SELECT a + 1 FROM x").sql

    assert 2 == sql.count("WITH x AS (SELECT 1 AS a)")


@pytest.mark.parametrize(
    ("hogql", "error", "fragment", "pointed_at"),
    [
        ("SELECT evnt FROM events", UnresolvedName, "Did you mean: event?", "evnt"),
        ("SELECT 1 FROM event", UnresolvedName, "Did you mean events?", "event"),
        ("SELECT person_properties FROM events", UnresolvedName, "person_properties", "person_properties"),
        ("SELECT foo(1)", UnresolvedName, "Unsupported function call 'foo(...)'", "foo(1)"),
        ("SELECT file('x')", HogQLError, "file", "file('x')"),
        ("SELECT * FROM file('x')", UnresolvedName, "Unknown table `file`", None),
        ("SELECT * FROM system.tables", UnsupportedHogQL, "exists in PostHog but not locally", "system.tables"),
        ("SELECT pdi.person_id FROM events", UnsupportedHogQL, "internal", "pdi.person_id"),
        ("SELECT sum(count()) FROM events", HogQLError, "cannot be nested", "count()"),
        ("SELECT event AS a, 1 AS a FROM events", HogQLError, "Cannot redefine an alias", "1 AS a"),
        ("SELECT event, event FROM events", HogQLError, "both called 'event'", "event"),
        ("SELECT * FROM events a JOIN persons b ON a.person_id = b.id", HogQLError, "multiple tables", "*"),
        ("SELECT created_at FROM events a JOIN persons b ON a.person_id = b.id", HogQLError, "Ambiguous", "created_at"),
        ("SELECT 1 FROM events a JOIN persons a ON 1 = 1", HogQLError, "both called 'a'", None),
        ("SELECT 1 FROM events FINAL", UnsupportedHogQL, "FINAL", None),
        ("SELECT properties.x[0] FROM events", HogQLError, "start from one", None),
        ("SELECT #1 FROM events", UnsupportedHogQL, "positional", "#1"),
        ("SELECT properties.x > 10 FROM events", HogQLError, "text here and is compared with a number", "properties.x > 10"),
        ("SELECT 1 FROM persons SAMPLE 0.1", UnsupportedHogQL, "only be used on events", None),
        ("SELECT event FROM events WHERE person_id IN COHORT 3", UnsupportedHogQL, "Cohort 3", "3"),
        ("SELECT `a%b` FROM events", UnresolvedName, "a%b", None),
        ("SELECT 1 AS `a%b` FROM events", HogQLError, "'%' character", None),
        ("SELECT event FROM events LIMIT 10 %", UnsupportedHogQL, "percent", "10"),
        ("SELECT x FROM events ARRAY JOIN [1] LIMIT 1", HogQLError, "must have an alias", None),
    ],
)  # fmt: skip
def test_refusal_says_what_and_where(
    hogql: str, error: type[HogQLError], fragment: str, pointed_at: str | None
) -> None:
    """What cannot run is refused before the engine sees it, with the position of the offending part."""
    with pytest.raises(error) as caught:
        compiled(hogql)

    assert fragment in caught.value.message
    if pointed_at is not None:
        assert pointed_at == hogql[caught.value.start : caught.value.end]
