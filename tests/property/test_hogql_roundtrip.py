"""The law of the printer: parsing what it prints gives the tree that was printed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from posthog_events.errors import HogQLSyntaxError, UnsupportedHogQL
from posthog_events.hogql import ast
from posthog_events.hogql.loader import load_grammar
from posthog_events.hogql.parser import Parser, Rule
from posthog_events.hogql.printer import print_hogql
from posthog_events.hogql.quoting import identifier, string
from posthog_events.queryfiles import QueryFile, library_dir, list_all, load, render
from tests.contract.corpus.loader import CASES

PARSER = Parser(load_grammar())


def check(rule: Rule, text: str) -> None:
    """Parse, print, parse again; the trees must be equal, and the second print must be the first."""
    tree = PARSER.parse(rule, text)
    printed = print_hogql(tree)

    again = PARSER.parse(rule, printed)

    assert tree == again, printed
    assert printed == print_hogql(again)


def parses(rule: Rule, text: str) -> bool:
    """Return whether PostHog's parser takes the text."""
    try:
        PARSER.parse(rule, text)
    except (HogQLSyntaxError, UnsupportedHogQL):
        return False
    return True


# -- texts that people wrote -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", sorted({case.hogql for case in CASES}))
def test_corpus_queries_survive_printing(text: str) -> None:
    """Every query of the corpus means the same after printing; what is no HogQL has no print."""
    if parses("select", text):
        check("select", text)


# -- texts from the grammar --------------------------------------------------------------------------------------

