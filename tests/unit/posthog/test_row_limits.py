"""What is read from a text about its LIMITs."""

from __future__ import annotations

import pytest

from posthog_events.posthog.row_limits import RowLimit, row_limit

BARE = RowLimit(None, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", BARE),
        ("SELECT 1 LIMIT 5", RowLimit(5, True)),
        ("SELECT 1 limit 70000", RowLimit(70_000, True)),
        ("SELECT 1 LIMIT 5 OFFSET 2", RowLimit(5, True)),
        ("SELECT 1 LIMIT 5, 10", RowLimit(10, True)),
        ("SELECT 1 LIMIT 2 + 3", RowLimit(None, True)),
        ("SELECT 1 LIMIT {n}", RowLimit(None, True)),
        ("SELECT a FROM t LIMIT 1 BY a", BARE),
        ("SELECT a FROM t LIMIT 1 BY a LIMIT 7", RowLimit(7, True)),
        ("SELECT a FROM (SELECT a FROM t LIMIT 3)", BARE),
        ("SELECT 'LIMIT 3' -- LIMIT 3", BARE),
        ("(SELECT 1 LIMIT 4)", RowLimit(4, True)),
        ("SELECT * EXCEPT (a) FROM t LIMIT 3", RowLimit(3, True)),
        ("SELECT 1 LIMIT 1 UNION ALL SELECT 2 LIMIT 1", RowLimit(None, True)),
        ("SELECT 1 UNION ALL SELECT 2 LIMIT 1", RowLimit(None, True, ("SELECT 1",))),
        ("(SELECT 1) UNION ALL (SELECT 2 LIMIT 1)", RowLimit(None, True, ("(SELECT 1)",))),
        (
            "WITH x AS (SELECT 1) SELECT 1 LIMIT 9 UNION ALL SELECT 2",
            RowLimit(None, True, ("WITH x AS (SELECT 1) SELECT 2",)),
        ),
    ],
)
def test_limits_are_read_from_the_text(text: str, expected: RowLimit) -> None:
    """Strings, comments, subqueries and `LIMIT BY` are not the query's LIMIT; branches of a union have their own."""
    assert expected == row_limit(text)
