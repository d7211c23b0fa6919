"""ClickHouse DSNs and the sentences made of ClickHouse's errors."""

from __future__ import annotations

import pytest

from posthog_events.clickhouse.client_errors import brief, translate
from posthog_events.clickhouse.dsn import Embedded, Server, parse_dsn
from posthog_events.errors import ConfigError, EngineError, MemoryExceeded, QueryCancelled, QueryTimeout


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("chdb://memory", Embedded()),
        ("clickhouse://db.example", Server("db.example", 8123)),
        ("clickhouse://db.example/?secure=1", Server("db.example", 8443, secure=True)),
        ("clickhouse://db.example:9443/events?secure=true", Server("db.example", 9443, "events", secure=True)),
        ("clickhouse://me:p%40ss%2Fw@[::1]:8124/my%20db", Server("::1", 8124, "my db", "me", "p@ss/w")),
    ],
)
def test_dsn_is_read(dsn: str, expected: Embedded | Server) -> None:
    """Host, port, user, password and database come from their places; ports default to the HTTP ones."""
    assert expected == parse_dsn(dsn)


def test_password_of_the_dsn_comes_first() -> None:
    """A password given beside the DSN is used only when the DSN has none."""
    passwords = [parse_dsn(dsn, password="env") for dsn in ("clickhouse://me:own@h", "clickhouse://me@h")]

    assert ["own", "env"] == [server.password for server in passwords if isinstance(server, Server)]


def test_dsn_is_shown_without_its_password() -> None:
    """str() and repr() leave the password out."""
    server = parse_dsn("clickhouse://me:hunter2@[::1]/db?secure=1")

    assert "clickhouse://me@[::1]:8443/db?secure=1" == str(server)
    assert "hunter2" not in repr(server)


@pytest.mark.parametrize(
    "dsn",
    [
        "clickhouse://",
        "clickhouse://me:hunter2@h:port/",
        "clickhouse://me:hunter2@h/a/b",
        "clickhouse://me:hunter2@h/?tls=1",
        "clickhouse://me:hunter2@h/?secure=maybe",
        "clickhouse://me:hunter2@[::1/",
        "http://me:hunter2@h/",
        "chdb://disk",
        "chdb:///srv/data",
        "chdb://memory/db",
    ],
)
def test_unusable_dsn_is_refused_without_showing_it(dsn: str) -> None:
    """The message says what is wrong and never repeats the password."""
    with pytest.raises(ConfigError) as caught:
        parse_dsn(dsn)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            (
                "Code: 47. DB::Exception: Unknown identifier `foo`. Maybe you meant: ['food']. In scope SELECT foo. "
                "(UNKNOWN_IDENTIFIER) (version 26.9.1.1 (official build))"
            ),
            "Unknown identifier `foo`. Maybe you meant: ['food']",
        ),
        (
            (
                "Code: 47. DB::Exception: Unknown identifier `foo` in scope SELECT foo. Maybe you meant: ['food']. "
                "(UNKNOWN_IDENTIFIER)"
            ),
            "Unknown identifier `foo`. Maybe you meant: ['food']",
        ),
        (
            (
                "Code: 395. DB::Exception: Value passed to 'throwIf' function is non-zero: while executing 'FUNCTION "
                "throwIf(equals(__table1.number, 5_UInt8) :: 0)'. (FUNCTION_THROW_IF_VALUE_IS_NON_ZERO)"
            ),
            "Value passed to 'throwIf' function is non-zero",
        ),
        (
            (
                "Received ClickHouse exception, server response: Code: 62. DB::Exception: Syntax error: "
                "failed at position 8 (FRMX) (line 2, col 3): FRMX x. Expected one of: token, Comma. (SYNTAX_ERROR)"
            ),
            "Syntax error: failed at position 8 (FRMX) (line 2, col 3)",
        ),
        ("Code: 1. DB::Exception: Odd. Stack trace:\n0. main\n1. start", "Odd"),
    ],
    ids=["advice before", "advice after", "internals", "syntax", "stack"],
)
def test_only_clickhouses_own_sentence_is_kept(text: str, expected: str) -> None:
    """Code, version, stack, generated SQL and token lists go; the sentence and its advice stay."""
    assert expected == brief(text)


def test_a_long_message_is_cut_visibly() -> None:
    """A message of any length becomes one of at most 500 characters."""
    shortened = brief("x" * 10_000)

    assert (500, "…") == (len(shortened), shortened[-1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Code: 159. DB::Exception: Timeout exceeded: elapsed 1 s. (TIMEOUT_EXCEEDED)", QueryTimeout),
        ("Code: 241. DB::Exception: Query memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)", MemoryExceeded),
        ("Code: 394. DB::Exception: Query was cancelled. (QUERY_WAS_CANCELLED)", QueryCancelled),
        ("Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)", EngineError),
        ("something else", EngineError),
    ],
)
def test_error_codes_choose_the_class(text: str, expected: type[Exception]) -> None:
    """Timeout, memory and cancellation have classes of their own; the rest is EngineError."""
    error = translate(RuntimeError(text), Embedded())

    assert expected is type(error)
    if isinstance(error, EngineError) and text.startswith("Code"):
        assert text.split(":")[1].strip().split(".")[0] == str(error.code)
        assert error.code_name == text[text.rindex("(") + 1 : -1]
