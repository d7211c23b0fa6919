"""The parser: what it accepts, where its errors point and what they say, and what it keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from posthog_events.errors import HogQLError, HogQLSyntaxError, UnsupportedHogQL
from posthog_events.hogql import ast
from posthog_events.hogql.cache import DiskCache
from posthog_events.hogql.loader import Grammar, load_grammar
from posthog_events.hogql.parser import CACHE_VARIABLE, MAX_TREE_DEPTH, Parser, parse_expr, parse_select

ROOT = Path(__file__).parents[3]


def failure(text: str) -> HogQLError:
    """Return the error of parsing `text` as a SELECT."""
    with pytest.raises(HogQLError) as caught:
        parse_select(text)
    return caught.value


# -- trees -------------------------------------------------------------------------------------------------------


def test_select_becomes_a_tree() -> None:
    """A query parses to frozen nodes that compare by meaning."""
    expected = ast.SelectQuery(
        select=(ast.Field(chain=("event",)), ast.Call(name="count")),
        select_from=ast.JoinExpr(table=ast.Field(chain=("events",))),
        group_by=(ast.Constant(value=1),),
    )

    assert expected == parse_select("select event, count() -- twice\nfrom events group by 1;")


def test_expression_becomes_a_tree() -> None:
    """An expression parses on its own."""
    assert ast.And(exprs=(ast.Field(chain=("a",)), ast.Not(expr=ast.Field(chain=("b",))))) == parse_expr("a AND NOT b")


def test_spans_count_code_points() -> None:
    """A node's span cuts its own text out of the source, also after characters of several bytes."""
    text = "SELECT 'ä✓😀',\n  'é', count(x) FROM events"
    call = parse_select(text).select[2]  # type: ignore[union-attr]

    assert call.span is not None
    assert "count(x)" == text[slice(*call.span)]


# -- where errors point ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at", "line", "column"),
    [
        ("SELECT 1 FROMM events WHERE", "events", 1, 16),
        ("SELECT 'ä' FROMM events WHERE", "events", 1, 18),
        ("SELECT '😀😀' FROMM events", "events", 1, 19),
        ("SELECT 'ä✓😀',\n  'é' FROMM events WHERE", "events", 2, 13),
        ("SELECT 'ä✓😀',\r\n  'é' FROMM events WHERE", "events", 2, 13),
        ("-- ✓✓✓✓✓✓✓✓✓✓\n-- 😀\n\nSELECT 'é' FROMM events", "events", 4, 18),
        ("SELECT '😀' AS a,\n'é' @ 1", "@", 2, 5),
        ("SELECT '😀',\né", "é", 2, 1),
        ("SELECT '😀',\n  'é', x AS team_id", "x", 2, 8),
        ("SELECT '😀',\n\tf('é' 1)", "1", 2, 8),
    ],
)
def test_position_of_an_error_is_in_code_points(text: str, at: str, line: int, column: int) -> None:
    """Line and column are those that an editor shows, whatever the characters before are."""
    error = failure(text)

    assert error.start is not None
    assert text[error.start :].startswith(at)
    assert (line, column) == (error.line, error.column)


def test_caret_stands_under_the_offending_token() -> None:
    """The message shows the line with a caret as wide as the token."""
    error = failure("SELECT 'ä✓😀',\n  'é' FROMM events WHERE")

    assert ["  'é' FROMM events WHERE", "            ^^^^^^"] == error.excerpt.splitlines()


def test_name_and_first_line_place_the_text_in_its_file() -> None:
    """An error of a text that begins in the middle of a file gives the file's line."""
    with pytest.raises(HogQLSyntaxError) as caught:
        parse_select("SELECT 1\nFROMM events x", name="q.sql", first_line=10)

    assert str(caught.value).startswith("q.sql:11:7: ")


