"""Row limits: the silent default, the silent maximum, and what is not limited (reference 2.7)."""

from __future__ import annotations

from posthog_events.limits import UNLIMITED_ROWS, RowLimits
from tests.contract.corpus.cases import rows

_MANY = "SELECT number FROM numbers(250)"

CASES = (
    rows("2.7-no-limit-gives-100", _MANY, height=100, truncated=True),
    rows("2.7-exactly-100-is-not-cut", "SELECT number FROM numbers(100)", height=100),
    rows("2.7-explicit-limit", f"{_MANY} LIMIT 150", height=150),
    rows("2.7-limit-reached-on-purpose-is-no-cut", f"{_MANY} LIMIT 10", height=10),
    rows("2.7-limit-zero", f"{_MANY} LIMIT 0", height=0),
    rows(
        "2.7-limit-is-clamped",
        "SELECT number FROM numbers(60000) LIMIT 60000",
        height=50_000,
        truncated=True,
    ),
    rows("2.7-limit-above-the-maximum-that-cuts-nothing", "SELECT number FROM numbers(10) LIMIT 60000", height=10),
    rows("2.7-limit-expression", f"{_MANY} LIMIT 1 + 1", height=2),
    rows(
        "2.7-limit-expression-is-clamped",
        "SELECT number FROM numbers(60000) LIMIT 30000 + 30000",
        height=50_000,
        truncated=True,
    ),
    rows("2.7-limit-from-a-value", f"{_MANY} LIMIT {{n}}", height=7, values={"n": 7}),
    rows("2.7-offset", f"{_MANY} ORDER BY number LIMIT 2 OFFSET 3", (3,), (4,)),
    rows("2.7-each-union-branch-gets-100", f"{_MANY} UNION ALL {_MANY}", height=200, truncated=True),
    rows(
        "2.7-union-branches-with-their-own-limits",
        f"({_MANY} LIMIT 150) UNION ALL (SELECT number FROM numbers(5) LIMIT 50)",
        height=155,
    ),
    rows(
        "2.7-union-with-one-limited-branch",
        f"({_MANY} LIMIT 150) UNION ALL ({_MANY})",
        height=250,
        truncated=True,
    ),
    rows("2.7-subquery-is-not-limited", "SELECT count() FROM (SELECT number FROM numbers(60000))", (60000,)),
    rows(
        "2.7-subquery-limit-is-not-clamped",
        "SELECT count() FROM (SELECT number FROM numbers(60000) LIMIT 55000)",
        (55000,),
    ),
    rows(
        "2.7-union-in-a-subquery-is-not-limited",
        f"SELECT count() FROM ({_MANY} UNION ALL {_MANY})",
        (500,),
    ),
    rows(
        "2.7-cte-is-not-limited",
        f"WITH many AS ({_MANY}) SELECT count() FROM many",
        (250,),
    ),
    rows("2.7-limits-can-be-lifted", _MANY, height=250, limits=UNLIMITED_ROWS),
    rows(
        "2.7-maximum-can-be-lifted",
        "SELECT number FROM numbers(60000) LIMIT 60000",
        height=60_000,
        limits=UNLIMITED_ROWS,
    ),
    rows("2.7-other-default", _MANY, height=5, truncated=True, limits=RowLimits(default=5, maximum=7)),
    rows("2.7-other-maximum", f"{_MANY} LIMIT 50", height=7, truncated=True, limits=RowLimits(default=5, maximum=7)),
    rows(
        "2.7-with-ties",
        "SELECT x FROM (SELECT arrayJoin([0, 0, 1]) AS x) ORDER BY x LIMIT 1 WITH TIES",
        (0,),
        (0,),
    ),
    rows("2.7-no-team-guard", "SELECT count() FROM events", (50,)),
    rows("2.7-null-in-setting", "SELECT NULL IN ('a') AS a, NULL NOT IN ('a') AS b", (0, 1)),
    rows("2.7-null-in-setting-with-null", "SELECT NULL IN ('a', NULL) AS a, NULL NOT IN ('a', NULL) AS b", (1, 0)),
)
