"""The guard before the parser: what it refuses, what it lets through, and that its estimate is an upper one."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from posthog_events.errors import HogQLSyntaxError
from posthog_events.hogql.guard import MAX_COST_MS, MAX_DEPTH, MAX_LENGTH, check_size, parse_cost_ms
from posthog_events.hogql.loader import load_grammar
from posthog_events.hogql.parser import Parser
from posthog_events.hogql.tokens import tokenize
from posthog_events.queryfiles import library_dir, read_query_file, render
from posthog_events.queryfiles.lint import _variants

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def check(text: str) -> None:
    """Check the size of `text` as the parser does."""
    check_size(text)


def nested(depth: int, opening: str = "(", closing: str = ")") -> str:
    """Return a SELECT with brackets `depth` deep."""
    return f"SELECT {opening * depth}1{closing * depth}"


def rendered(path: Path, **changes: object) -> str:
    """Return a query file as HogQL, with sample values."""
    file = read_query_file(path)
    values = {**next(_variants(file.params)), **changes}
    return render(file, values, clock=lambda: NOW, timezone="UTC").hogql


# -- refused -----------------------------------------------------------------------------------------------------


def test_text_may_have_fifty_thousand_characters() -> None:
    """The limit itself is allowed, one more is not; characters are code points."""
    fitting = "SELECT 'é".ljust(MAX_LENGTH - 1, "é") + "'"

    check(fitting)
    with pytest.raises(HogQLSyntaxError, match="50,001 characters; the limit is 50,000"):
        check(fitting + " ")


@pytest.mark.parametrize(("opening", "closing"), ["()", "[]", "{}"])
def test_brackets_may_be_25_deep(opening: str, closing: str) -> None:
    """The limit itself is allowed; one more is refused where it opens."""
    check(nested(MAX_DEPTH, opening, closing))

    with pytest.raises(HogQLSyntaxError, match="nested more than 25 deep") as caught:
        check(nested(MAX_DEPTH + 1, opening, closing))
    assert len("SELECT ") + MAX_DEPTH == caught.value.start


def test_depth_counts_what_is_open() -> None:
    """Brackets beside each other are not nested, and superfluous closing ones do not make room."""
    check(f"SELECT {', '.join(['(1)'] * 100)}")
    with pytest.raises(HogQLSyntaxError, match="nested"):
        check(")" * 10 + "(" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT '{'(' * 100}'",
        f"SELECT 'it''s {'(' * 100}'",
        f"SELECT 'a\\'{'(' * 100}'",
        f'SELECT "{"(" * 100}"',
        f"SELECT `{'[' * 100}`",
        f"SELECT 1 -- {'(' * 100}",
        f"SELECT 1 /* {'(' * 100} */",
        f"SELECT 1 // {'(' * 100}",
        f"SELECT f'{'(' * 100}'",
    ],
)
def test_brackets_in_strings_names_and_comments_are_text(text: str) -> None:
    """Only syntax counts."""
    check(text)


def test_brackets_after_a_string_are_not_hidden_by_it() -> None:
    """A quote inside a comment, or a doubled one, does not swallow what follows."""
    for before in ("/* ' */", "'a''b',", "'--',", '"\'",', "-- '\n"):
        with pytest.raises(HogQLSyntaxError, match="nested"):
            check(f"SELECT {before} {'(' * (MAX_DEPTH + 1)}")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "if(a, b, c, " * 22 + ", ".join(["f(g(a), h(b))"] * 200) + ")" * 22,
        "SELECT " + " AND ".join(["x"] * 4000),
        "SELECT " + ".".join(["a"] * 2000),
        "SELECT " + "NOT " * 1000 + "x",
        "SELECT " + "x -> " * 1000 + "x",
        "SELECT " + ", ".join(["f(g(h(a = 1 AND b = 2)))"] * 1500),
    ],
    ids=["calls in calls", "a chain of AND", "a chain of dots", "NOT NOT", "lambdas", "many columns"],
)
def test_costly_text_is_refused_though_it_is_short_and_flat(text: str) -> None:
    """What would keep the parser busy for long is refused with an estimate and a way out."""
    assert len(text) < MAX_LENGTH

    with pytest.raises(HogQLSyntaxError, match=r"parsing the query would take up to [0-9]+ s"):
        check(text)


def test_parser_asks_the_guard_first() -> None:
    """A refused text never reaches PostHog's parser."""
    with pytest.raises(HogQLSyntaxError, match="nested"):
        Parser().parse_expr(nested(200).removeprefix("SELECT "))


# -- accepted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(library_dir("queries").glob("*.sql")), ids=lambda path: path.stem)
def test_shipped_queries_are_accepted(path: Path) -> None:
    """Every query file of the library fits well: with sample values it costs less than a third of the limit."""
    text = rendered(path)

    check(text)
    assert parse_cost_ms(tokenize(text)) < MAX_COST_MS / 3


def test_funnel_of_twenty_steps_with_conditions_is_accepted() -> None:
    """The largest query of the library fits."""
    step = {"event": "purchase", "where": "properties.plan = 'pro' AND properties.seats > 3"}

    check(rendered(library_dir("queries") / "funnel.sql", steps=[step] * 20))


def test_long_list_of_constants_is_accepted() -> None:
    """A thousand values in an IN are no problem for the parser, nor for the guard."""
    check(f"SELECT count() FROM events WHERE event IN ({', '.join(f'{n}' for n in range(1000))})")


# -- the estimate ------------------------------------------------------------------------------------------------

SHAPES = {
    "nested ifs": "SELECT " + "if(a, b, " * 20 + "c" + ")" * 20,
    "a chain of AND": "SELECT " + " AND ".join(["x = 1"] * 200),
    "columns": "SELECT " + ", ".join(["countIf(event = 'a' AND x > 3)"] * 60),
    "subqueries": "SELECT * FROM (" * 20 + "SELECT 1" + ")" * 20,
    "cases": "SELECT " + "CASE WHEN a THEN b ELSE " * 10 + "c" + " END" * 10,
}


def seconds(text: str) -> float:
    """Return the processor time that parsing takes, the least of two."""
    parse = load_grammar().parse_select_json
    times = []
    for _ in range(2):
        start = time.process_time()
        assert '"error"' not in parse(text)[:20]
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES.keys())
def test_estimate_is_not_below_the_measured_time(text: str) -> None:
    """The guard would rather refuse too much than hang; with a factor of two for a slow machine."""
    assert seconds(text) < 2 * parse_cost_ms(tokenize(text)) / 1000


def largest(make: object) -> str:
    """Return the largest text of a shape that the guard accepts."""
    text = ""
    for size in range(1, 100_000):
        candidate = make(size)  # type: ignore[operator]
        try:
            check(candidate)
        except HogQLSyntaxError:
            return text
        text = candidate
    raise AssertionError("no limit")


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda size: "SELECT " + "f(" * 24 + ", ".join(["g(a)"] * size) + ")" * 24,
        lambda size: "SELECT " + ", ".join(["sum(if(a, b, if(c, d, e)))"] * size),
        lambda size: "SELECT " + " AND ".join(["x"] * (size * 50)),
    ],
    ids=["deep and wide", "wide", "chain"],
)
def test_worst_accepted_text_parses_in_about_ten_seconds(make: object) -> None:
    """What the guard lets through does not freeze the process for longer; with a factor of two for a slow machine."""
    assert seconds(largest(make)) < 2 * MAX_COST_MS / 1000