# -- what errors say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fragment", "at"),
    [
        ("SELECT a IS TRUE", "`= true`", "TRUE"),
        ("SELECT a IS NOT FALSE", "`= false`", "FALSE"),
        ("SELECT * EXCEPT (a) FROM events", "* EXCLUDE", "a"),
        ("SELECT * EXCEPT a FROM events", "* EXCLUDE", "a"),
        ("SELECT * REPLACE (1 AS a) FROM events", "name the columns", "REPLACE"),
        ("SELECT a GLOBAL IN (1)", "write IN", "IN"),
        ("SELECT a GLOBAL NOT IN (1)", "write IN", "NOT"),
        ("SELECT now() - INTERVAL 3 months", "singular unit", "months"),
        ("SELECT EXTRACT(day FROM x)", "toDayOfMonth", "FROM"),
        ("SELECT lag(x) IGNORE NULLS OVER ()", "IGNORE NULLS", "OVER"),
        ("SELECT first_value(x) RESPECT NULLS OVER ()", "RESPECT NULLS", "NULLS"),
        ("SELECT 2 ** 3", "pow(x, y)", "3"),
        ("SELECT a XOR b", "xor(a, b)", "b"),
        ("SELECT 5 DIV 2", "intDiv(a, b)", "2"),
        ("SELECT 5 MOD 2", "a % b", "2"),
        ("SELECT a RLIKE 'x'", "=~", "'x'"),
        ("SELECT a REGEXP 'x'", "=~", "'x'"),
        ("SELECT a FROM events FETCH FIRST 3 ROWS ONLY", "LIMIT", "3"),
        ("SELECT 'a' 'b'", "side by side", "'b'"),
        ("SELECT 1; SELECT 2", "only one statement", "SELECT 2"),
        ("INSERT INTO events SELECT 1", "starts with SELECT", "INSERT"),
        ("EXPLAIN SELECT 1", "starts with SELECT", "EXPLAIN"),
        ("VALUES (1)", "starts with SELECT", "VALUES"),
        ("SELECT 2 & 3", "bitAnd", "&"),
        ("SELECT a || b | c", "bitAnd", "| c"),
        ("SELECT !a", "NOT", "!"),
        ("SELECT ~1", "bitAnd", "~"),
        ("SELECT “a”", "typographic quote", "“"),
        ("SELECT 3 – 2", "typographic dash", "–"),
        ("SELECT ?", "{name}", "?"),
        ("SELECT :name", "{name}", ":"),
        ("SELECT @name", "{name}", "@"),
        ("SELECT %(name)s", "{name}", "%"),
        ("SELECT let FROM events", "back-ticks", "let"),
        ("SELECT 'abc", "never closed", "'abc"),
        (r"SELECT '\d+'", r"`\d` is no escape sequence", r"\d"),
        ('SELECT "abc', "never closed", '"abc'),
        ("SELECT `abc", "never closed", "`abc"),
        ("SELECT (1 /* more", "comment /* is never closed", "/*"),
        ("SELECT f(1, [2, 3)", "a `[` is open here", ")"),
        ("SELECT f(1, [2, 3]", "the `(` is never closed", "(1"),
        ("SELECT {name", "the `{` is never closed", "{name"),
        ("SELECT a FROM events WHERE", "unexpected end of the query", ""),
        ("SELEC 1", "unexpected `SELEC`", "SELEC"),
        ("SELECT (1))", "no bracket is open here", ")"),
        ("SELECT x AS team_id", "reserved keyword", "x"),
    ],
)
def test_syntax_error_says_what_to_change(text: str, fragment: str, at: str) -> None:
    """The sentence names the cause, and points at the place where reading stopped."""
    error = failure(text)

    assert isinstance(error, HogQLSyntaxError)
    assert fragment in error.message
    assert "expecting" not in error.message
    assert error.start is not None
    assert text[error.start :].startswith(at)


