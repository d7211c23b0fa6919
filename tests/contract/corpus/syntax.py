"""Refused by name (reference 3.1), rewritten by the parser (1.6), dropped by it (fact 4), and no HogQL at all (1.4)."""

from __future__ import annotations

from posthog_events.errors import HogQLError, HogQLSyntaxError, UnresolvedName, UnsupportedHogQL
from tests.contract.corpus.cases import Case, refused, rows, value


def _no_syntax(id_: str, hogql: str, at: str | None = None, *fragments: str) -> Case:
    return refused(f"1.4-{id_}", hogql, HogQLSyntaxError, *fragments, at=at)


def _elsewhere(name: str) -> Case:
    """A table that PostHog has and this engine has not."""
    return refused(f"3.1-table-{name}", f"SELECT 1 FROM {name}", UnsupportedHogQL, name, at=name)


CASES = (
    # refused by name
    *map(
        _elsewhere,
        (
            "system.insights",
            "system.cohorts",
            "session_replay_events",
            "raw_session_replay_events",
            "logs",
            "heatmaps",
            "query_log",
            "document_embeddings",
            "posthog.ai_events",
        ),
    ),
    refused(
        "3.1-saved-view-or-warehouse-table",
        "SELECT 1 FROM stripe.charges",
        UnresolvedName,
        "stripe.charges",
        at="stripe",
    ),
    refused("3.1-table-suggestion", "SELECT 1 FROM person", UnresolvedName, "persons", at="person"),
    refused("3.1-final", "SELECT event FROM events FINAL", UnsupportedHogQL, "FINAL"),
    refused("3.1-pivot", "SELECT * FROM events PIVOT (count() FOR event IN ('a'))", UnsupportedHogQL, "PIVOT"),
    refused("3.1-unpivot", "SELECT * FROM plans UNPIVOT (v FOR k IN (price, seats))", UnsupportedHogQL, "UNPIVOT"),
    refused("3.1-values", "SELECT * FROM (VALUES (1, 'a')) AS t", UnsupportedHogQL, "VALUES"),
    refused(
        "3.1-try-cast-in-where",
        "SELECT 1 FROM events WHERE TRY_CAST(event AS int) = 1",
        UnsupportedHogQL,
        "TRY_CAST",
        at="TRY_CAST",
    ),
    refused("3.1-table-function-other-than-numbers", "SELECT * FROM zeros(3)", HogQLError, "zeros", at="zeros"),
    refused("3.1-arguments-to-a-plain-table", "SELECT * FROM events(3)", HogQLError, "events"),
    refused("3.1-hog-program", "let x := 1; return x", HogQLSyntaxError),
    # the parser's own rewrites
    rows("1.6-equals-and-not-equals", "SELECT 1 == 1 AS a, 1 <> 1 AS b", (1, 0)),
    rows("1.6-minus-x-is-zero-minus-x", "SELECT -number FROM numbers(1)", (0,), columns=["minus(0, number)"]),
    value("1.6-pipes-are-concat", "'a' || 1", "a1"),
    rows("1.6-nullish", "SELECT NULL ?? 'a' AS a, 'b' ?? 'a' AS b", ("a", "b")),
    value("1.6-ternary", "1 = 1 ? 'yes' : 'no'", "yes"),
    value("1.6-case-one-branch", "CASE WHEN 1 = 2 THEN 'a' END", None),
    value("1.6-case-many-branches", "CASE WHEN 1 = 2 THEN 'a' WHEN 1 = 1 THEN 'b' ELSE 'c' END", "b"),
    value("1.6-case-with-expression", "CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' ELSE 'z' END", "b"),
    rows(
        "1.6-case-with-expression-of-a-column",
        "SELECT CASE number WHEN 0 THEN 'none' WHEN 1 THEN 'one' ELSE 'many' END AS v FROM numbers(3) ORDER BY number",
        ("none",),
        ("one",),
        ("many",),
    ),
    value("1.6-interval", "toDate('2025-01-06') + INTERVAL 2 week", "2025-01-20"),
    value("1.6-interval-text", "toDate('2025-01-06') + INTERVAL '2 weeks'", "2025-01-20"),
    value("1.6-interval-quoted-number", "toDate('2025-01-06') + INTERVAL '3' month", "2025-04-06"),
    value("1.6-trim-leading", "trim(LEADING 'x' FROM 'xax')", "ax"),
    value("1.6-trim-trailing", "trim(TRAILING 'x' FROM 'xax')", "xa"),
    value("1.6-trim-both", "trim(BOTH 'x' FROM 'xax')", "a"),
    rows(
        "1.6-limit-pair-is-limit-then-offset", "SELECT number FROM numbers(20) ORDER BY number LIMIT 2, 5", (5,), (6,)
    ),
    rows("1.6-comments", "SELECT 1 /* one */ AS a, -- two\n 2 // three\n AS b # four", (1, 2)),
    value("1.6-double-slash-is-a-comment", "6 // 2\n", 6),
    value("1.6-array-word", "array[1, 2]", [1, 2]),
    value("1.6-string-escapes", r"'it\'s' || '' || 'a''b' || '\\d' || '\t'", "it'sa'b\\d\t"),
    value("1.6-template-string", "f'a{1 + 1}b'", "a2b"),
    value("1.6-number-with-exponent", "1e3", 1000.0),
    value("1.6-big-integer", "18446744073709551615", 18446744073709551615, "UInt64"),
    rows("1.6-underscore-after-a-number-is-an-alias", "SELECT 1_000", (1,), columns=["_000"]),
    rows("1.6-implicit-alias", "SELECT 1 a, 2 b", (1, 2), columns=["a", "b"]),
    rows("1.6-trailing-semicolon", "SELECT 1 AS a;", (1,)),
    rows("1.6-keywords-in-any-case", "sElEcT event FrOm events wHeRe event = 'checkout'", ("checkout",)),
    rows("1.6-any-join-either-order", "SELECT count() FROM plans a LEFT ANY JOIN plans b ON a.plan = b.plan", (4,)),
    # dropped in silence by the parser, so it runs with a warning
    rows(
        "1.6-dropped-nulls-first",
        "SELECT properties.w AS v FROM events WHERE event = 'checkout' ORDER BY v NULLS FIRST",
        (None,),
        warning="NULLS FIRST",
    ),
    rows("1.6-dropped-nulls-last", "SELECT 1 AS v ORDER BY v NULLS LAST", (1,), warning="NULLS LAST"),
    rows("1.6-dropped-collate", "SELECT 'a' AS v ORDER BY v COLLATE 'de'", ("a",), warning="COLLATE"),
    rows(
        "1.6-dropped-with-totals",
        "SELECT event, count() AS n FROM events WHERE event = 'view' GROUP BY event WITH TOTALS",
        ("view", 5),
        warning="WITH TOTALS",
    ),
    rows(
        "1.6-dropped-with-rollup",
        "SELECT event, count() AS n FROM events WHERE event = 'view' GROUP BY event WITH ROLLUP",
        ("view", 5),
        warning="WITH ROLLUP",
    ),
    rows(
        "1.6-dropped-order-of-a-union",
        "(SELECT 1 AS a) UNION ALL (SELECT 2 AS a) ORDER BY a DESC",
        (1,),
        (2,),
        ordered=False,
        warning="ORDER BY",
    ),
    rows(
        "1.6-dropped-filter-on-a-window",
        "SELECT sum(number) FILTER (WHERE number > 0) OVER () AS v FROM numbers(2) LIMIT 1",
        (1,),
        warning="FILTER",
    ),
    rows(
        "1.6-no-warning-for-text-and-comments",
        "SELECT 'ORDER BY x NULLS FIRST COLLATE' AS v -- WITH TOTALS",
        ("ORDER BY x NULLS FIRST COLLATE",),
    ),
    # not HogQL
    _no_syntax("misspelt-select", "SELEC 1", "SELEC"),
    _no_syntax("nothing", ""),
    _no_syntax("only-a-comment", "-- nothing"),
    _no_syntax("two-statements", "SELECT 1; SELECT 2", "SELECT 2"),
    _no_syntax("open-parenthesis", "SELECT (1"),
    _no_syntax("open-string", "SELECT 'abc"),
    _no_syntax("unknown-character", "SELECT 1 @ 2", "@"),
    _no_syntax("unknown-escape", r"SELECT '\d+'"),
    _no_syntax("position-after-unicode-and-lines", "SELECT 'ä✓😀',\n  'é' FROMM events WHERE", "events"),
    _no_syntax("extract-from", "SELECT EXTRACT(day FROM timestamp) FROM events"),
    _no_syntax("global-in", "SELECT 1 GLOBAL IN (1)"),
    _no_syntax("asterisk-except", "SELECT * EXCEPT (event) FROM events"),
    _no_syntax("is-true", "SELECT 1 IS TRUE"),
    _no_syntax("xor-operator", "SELECT 1 XOR 1"),
    _no_syntax("double-asterisk", "SELECT 2 ** 3"),
    _no_syntax("ampersand", "SELECT 2 & 3"),
    _no_syntax("adjacent-strings", "SELECT 'a' 'b'"),
    _no_syntax("explain", "EXPLAIN SELECT 1", "EXPLAIN"),
    _no_syntax("insert", "INSERT INTO events SELECT 1", "INSERT"),
    _no_syntax("bare-interval-plural", "SELECT INTERVAL 3 months"),
    _no_syntax("ignore-nulls", "SELECT lag(event) IGNORE NULLS OVER () FROM events"),
    _no_syntax("too-deep", f"SELECT {'(' * 40}1{')' * 40}"),
    _no_syntax("too-long", f"SELECT '{'a' * 60_000}'"),
    refused("1.4-date-literal", "SELECT DATE '2025-01-01'", HogQLError),
    refused("1.4-timestamp-literal", "SELECT TIMESTAMP '2025-01-01 00:00:00'", HogQLError),
    refused("1.4-substring-from", "SELECT SUBSTRING('abc' FROM 2)", HogQLError),
    refused("1.4-top", "SELECT TOP 5 event FROM events", HogQLError),
    refused("1.4-settings", "SELECT 1 FROM events SETTINGS max_threads = 1", HogQLError),
)
