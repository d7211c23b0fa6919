"""Set queries, CTEs, sampling, ARRAY JOIN, LIMIT BY, WITH FILL, QUALIFY, grouping (reference 2.9)."""

from __future__ import annotations

from posthog_events.errors import HogQLError, UnresolvedName, UnsupportedHogQL
from tests.contract.corpus.cases import Case, refused, rows

_BY_PERSON = "PARTITION BY distinct_id ORDER BY timestamp"
_ARRAYS = "(SELECT 'p' AS k, [1, 2] AS a, ['x', 'y'] AS b UNION ALL SELECT 'q' AS k, [] AS a, [] AS b)"


def _sample(id_: str, clause: str, expected: int) -> Case:
    """Counted from cityHash64(distinct_id) / 2^64 of each distinct id, found with ClickHouse itself."""
    return rows(f"2.9-sample-{id_}", f"SELECT count() FROM events SAMPLE {clause}", (expected,))


CASES = (
    # sets
    rows("2.9-union-all", "SELECT 1 AS a UNION ALL SELECT 1", (1,), (1,)),
    rows("2.9-union-is-distinct", "SELECT 1 AS a UNION SELECT 1", (1,)),
    rows("2.9-union-distinct", "SELECT 1 AS a UNION DISTINCT SELECT 1", (1,)),
    rows(
        "2.9-intersect",
        "SELECT number FROM numbers(5) INTERSECT SELECT number + 3 FROM numbers(5)",
        (3,),
        (4,),
        ordered=False,
    ),
    rows(
        "2.9-except",
        "SELECT number FROM numbers(4) EXCEPT SELECT number + 2 FROM numbers(5)",
        (0,),
        (1,),
        ordered=False,
    ),
    rows(
        "2.9-union-in-a-subquery",
        "SELECT sum(a) AS s FROM (SELECT 1 AS a UNION ALL SELECT 2 AS a) AS u",
        (3,),
    ),
    rows(
        "2.9-union-nested-in-a-union",
        "SELECT 1 AS a UNION ALL (SELECT 2 UNION DISTINCT SELECT 2)",
        (1,),
        (2,),
        ordered=False,
    ),
    rows(
        "2.9-union-of-three-types",
        "SELECT 1 AS a UNION ALL SELECT NULL UNION ALL SELECT 2",
        (1,),
        (2,),
        (None,),
        ordered=False,
    ),
    rows(
        "2.9-in-a-union",
        "SELECT count() FROM events WHERE event IN (SELECT 'view' UNION ALL SELECT 'checkout')",
        (6,),
    ),
    # CTEs
    rows("2.9-cte", "WITH v AS (SELECT event FROM events WHERE event = 'view') SELECT count() FROM v", (5,)),
    rows(
        "2.9-cte-used-twice",
        "WITH v AS (SELECT number AS n FROM numbers(3)) SELECT count() FROM v a CROSS JOIN v b WHERE a.n < b.n",
        (3,),
    ),
    rows(
        "2.9-cte-of-a-cte",
        "WITH a AS (SELECT number AS n FROM numbers(4)), b AS (SELECT n FROM a WHERE n > 1) SELECT sum(n) AS s FROM b",
        (5,),
    ),
    rows("2.9-cte-with-an-alias", "WITH a AS (SELECT 1 AS n) SELECT x.n FROM a AS x", (1,), columns=["n"]),
    rows("2.9-cte-hides-a-table", "WITH events AS (SELECT 1 AS n) SELECT n FROM events", (1,)),
    rows("2.9-cte-in-a-subquery", "SELECT s FROM (WITH a AS (SELECT 2 AS n) SELECT sum(n) AS s FROM a)", (2,)),
    rows("2.9-cte-seen-from-a-subquery", "WITH a AS (SELECT 2 AS n) SELECT s FROM (SELECT sum(n) AS s FROM a)", (2,)),
    rows("2.9-cte-union", "WITH a AS (SELECT 1 AS n UNION ALL SELECT 2) SELECT sum(n) AS s FROM a", (3,)),
    rows(
        "2.9-cte-keeps-property-types",
        "WITH a AS (SELECT properties.amount AS x FROM events WHERE event = 'purchase') SELECT max(x) AS m FROM a",
        (100.0,),
    ),
    rows("2.9-column-cte", "WITH 5 AS n SELECT n, n + 1 AS m", (5, 6), columns=["n", "m"]),
    rows(
        "2.9-column-cte-of-a-column",
        "WITH upper(event) AS e SELECT DISTINCT e FROM events WHERE event = 'view'",
        ("VIEW",),
    ),
    rows(
        "2.9-column-loses-to-a-table-column",
        "WITH 'x' AS event SELECT DISTINCT event FROM events WHERE event = 'view'",
        ("view",),
    ),
    rows("2.9-materialized-cte", "WITH a AS MATERIALIZED (SELECT 1 AS n) SELECT n FROM a", (1,)),
    refused("2.9-subquery-cte-as-a-value", "WITH one AS (SELECT 1) SELECT one", HogQLError, "one"),
    refused(
        "2.9-recursive-cte",
        "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 3) SELECT n FROM a",
        UnsupportedHogQL,
        "RECURSIVE",
    ),
    refused(
        "2.9-not-materialized-cte",
        "WITH a AS NOT MATERIALIZED (SELECT 1 AS n) SELECT n FROM a",
        UnsupportedHogQL,
        "NOT MATERIALIZED",
    ),
    refused("2.9-cte-column-list", "WITH a(x) AS (SELECT 1) SELECT x FROM a", UnsupportedHogQL, "column"),
    refused(
        "2.9-cte-using-key", "WITH a USING KEY (n) AS (SELECT 1 AS n) SELECT n FROM a", UnsupportedHogQL, "USING KEY"
    ),
    refused(
        "2.9-cte-not-seen-outside",
        "SELECT n FROM (WITH a AS (SELECT 1 AS n) SELECT n FROM a) JOIN a ON 1 = 1",
        UnresolvedName,
        "a",
    ),
    # sampling
    _sample("half", "0.5", 13),
    _sample("the-other-half", "0.5 OFFSET 0.5", 37),
    _sample("quarter-as-a-ratio", "1/4", 9),
    _sample("a-tenth-is-empty", "0.1", 0),
    _sample("with-offset", "0.2 OFFSET 0.1", 9),
    _sample("one-is-all", "1", 50),
    # ARRAY JOIN
    rows(
        "2.9-array-join",
        f"SELECT k, x FROM {_ARRAYS} AS t ARRAY JOIN a AS x ORDER BY k, x",
        ("p", 1),
        ("p", 2),
    ),
    rows(
        "2.9-left-array-join",
        f"SELECT k, x FROM {_ARRAYS} AS t LEFT ARRAY JOIN a AS x ORDER BY k, x",
        ("p", 1),
        ("p", 2),
        ("q", 0),
    ),
    rows(
        "2.9-array-join-of-two-goes-in-step",
        f"SELECT x, y FROM {_ARRAYS} AS t ARRAY JOIN a AS x, b AS y ORDER BY x",
        (1, "x"),
        (2, "y"),
    ),
    rows(
        "2.9-array-join-of-an-expression",
        "SELECT tag, count() AS n FROM events ARRAY JOIN JSONExtract(ifNull(properties.tags, '[]'), "
        "'Array(String)') AS tag "
        "GROUP BY tag ORDER BY tag",
        ("x", 1),
        ("y", 2),
    ),
    rows("2.9-arrayJoin-function", "SELECT arrayJoin([1, 2]) AS x ORDER BY x DESC", (2,), (1,)),
    # LIMIT BY, WITH FILL, QUALIFY, grouping
    rows(
        "2.9-limit-by",
        "SELECT distinct_id, properties.page FROM events WHERE event = 'view' ORDER BY distinct_id, timestamp "
        "LIMIT 1 BY distinct_id",
        ("gus", "home"),
        ("hal", "home"),
    ),
    rows(
        "2.9-limit-by-with-limit",
        "SELECT distinct_id, properties.page FROM events WHERE event = 'view' ORDER BY distinct_id, timestamp "
        "LIMIT 2 BY distinct_id LIMIT 3",
        ("gus", "home"),
        ("gus", "list"),
        ("hal", "home"),
    ),
    rows(
        "2.9-with-fill",
        "SELECT toDate(timestamp) AS day, count() AS n FROM events WHERE event = '$screen' OR event = 'custom' "
        "GROUP BY day ORDER BY day WITH FILL FROM toDate('2025-01-07') TO toDate('2025-01-11')",
        ("2025-01-07", 0),
        ("2025-01-08", 2),
        ("2025-01-09", 1),
        ("2025-01-10", 0),
    ),
    rows(
        "2.9-with-fill-step-and-interpolate",
        "SELECT n, v FROM (SELECT 1 AS n, 10 AS v) ORDER BY n WITH FILL FROM 1 TO 6 STEP 2 INTERPOLATE (v AS v + 1)",
        (1, 10),
        (3, 11),
        (5, 12),
    ),
    rows(
        "2.9-qualify",
        f"SELECT distinct_id, properties.page FROM events WHERE event = 'view' QUALIFY row_number() "
        f"OVER ({_BY_PERSON}) = 2 "
        "ORDER BY distinct_id",
        ("gus", "list"),
        ("hal", "list"),
    ),
    rows(
        "2.9-group-by-all",
        "SELECT event, count() AS n FROM events WHERE event IN ('view', 'checkout') GROUP BY ALL ORDER BY event",
        ("checkout", 1),
        ("view", 5),
    ),
    rows(
        "2.9-group-by-position-free-rollup",
        "SELECT event, count() AS n FROM events WHERE event IN ('view', 'checkout') GROUP BY ROLLUP(event) ORDER BY n",
        ("checkout", 1),
        ("view", 5),
        ("", 6),
    ),
    rows(
        "2.9-grouping-sets",
        "SELECT event, count() AS n FROM events WHERE event IN ('view', 'checkout') "
        "GROUP BY GROUPING SETS ((event), ()) ORDER BY n",
        ("checkout", 1),
        ("view", 5),
        ("", 6),
    ),
    rows(
        "2.9-group-by-expression",
        "SELECT length(event) AS l, count() AS n FROM events WHERE event IN ('view', 'probe') "
        "GROUP BY length(event) ORDER BY l",
        (4, 5),
        (5, 18),
    ),
    rows(
        "2.9-distinct",
        "SELECT DISTINCT distinct_id FROM events WHERE event = 'view' ORDER BY distinct_id",
        ("gus",),
        ("hal",),
    ),
    rows(
        "2.9-having",
        "SELECT event FROM events GROUP BY event HAVING count() > 9 ORDER BY event",
        ("probe",),
        ("purchase",),
    ),
    rows("2.9-prewhere", "SELECT count() FROM events PREWHERE event = 'view' WHERE distinct_id = 'hal'", (2,)),
    rows("2.9-scalar-subquery", "SELECT (SELECT count() FROM events) AS n", (50,)),
    rows("2.9-exists", "SELECT EXISTS (SELECT 1 FROM events WHERE event = 'view') AS v", (1,)),
    rows(
        "2.9-ordered-by-two",
        "SELECT a, b FROM (SELECT 1 AS a, 2 AS b UNION ALL SELECT 1, 3) ORDER BY a, b DESC",
        (1, 3),
        (1, 2),
    ),
    rows(
        "2.9-asof-join",
        "SELECT a.t, b.x FROM (SELECT 1 AS k, 5 AS t) a ASOF JOIN (SELECT 1 AS k, arrayJoin([2, 4, 6]) AS x) b "
        "ON a.k = b.k AND a.t >= b.x",
        (5, 4),
    ),
)
