"""What may be extracted, and the HogQL of each question."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from posthog_events.errors import HogQLSyntaxError, ParameterError, UnsupportedHogQL
from posthog_events.posthog.extract.statement import RowStatement
from posthog_events.posthog.extract.windows import Cursor, Histogram, Page, Window, microseconds
from posthog_events.result import Query

AT = datetime(2026, 3, 29, 1, 0, 0, 1, tzinfo=UTC)
DAY = Window(microseconds(AT), microseconds(AT) + 86_400_000_000)
US = "dateDiff('microsecond', toDateTime64('1970-01-01 00:00:00.000000', 6, 'UTC'), events.timestamp) AS extract_us"


def test_a_page_names_the_table_orders_by_the_key_and_binds_its_moments() -> None:
    """The user's text is kept, and nothing of ours can be captured by an alias of theirs."""
    statement = RowStatement.parse(
        Query("SELECT event AS timestamp, properties.a FROM events WHERE event = {e} OR 1", values={"e": "x"})
    )

    page = statement.page(Page(DAY, 50_000), "run-1")

    assert (
        f"SELECT event AS timestamp, properties.a, {US}, events.uuid AS extract_uuid FROM events "
        "WHERE (event = {e} OR 1) AND events.timestamp >= {extract_since} AND events.timestamp < {extract_until} "
        "AND {extract_mark} != '' ORDER BY events.timestamp ASC, events.uuid ASC LIMIT 50000"
    ) == page.hogql
    assert {
        "e": "x",
        "extract_since": AT,
        "extract_until": datetime(2026, 3, 30, 1, 0, 0, 1, tzinfo=UTC),
        "extract_mark": "run-1",
    } == dict(page.values)


def test_a_later_page_begins_after_the_cursor() -> None:
    """ClickHouse compares the key of the last row, both parts of it."""
    statement = RowStatement.parse(Query("SELECT event FROM events AS e"))
    uuid = "00000000-0000-4000-8000-000000000001"

    page = statement.page(Page(DAY, 10, Cursor(DAY.since, uuid)), "run-2")

    assert (
        "AND (e.timestamp > {extract_at} OR e.timestamp = {extract_at} AND e.uuid > {extract_after}) "
        "ORDER BY e.timestamp ASC, e.uuid ASC LIMIT 10"
    ) in page.hogql
    assert (AT, uuid) == (page.values["extract_at"], page.values["extract_after"])


def test_counts_keep_the_whole_select_because_conditions_may_use_its_aliases() -> None:
    """A count groups the rows of the user's own SELECT."""
    statement = RowStatement.parse(Query("SELECT lower(event) AS name FROM events WHERE name = 'x'"))
    rows = f"SELECT lower(event) AS name, {US}, events.uuid AS extract_uuid FROM events WHERE name = 'x'"

    histogram = statement.histogram(Histogram(DAY, 7, 16, parents=(1, 4), parent_width=32), "run-3")
    tally = statement.tally([Window(10, 20), Window(30, 40)], "run-4")

    assert f"FROM ({rows} AND events.timestamp >= " in histogram.hogql
    assert histogram.hogql.startswith(
        "SELECT intDiv(extract_us - 7, 16) AS extract_group, count() AS extract_rows FROM ("
    )
    assert histogram.hogql.endswith(") WHERE intDiv(extract_us - 7, 32) IN (1, 4) GROUP BY extract_group LIMIT 50000")
    assert tally.hogql.startswith(
        "SELECT roundDown(extract_us, [10, 20, 30, 40]) AS extract_group, count() AS extract_rows, "
        f"uniqExact(extract_uuid) AS extract_events FROM ({rows}"
    )


def test_names_of_ours_make_way_for_the_users() -> None:
    """A column, alias or placeholder that begins like ours gets no second meaning."""
    statement = RowStatement.parse(
        Query("SELECT properties.extract_us, 1 AS extract__x FROM events WHERE event = {extract_since}")
    )

    assert "extract___" == statement.prefix


