"""The lexer: what is one token, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_events.hogql.tokens import Kind, Token, tokenize


def texts(text: str) -> list[str]:
    """Return the texts of the tokens."""
    return [token.text for token in tokenize(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select a.b", ["select", "a", ".", "b"]),
        ("$x1 _y", ["$x1", "_y"]),
        ("1 1.5 1e5 1.5E-3 0x1F", ["1", "1.5", "1e5", "1.5E-3", "0x1F"]),
        ("a.1.2", ["a", ".", "1.2"]),
        ("x::Int", ["x", "::", "Int"]),
        ("a->b", ["a", "->", "b"]),
        ("a>=b<=c<>d!=e==f", ["a", ">=", "b", "<=", "c", "<>", "d", "!=", "e", "==", "f"]),
        ("a=~b!~c=~*d!~*e", ["a", "=~", "b", "!~", "c", "=~*", "d", "!~*", "e"]),
        ("a??b||c?.d:=e", ["a", "??", "b", "||", "c", "?.", "d", ":=", "e"]),
        ("'a' 'it''s' 'b\\'c' ''", ["'a'", "'it''s'", "'b\\'c'", "''"]),
        ("'two\nlines'", ["'two\nlines'"]),
        ('"a" "b""c" `d``e`', ['"a"', '"b""c"', "`d``e`"]),
        ("é", ["é"]),
    ],
)
def test_text_is_cut_into_tokens(text: str, expected: list[str]) -> None:
    """Operators are as long as they can be; a string ends at its own quote."""
    assert expected == texts(text)


@pytest.mark.parametrize(
    "comment", ["-- b", "// b", "# b", "/* b */", "/* 'b */", "-- 'b", "/*\n*/", "/* /* */", "--", "#"]
)
def test_comments_are_no_tokens(comment: str) -> None:
    """All four kinds of comment are skipped, with quotes in them."""
    assert ["a", "c"] == texts(f"a {comment}\nc")


def test_comment_signs_in_strings_and_names_are_text() -> None:
    """What stands in quotes starts no comment."""
    assert ["'-- a'", ",", '"/* b"', ",", "`# c`"] == texts("'-- a', \"/* b\", `# c`")


def test_hash_before_a_digit_is_a_position() -> None:
    """`#1` is the first column, no comment."""
    assert ["#", "1"] == texts("#1")


@pytest.mark.parametrize(
    ("text", "kind", "at"),
    [
        ("SELECT 'abc", Kind.OPEN_QUOTE, 7),
        (r"SELECT '\d'", Kind.OPEN_QUOTE, 7),
        ('SELECT "abc', Kind.OPEN_QUOTE, 7),
        ("SELECT 'a', `b", Kind.OPEN_QUOTE, 12),
        ("SELECT 1 /* x", Kind.OPEN_COMMENT, 9),
    ],
)
def test_what_does_not_end_is_marked_where_it_begins(text: str, kind: Kind, at: int) -> None:
    """An unclosed quote or comment is a token of its own kind."""
    assert at == next(token for token in tokenize(text) if token.kind is kind).start


def test_template_string_holds_text_and_code() -> None:
    """In `f'...'` the braces are code, nested templates and strings included."""
    tokens = tokenize("f'a ( {f(b, 'c}')} d' + e")

    assert ["f'", "a ( ", "{", "f", "(", "b", ",", "'c}'", ")", "}", " d", "'", "+", "e"] == [t.text for t in tokens]
    assert [Kind.TEXT, Kind.TEXT] == [token.kind for token in tokens if token.text in ("a ( ", " d")]


def test_tag_holds_text_and_code() -> None:
    """Between tags is text, in braces is code, and after the last tag is code again."""
    tokens = tokenize("<a b='c'>it's ( {x + 1}<d /></a> < y")

    assert ["it's ( "] == [token.text for token in tokens if token.kind is Kind.TEXT]
    assert ["{", "x", "+", "1", "}", "<", "d", "/>", "</", "a", ">", "<", "y"] == [token.text for token in tokens][-13:]


@pytest.mark.parametrize("text", ["a < b", "a <b> c", "a<b", "a < b and c > d"])
def test_less_than_is_no_string(text: str) -> None:
    """A comparison keeps what follows it in sight."""
    assert "b" in [token.word for token in tokenize(text)]


def test_word_is_lower_case_and_of_words_only() -> None:
    """Keywords compare in lower case; the text of strings is no keyword."""
    assert ["select", "", ""] == [token.word for token in tokenize("SELECT 'from' `from`")]


def test_positions_count_code_points() -> None:
    """A position cuts the token out of the text."""
    assert Token(Kind.WORD, "b", 6, 7) == tokenize("'😀é', b")[2]


@given(st.text(st.sampled_from("ab1 '\"`\\{}<>/*-#f(.)\n;é$=~:?!|"), max_size=40))
def test_every_text_has_tokens_in_order(text: str) -> None:
    """Nothing makes the lexer fail; tokens do not overlap, and each is the text at its place."""
    end = 0
    for token in tokenize(text):
        assert end <= token.start < token.end <= len(text)
        assert text[token.start : token.end] == token.text
        end = token.end