@pytest.mark.parametrize(
    ("text", "fragment", "at"),
    [
        ("SELECT DATE '2026-01-31'", "toDate('...')", "DATE"),
        ("SELECT 'é',\n TIMESTAMP '2026-01-31 08:00:00'", "toDateTime(", "TIMESTAMP"),
        ("SELECT substring('abc' FROM 2)", "substring(text, start, length)", "substring"),
        ("SELECT TOP 3 event, 'top 3' FROM events", "LIMIT", "TOP"),
        ("SELECT 1 SETTINGS max_threads = 1", "remove it", "SETTINGS"),
        ("SELECT INTERVAL '3 fortnights'", "'3 days'", "INTERVAL"),
        ("SELECT INTERVAL 'x days'", "'3 days'", "INTERVAL"),
    ],
)
def test_what_the_parser_refuses_has_a_substitute(text: str, fragment: str, at: str) -> None:
    """Syntax that the grammar knows and the parser does not build says what to write, and stands where it is."""
    error = failure(text)

    assert fragment in error.message
    assert "Unsupported" not in error.message
    assert isinstance(error, UnsupportedHogQL)
    assert error.start is not None
    assert text[error.start :].startswith(at)


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_empty_text_is_refused(text: str) -> None:
    """There is nothing to run, and no place to point at."""
    assert "the query is empty" == str(failure(text))


def test_lone_surrogate_is_refused_where_it_stands() -> None:
    """Half a character cannot be sent to the parser."""
    error = failure("SELECT 'a\ud800b'")

    assert "surrogate" in error.message
    assert (9, 10) == (error.start, error.end)


def test_other_than_text_is_refused() -> None:
    """A caller who passes bytes learns so without a traceback of the parser."""
    with pytest.raises(HogQLSyntaxError, match="bytes"):
        parse_select(b"SELECT 1")  # type: ignore[arg-type]


def test_expression_is_no_query() -> None:
    """What parses in place of a query but is none is refused."""
    assert "this is not a SELECT" == failure("{query}").message


# -- the cache ---------------------------------------------------------------------------------------------------


class Counting:
    """Loads PostHog's parser and counts what it parses."""

    def __init__(self, version: str = "1") -> None:
        self.version, self.calls = version, list[str]()

    def __call__(self) -> Grammar:
        real = load_grammar()

        def parse(text: str) -> str:
            self.calls.append(text)
            return real.parse_select_json(text)

        return replace(real, version=self.version, parse_select_json=parse)


TEXT = "SELECT 'é' FROM events"


def test_second_parse_comes_from_memory() -> None:
    """A parser asks the grammar once for one text."""
    counting = Counting()
    parser = Parser(load=counting)

    assert parser.parse_select(TEXT) is parser.parse_select(TEXT)
    assert [TEXT] == counting.calls


def test_second_process_reads_the_tree_from_disk(tmp_path: Path) -> None:
    """Another parser with the same cache gets an equal tree without the grammar."""
    first, second = Counting(), Counting()
    tree = Parser(cache_dir=tmp_path / "new", load=first).parse_select(TEXT)

    again = Parser(cache_dir=tmp_path / "new", load=second).parse_select(TEXT)

    assert tree == again
    assert ([TEXT], []) == (first.calls, second.calls)


def test_tree_of_another_parser_version_is_not_read(tmp_path: Path) -> None:
    """A new grammar may mean something else by the same text."""
    counting = Counting("2")
    Parser(cache_dir=tmp_path, load=Counting("1")).parse_select(TEXT)

    Parser(cache_dir=tmp_path, load=counting).parse_select(TEXT)

    assert [TEXT] == counting.calls