def test_filters_variables_and_name_are_passed_on() -> None:
    """The query that is sent is still the user's, and says that it was rewritten."""
    query = Query(
        "SELECT event FROM events WHERE {filters}",
        filters={"properties": []},
        variables={"a": 1},
        name="purchases",
    )

    page = RowStatement.parse(query).page(Page(DAY, 10), "run-5")

    assert (query.filters, query.variables) == (page.filters, page.variables)
    assert "purchases (rewritten to extract rows)" == page.name


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM events",
        "SELECT event FROM events ORDER BY timestamp",
        "SELECT event, timestamp AS timestamp FROM events AS e ORDER BY e.timestamp, uuid",
        "WITH (SELECT count() FROM events) AS n SELECT event, n FROM events",
        "WITH b AS (SELECT person_id AS p FROM events GROUP BY p LIMIT 5) SELECT 1 FROM events WHERE person_id IN b",
        "SELECT arrayMap(x -> x + 1, [1]) FROM events WHERE person_id IN (SELECT max(id) FROM persons)",
        "SELECT now() AS fetched_at FROM events WHERE event = 'x'",
    ],
)
def test_columns_and_conditions_of_events_can_be_extracted(text: str) -> None:
    """One row per event, whatever is computed from it; subqueries are queries of their own."""
    assert RowStatement.parse(Query(text)).select.order_by is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT event FROM events UNION ALL SELECT event FROM events", "UNION"),
        ("SELECT 1", "only rows of the events table"),
        ("SELECT id FROM persons", "only rows of the events table"),
        ("SELECT 1 FROM (SELECT event FROM events)", "only rows of the events table"),
        ("SELECT 1 FROM events JOIN persons AS p ON p.id = events.person_id", "JOIN, SAMPLE or FINAL"),
        ("SELECT event FROM events SAMPLE 0.1", "JOIN, SAMPLE or FINAL"),
        ("WITH events AS (SELECT 1) SELECT event FROM events", "hides the events table"),
        ("SELECT DISTINCT event FROM events", "DISTINCT"),
        ("SELECT event FROM events GROUP BY event", "GROUP BY"),
        ("SELECT event FROM events LIMIT 1 BY event", "LIMIT BY"),
        ("SELECT a FROM events ARRAY JOIN [1, 2] AS a", "ARRAY JOIN"),
        ("SELECT event FROM events LIMIT 10", "remove LIMIT and OFFSET"),
        ("SELECT event FROM events OFFSET 10", "remove LIMIT and OFFSET"),
        ("SELECT event FROM events ORDER BY event", "remove ORDER BY"),
        ("SELECT event FROM events ORDER BY timestamp DESC", "remove ORDER BY"),
        ("SELECT event AS timestamp FROM events ORDER BY timestamp", "remove ORDER BY"),
        ("SELECT event AS events FROM events", "cannot be called events"),
        ("SELECT count() FROM events", r"count\(\) combines rows"),
        ("SELECT 1 + MAX(timestamp) FROM events", "combines rows"),
        ("WITH max(timestamp) AS m SELECT m FROM events", "combines rows"),
        ("SELECT row_number() OVER (ORDER BY timestamp) FROM events", "window functions"),
        ("SELECT arrayJoin([1, 2]) FROM events", "arrayJoin"),
        ("SELECT event FROM events WHERE timestamp > now() - INTERVAL 7 DAY", r"now\(\) in a condition"),
        ("SELECT event FROM events WHERE person_id IN (SELECT id FROM persons WHERE created_at > today())", "today"),
    ],
)
def test_everything_else_is_refused_with_a_reason(text: str, message: str) -> None:
    """A row that is not one event, or a set of rows that moves, cannot be paged and proved."""
    with pytest.raises(UnsupportedHogQL, match=message) as caught:
        RowStatement.parse(Query(text, name="rows"))

    assert "rows" == caught.value.name
    assert caught.value.line is not None


def test_a_syntax_error_points_into_the_users_text() -> None:
    """The text is parsed before anything is sent."""
    with pytest.raises(HogQLSyntaxError) as caught:
        RowStatement.parse(Query("SELECT event FROM\nevents WHERE"))

    assert 2 == caught.value.line


def test_a_date_range_filter_is_refused() -> None:
    """There is one range, and it does not move."""
    query = Query("SELECT event FROM events WHERE {filters}", filters={"dateRange": {"date_from": "-7d"}})

    with pytest.raises(ParameterError, match="`since` and `until`"):
        RowStatement.parse(query)
