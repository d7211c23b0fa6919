"""What the parser drops: found in the text, and proven on the tree."""

from __future__ import annotations

import pytest

from posthog_events.hogql.dropped import dropped_syntax
from posthog_events.hogql.parser import parse_select

# the query, the part that is dropped
DROPPED = [
    ("SELECT a FROM t ORDER BY a DESC NULLS FIRST", "NULLS FIRST"),
    ("SELECT a FROM t ORDER BY a nulls last, b", "nulls last"),
    ("SELECT f(a) OVER (ORDER BY a NULLS FIRST) FROM t", "NULLS FIRST"),
    ("SELECT a FROM t ORDER BY a COLLATE 'en'", "COLLATE 'en'"),
    ("SELECT a, count() FROM t GROUP BY a WITH TOTALS", "WITH TOTALS"),
    ("SELECT a, count() FROM t GROUP BY a WITH ROLLUP", "WITH ROLLUP"),
    ("SELECT a, count() FROM t GROUP BY a WITH CUBE", "WITH CUBE"),
    ("SELECT sum(a) FILTER (WHERE (b) > 1) OVER (PARTITION BY c) FROM t", "FILTER (WHERE (b) > 1)"),
    ("(SELECT 1 AS a UNION ALL SELECT 2 AS a) ORDER BY a", "ORDER BY a"),
    ("SELECT f(1)(DISTINCT a) OVER () FROM t", "DISTINCT"),
    ("SELECT a FROM t NATURAL JOIN u", "NATURAL"),
    ("SELECT a FROM t natural left join u", "natural"),
    ("SELECT a FROM t LIMIT 1 LIMIT 2", "LIMIT 1"),
    ("SELECT a FROM (SELECT a FROM t LIMIT f(1) LIMIT 2) LIMIT 3", "LIMIT f(1)"),
    ("SELECT a FROM ((SELECT 1 AS a) UNION ALL (SELECT 2 AS a) ORDER BY a)", "ORDER BY a"),
]


@pytest.mark.parametrize(("text", "part"), DROPPED)
def test_reported_part_has_no_effect(text: str, part: str) -> None:
    """The text without the part parses to the same tree, and the report points at the part."""
    (dropped,) = dropped_syntax(text)

    assert parse_select(text) == parse_select(text.replace(part, ""))
    assert text.index(part) == dropped.start
    assert part.startswith(text[dropped.start : dropped.end])
    assert "has no effect" in dropped.message


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'NULLS FIRST WITH TOTALS' FROM t",
        "SELECT a FROM t -- WITH TOTALS",
        "SELECT a /* ORDER BY a NULLS LAST */ FROM t",
        "SELECT `nulls`, `first` FROM t",
        "SELECT sum(a) FILTER (WHERE b) FROM t",
        "SELECT sum(a) OVER (ORDER BY b) FROM t",
        "SELECT a FROM (SELECT a FROM t ORDER BY a) ORDER BY a",
        "SELECT a FROM t WHERE (a) ORDER BY a",
        "SELECT a FROM t WHERE a IN (SELECT b FROM u) ORDER BY a",
        "WITH t AS (SELECT 1 AS a) SELECT a FROM t ORDER BY a",
        "SELECT f(a) OVER (PARTITION BY (b) ORDER BY a) FROM t",
        "SELECT a FROM t GROUP BY ROLLUP(a)",
        "SELECT f(DISTINCT a) FROM t",
        "SELECT DISTINCT a, sum(b) OVER () FROM t",
        "SELECT natural FROM t JOIN u ON true",
        "SELECT * EXCLUDE (a) FROM t",
        "SELECT a FROM t LIMIT 1 BY a LIMIT 2",
        "SELECT limit, limit FROM t WHERE limit = 1 LIMIT 2",
        "SELECT t.limit AS limit FROM t LIMIT 2",
        "SELECT a FROM (SELECT a FROM t LIMIT 1) LIMIT 2",
        "SELECT 1 UNION ALL SELECT 2 LIMIT 1 LIMIT 2",
        "SELECT 1 LIMIT 1 UNION ALL SELECT 2 LIMIT 2",
        "(SELECT 1 LIMIT 1) UNION ALL (SELECT 2 LIMIT 2) LIMIT 3",
        "",
    ],
)
def test_syntax_with_effect_is_not_reported(text: str) -> None:
    """Strings, comments, quoted names, and clauses that the parser keeps are none of the dropped."""
    assert () == dropped_syntax(text)


def test_every_dropped_part_is_reported_in_order() -> None:
    """A query can lose more than one part."""
    text = "SELECT a FROM t GROUP BY a WITH TOTALS ORDER BY a NULLS LAST"

    assert ["WITH TOTALS", "NULLS LAST"] == [text[part.start : part.end] for part in dropped_syntax(text)]


def test_table_before_exclude_is_lost() -> None:
    """`t.* EXCLUDE (a)` means the columns of every table, whatever stands before it."""
    text = "SELECT t.* EXCLUDE (a) FROM t JOIN u ON true"

    (dropped,) = dropped_syntax(text)

    assert parse_select(text) == parse_select("SELECT * EXCLUDE (a) FROM t JOIN u ON true")
    assert "t.* EXCLUDE" == text[dropped.start : dropped.end]


def test_open_comment_is_a_division() -> None:
    """A comment that is never closed parses, as something nobody meant."""
    text = "SELECT 1 /* one"

    (dropped,) = dropped_syntax(text)

    assert parse_select(text) == parse_select("SELECT 1 / * AS one")
    assert "/*" == text[dropped.start : dropped.end]
