"""Window functions: lag and lead, frames, named windows (reference 2.9)."""

from __future__ import annotations

from posthog_events.errors import HogQLError
from tests.contract.corpus.cases import Case, refused, rows

_BY_PERSON = "PARTITION BY distinct_id ORDER BY timestamp"


def _view(id_: str, window: str, *column: object, types: list[str] | None = None, tail: str = "") -> Case:
    """One value per view: gus home, list, item (100, 200, 300 ms), then hal home, list (50, 75 ms)."""
    expected = tuple((value,) for value in column)
    return rows(
        f"2.9-{id_}",
        f"SELECT {window} AS v FROM events WHERE event = 'view' {tail}ORDER BY distinct_id, events.timestamp",
        *expected,
        types=types,
    )


CASES = (
    _view("lag-is-null-at-the-start", f"lag(properties.page) OVER ({_BY_PERSON})", None, "home", "list", None, "home"),
    _view("lead-is-null-at-the-end", f"lead(properties.page) OVER ({_BY_PERSON})", "list", "item", None, "list", None),
    _view("lag-by-two", f"lag(properties.page, 2) OVER ({_BY_PERSON})", None, None, "home", None, None),
    _view("lag-with-default", f"lag(distinct_id, 1, 'none') OVER ({_BY_PERSON})", "none", "gus", "gus", "none", "hal"),
    _view(
        "lag-of-a-plain-column-is-nullable",
        f"lag(distinct_id) OVER ({_BY_PERSON})",
        None,
        "gus",
        "gus",
        None,
        "hal",
        types=["Nullable(String)"],
    ),
    _view("lagInFrame-keeps-the-default", f"lagInFrame(distinct_id) OVER ({_BY_PERSON})", "", "gus", "gus", "", "hal"),
    _view(
        "leadInFrame-sees-its-frame-only",
        f"leadInFrame(distinct_id) OVER ({_BY_PERSON} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
        "",
        "",
        "",
        "",
        "",
    ),
    _view(
        "lag-in-a-named-window",
        "lag(properties.page) OVER w",
        None,
        "home",
        "list",
        None,
        "home",
        tail=f"WINDOW w AS ({_BY_PERSON}) ",
    ),
    _view(
        "lead-in-a-named-window",
        "lead(properties.page) OVER w",
        "list",
        "item",
        None,
        "list",
        None,
        tail=f"WINDOW w AS ({_BY_PERSON}) ",
    ),
    rows(
        "2.9-lag-without-a-window-goes-by-value",
        "SELECT number AS n, lag(number) OVER () AS v FROM numbers(3) ORDER BY n",
        (0, None),
        (1, 0),
        (2, 1),
    ),
    _view("row-number", f"row_number() OVER ({_BY_PERSON})", 1, 2, 3, 1, 2, types=["UInt64"]),
    rows(
        "2.9-rank-and-dense-rank",
        "SELECT x, rank() OVER (ORDER BY x) AS r, dense_rank() OVER (ORDER BY x) AS d "
        "FROM (SELECT arrayJoin([1, 1, 2]) AS x) ORDER BY x, r",
        (1, 1, 1),
        (1, 1, 1),
        (2, 3, 2),
    ),
    _view("running-sum", f"sum(properties.ms) OVER ({_BY_PERSON})", 100.0, 300.0, 600.0, 50.0, 125.0),
    _view("whole-partition", "count() OVER (PARTITION BY distinct_id)", 3, 3, 3, 2, 2),
    _view(
        "rows-frame",
        f"sum(properties.ms) OVER ({_BY_PERSON} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
        100.0,
        300.0,
        500.0,
        50.0,
        125.0,
    ),
    _view(
        "rows-frame-following",
        f"sum(properties.ms) OVER ({_BY_PERSON} ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)",
        600.0,
        500.0,
        300.0,
        125.0,
        75.0,
    ),
    _view(
        "rows-frame-short",
        f"count() OVER ({_BY_PERSON} ROWS 1 PRECEDING)",
        1,
        2,
        2,
        1,
        2,
    ),
    rows(
        "2.9-range-frame",
        "SELECT x, count() OVER (ORDER BY x RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS n "
        "FROM (SELECT arrayJoin([1, 2, 4]) AS x) ORDER BY x",
        (1, 1),
        (2, 2),
        (4, 1),
    ),
    _view("first-value", f"first_value(properties.page) OVER ({_BY_PERSON})", "home", "home", "home", "home", "home"),
    _view(
        "last-value-of-the-partition",
        f"last_value(properties.page) OVER ({_BY_PERSON} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
        "item",
        "item",
        "item",
        "list",
        "list",
    ),
    _view(
        "nth-value",
        f"nth_value(properties.page, 2) OVER ({_BY_PERSON} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
        "list",
        "list",
        "list",
        "list",
        "list",
    ),
    rows(
        "2.9-window-over-aggregates",
        "SELECT event, count() AS n, sum(n) OVER (ORDER BY event) AS running FROM events "
        "WHERE event IN ('checkout', 'purchase', 'view') GROUP BY event ORDER BY event",
        ("checkout", 1, 1),
        ("purchase", 10, 11),
        ("view", 5, 16),
    ),
    rows(
        "2.9-quantile-as-a-window",
        "SELECT DISTINCT quantileExact(0.5)(number) OVER () AS v FROM numbers(5)",
        (2,),
    ),
    refused(
        "2.9-unknown-named-window",
        "SELECT count() OVER nowhere FROM events",
        HogQLError,
        "nowhere",
    ),
)