# `§` is an expression, `¤` a name, `¶` a SELECT in parentheses, `Ω` a string, `№` a small number
OPERATORS = """§ + § | § - § | § * § | § / § | § % § | - § | § = § | § == § | § != § | § <> § | § < § | § <= § | § > § | § >= §
§ LIKE § | § NOT LIKE § | § ILIKE § | § NOT ILIKE § | § =~ § | § !~ § | § =~* § | § !~* § | § ~ § | § ~* § | § IN (§, §)
§ NOT IN (§, §) | § IN ¶ | § NOT IN ¶ | § IN § | § IN COHORT № | § NOT IN COHORT Ω | § IS NULL | § IS NOT NULL | § BETWEEN § AND §
§ NOT BETWEEN § AND § | § IS DISTINCT FROM § | § IS NOT DISTINCT FROM § | § <=> § | NOT § | NOT (§) | not(§) | § AND § | § OR §
§ AND § AND § | § OR § OR § | § ? § : § | § ?? § | § || § | § AS ¤ | ¤ -> § | (¤, ¤) -> § | (§) | (§ AS ¤)""".replace(
    "\n", " | "
)
ACCESSES = """§[§] | §?.[§] | §[№:№] | §[:№] | §[№:] | §[:] | §[§:§] | (§)[§] | §.№ | §?.№ | (§).№ | §.¤ | §?.¤ | (§).¤ | (§)?.¤
§::Int64 | §::varchar(10) | § :: Array(Float64) | CAST(§ AS Float64) | CAST(§ AS Nullable(String)) | TRY_CAST(§ AS Int64) | CAST(§ AS Decimal(10, 2))
(§, §) | tuple() | tuple(§) | (§,) | [§, §] | [] | array(§) | array[§] | {} | {Ω: §} | {Ω: §, §: §} | {¤} | {¤.¤} | {§}""".replace(
    "\n", " | "
)
CALLS = """¤(§) | ¤(§, §) | ¤() | ¤(§)(§) | quantile(0.5)(§) | count(*) | count() | count(DISTINCT §) | ¤(DISTINCT §, §)
sum(§) FILTER (WHERE §) | count() FILTER (WHERE §) | groupArray(§ ORDER BY §, § DESC) | quantile(0.5)(§) WITHIN GROUP (ORDER BY §) | f(¤ := §)
§(§) | ¤.¤(§) | ¤(§)(§)(§) | if(§, §, §) | CASE WHEN § THEN § ELSE § END | CASE WHEN § THEN § WHEN § THEN § END | CASE § WHEN § THEN § ELSE § END
INTERVAL № day | INTERVAL '2 weeks' | INTERVAL '3' month | INTERVAL § hour | trim(LEADING 'x' FROM §) | EXISTS (SELECT §) | f'a {§} b' | f'{§}'
rank() OVER (PARTITION BY § ORDER BY § DESC) | sum(§) OVER (ORDER BY § ROWS BETWEEN № PRECEDING AND CURRENT ROW) | ¤(§) OVER ¤ | ¤() OVER ()
quantile(0.5)(§) OVER (PARTITION BY §, §) | ¤(§, §) OVER (ROWS UNBOUNDED PRECEDING) | lag(§) OVER (RANGE BETWEEN UNBOUNDED PRECEDING AND № FOLLOWING)
¤(§)() OVER () | ¶ | COLUMNS(Ω) | <Tag a={§} b="c"><Inner /></Tag> | <Tag>text {§}</Tag> | <Tag a />""".replace(
    "\n", " | "
)
CLAUSES = """SELECT § | SELECT DISTINCT §, § | SELECT § FROM ¤ | SELECT * FROM ¤ WHERE § | SELECT ¤.* FROM ¤ | SELECT * EXCLUDE (¤, ¤) FROM ¤
SELECT § FROM ¤ PREWHERE § WHERE § GROUP BY §, § HAVING § ORDER BY § DESC, § LIMIT № OFFSET № | SELECT § FROM ¤ GROUP BY ALL | SELECT § ORDER BY § ASC
SELECT § FROM ¤ GROUP BY ROLLUP(§, §) | SELECT § FROM ¤ GROUP BY CUBE(§) | SELECT § FROM ¤ GROUP BY GROUPING SETS ((§, §), §, ()) | SELECT § FROM ¶
SELECT § FROM ¤ AS ¤ | SELECT § FROM ¤ ¤ FINAL | SELECT § FROM ¤ SAMPLE 1/10 OFFSET 1/2 | SELECT § FROM ¤ SAMPLE 0.1 | SELECT § FROM ¶ AS ¤ | SELECT § FROM ¤.¤
SELECT § FROM ¤ JOIN ¤ ON § | SELECT § FROM ¤ AS a LEFT JOIN ¶ AS b ON § | SELECT § FROM ¤ INNER JOIN ¤ USING ¤, ¤ | SELECT § FROM ¤ JOIN ¤ USING (¤, ¤) | SELECT § FROM ¤ JOIN ¤ USING (¤)
SELECT § FROM ¤, ¤ | SELECT § FROM ¤ CROSS JOIN ¤ | SELECT § FROM ¤ ANY LEFT JOIN ¤ ON § | SELECT § FROM ¤ ASOF JOIN ¤ ON § AND § | SELECT § FROM ¤ FULL OUTER JOIN ¤ ON § SEMI LEFT JOIN ¤ ON §
SELECT § FROM numbers(№, §) | SELECT § FROM numbers(№) AS ¤ | SELECT § FROM ¤() | SELECT § FROM {¤} | SELECT § FROM ¤ ARRAY JOIN § AS ¤ | SELECT § FROM ¤ LEFT ARRAY JOIN §, § AS ¤
WITH ¶ AS ¤ SELECT § | WITH ¤ AS ¶ SELECT § FROM ¤ | WITH § AS ¤, ¤ AS ¶ SELECT § | WITH RECURSIVE ¤ AS ¶ SELECT § | WITH ¤ AS MATERIALIZED ¶ SELECT § | WITH ¤ (¤, ¤) AS ¶ SELECT §
SELECT § FROM ¤ WINDOW ¤ AS (PARTITION BY § ORDER BY §), ¤ AS () | SELECT § FROM ¤ QUALIFY § | SELECT § LIMIT № WITH TIES | SELECT § LIMIT № BY §, § | SELECT § LIMIT №, № BY §
SELECT § LIMIT № OFFSET № BY § LIMIT № | SELECT § LIMIT №, № | SELECT § OFFSET № | SELECT § ORDER BY § WITH FILL FROM № TO § STEP № | SELECT § ORDER BY § WITH FILL INTERPOLATE (¤, ¤ AS §)
SELECT § LIMIT № PERCENT | SELECT § LIMIT § | ¶ UNION ALL ¶ | ¶ UNION ¶ | SELECT § UNION DISTINCT SELECT § | ¶ INTERSECT ¶ EXCEPT ¶ | SELECT § UNION ALL ¶ | SELECT § EXCEPT SELECT § | ¶ UNION ALL ¶ LIMIT №
¶ UNION ALL ¶ ORDER BY § LIMIT № OFFSET № | ¶ INTERSECT DISTINCT ¶ | (¶ UNION ALL ¶) EXCEPT ¶ | ¶ UNION ALL (¶ INTERSECT ¶) | ¶ | SELECT § FROM (¶ UNION ALL ¶) AS ¤ | SELECT #№, § | SELECT § FROM ¤ ORDER BY #№
SELECT § FROM ¤ AS ¤ (¤, ¤) | SELECT § FROM (VALUES (1, 'a'), (2, 'b')) AS ¤ (¤, ¤) | SELECT COLUMNS(¤, ¤) FROM ¤ | SELECT ¤.COLUMNS(Ω) FROM ¤ | SELECT *COLUMNS(Ω) FROM ¤ | SELECT f(*COLUMNS(Ω)) FROM ¤""".replace(
    "\n", " | "
)


def _templates(text: str) -> list[str]:
    return [template.strip() for template in text.replace("||", "‖").split(" | ")]