@pytest.mark.parametrize(("variable", "entries"), [("cache", 1), ("", 0)])
def test_variable_names_the_directory_or_turns_it_off(tmp_path: Path, variable: str, entries: int) -> None:
    """The module's own functions keep trees where the environment says, or only in memory."""
    directory = tmp_path / variable
    environment = {**os.environ, CACHE_VARIABLE: str(directory) if variable else "", "XDG_CACHE_HOME": str(tmp_path)}

    script = "from posthog_events.hogql.parser import parse_select; parse_select('SELECT 1')"
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, check=True)

    assert entries == len(list(tmp_path.rglob("*.json")))
    assert not variable or entries == len(list(directory.iterdir()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: b"",
        lambda entry: entry[: len(entry) // 2],
        lambda entry: b"\xff\xfe\x00",
        lambda entry: b"[]",
        lambda entry: b"null",
        lambda entry: b'{"header": {}}',
        lambda entry: entry.replace(b'"select"', b'"expr"', 1),
        lambda entry: json.dumps({**json.loads(entry), "tree": "x"}).encode(),
    ],
    ids=["empty", "half", "no text", "a list", "null", "no tree", "other rule", "tree of another kind"],
)
def test_damaged_entry_is_parsed_anew(tmp_path: Path, damage: object) -> None:
    """An entry that cannot be trusted is as good as none, and is replaced."""
    tree = Parser(cache_dir=tmp_path, load=Counting()).parse_select(TEXT)
    (path,) = tmp_path.iterdir()
    sound = path.read_bytes()
    path.write_bytes(damage(sound))  # type: ignore[operator]
    counting = Counting()

    assert tree == Parser(cache_dir=tmp_path, load=counting).parse_select(TEXT)
    assert [TEXT] == counting.calls
    assert sound == path.read_bytes()


def test_unusable_directory_costs_time_only(tmp_path: Path) -> None:
    """Where nothing can be written, nothing is kept and nothing fails."""
    (tmp_path / "file").write_text("not a directory")
    directory = tmp_path / "file" / "cache"

    assert isinstance(Parser(cache_dir=directory).parse_select(TEXT), ast.SelectQuery)
    assert DiskCache(directory, "1").get("select", TEXT) is None


def test_interrupted_write_leaves_no_entry(tmp_path: Path) -> None:
    """What cannot be written whole is not there at all, nor is its temporary file."""
    cache = DiskCache(tmp_path, "1")

    with pytest.raises(TypeError):
        cache.put("select", TEXT, {"tree": object()})

    assert [] == list(tmp_path.iterdir())


def test_full_cache_loses_its_older_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache does not grow without bound."""
    monkeypatch.setattr("posthog_events.hogql.cache.MAX_ENTRIES", 4)
    cache = DiskCache(tmp_path, "1")

    for number in range(5):
        cache.put("select", f"SELECT {number}", {"number": number})

    assert 3 == len(list(tmp_path.iterdir()))
    assert {"number": 4} == cache.get("select", "SELECT 4")


def test_errors_are_not_kept(tmp_path: Path) -> None:
    """Only trees are; an error is found again, with the caller's name for the text."""
    parser = Parser(cache_dir=tmp_path)

    for name in ("a.sql", "b.sql"):
        with pytest.raises(HogQLSyntaxError) as caught:
            parser.parse_select("SELECT 1 FROMM x y", name=name)
        assert name == caught.value.name
    assert [] == list(tmp_path.iterdir())


def test_entry_that_holds_no_tree_is_parsed_anew(tmp_path: Path) -> None:
    """An entry with the right header and a node of another grammar is replaced as well."""
    counting = Counting()
    DiskCache(tmp_path, "1").put("select", TEXT, {"node": "Unheard"})

    tree = Parser(cache_dir=tmp_path, load=counting).parse_select(TEXT)

    assert isinstance(tree, ast.SelectQuery)
    assert [TEXT] == counting.calls
    assert "SelectQuery" == DiskCache(tmp_path, "1").get("select", TEXT)["node"]  # type: ignore[index]


def test_tree_too_deep_to_walk_is_refused() -> None:
    """A chain of operators without brackets nests the tree; beyond the limit it is refused, not a RecursionError."""
    parse_expr(" + ".join(["x"] * MAX_TREE_DEPTH))

    with pytest.raises(HogQLSyntaxError, match=f"nests more than {MAX_TREE_DEPTH}"):
        parse_expr(" + ".join(["x"] * (MAX_TREE_DEPTH + 2)))
