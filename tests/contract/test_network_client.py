"""One suite for `chdb://memory` and for the same engine behind ClickHouse's HTTP interface."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from posthog_events.clickhouse.client import Client
from posthog_events.errors import EngineError, MemoryExceeded, PostHogEventsError, QueryTimeout, UnknownColumnType
from tests.helpers.clickhouse_http import ClickHouseFront
from tests.helpers.clickhouse_types import TYPED_VALUES, UNMAPPED, TypedValue

PASSWORD = "s3:c/r@t é"


@pytest.fixture(scope="module")
def front() -> Iterator[ClickHouseFront]:
    with ClickHouseFront(password=PASSWORD) as front:
        yield front


@pytest.fixture(scope="module")
def embedded() -> Iterator[Client]:
    with Client.open("chdb://memory") as client:
        yield client


@pytest.fixture(scope="module")
def remote(front: ClickHouseFront) -> Iterator[Client]:
    with Client.open(front.dsn) as client:
        yield client


@pytest.fixture(params=["embedded", "remote"])
def client(request: pytest.FixtureRequest) -> Client:
    client: Client = request.getfixturevalue(request.param)
    return client


@pytest.mark.parametrize(
    "typed", TYPED_VALUES, ids=[f"{number}-{typed.kind}" for number, typed in enumerate(TYPED_VALUES)]
)
def test_each_type_arrives_exactly(client: Client, typed: TypedValue) -> None:
    """Type text, value and dtype are right, and a result without rows keeps the dtype."""
    types, frame = client.query(f"SELECT {typed.expression} AS v")
    _, empty = client.query(f"SELECT {typed.expression} AS v WHERE 0")

    assert (("v", typed.kind),) == types
    assert {"v": typed.dtype} == frame.schema
    assert [typed.value] == frame["v"].to_list()
    assert ({"v": typed.dtype}, 0) == (empty.schema, empty.height)


@pytest.mark.parametrize(("expression", "named"), UNMAPPED)
def test_unmapped_types_are_refused(client: Client, expression: str, named: str) -> None:
    """A column without an exact dtype is an error naming the column and the type, on both paths."""
    with pytest.raises(UnknownColumnType) as caught:
        client.query(f"SELECT {expression} AS total")

    assert ("total", named) == (caught.value.column, caught.value.clickhouse_type)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT number, toString(number) AS text, number % 2 = 0 AS even FROM numbers(100000)",
        "SELECT groupArray(number) AS list FROM numbers(1000)",
        "SELECT 1 AS a UNION ALL SELECT 2 AS a ORDER BY a",
        "SELECT toStartOfDay(toDateTime64('2024-05-05 10:00:00', 6, 'Europe/Berlin')) AS day, timezone() AS zone",
        "WITH t AS (SELECT 1 AS a) SELECT a, 'é😀\\'' AS `odd \\` name` FROM t -- and a comment",
        "SELECT if(number = 0, NULL, number) AS n, nan AS x, -inf AS y FROM numbers(3)",
    ],
)
def test_both_paths_give_equal_frames(embedded: Client, remote: Client, sql: str) -> None:
    """The same SQL gives the same types and the same frame, embedded and over the network."""
    expected_types, expected = embedded.query(sql)
    types, frame = remote.query(sql)

    assert expected_types == types
    assert_frame_equal(expected, frame)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT missing AS a",
        "SELEC 1",
        "SELECT nofunction(1) AS a",
        "SELECT * FROM nowhere",
        "SELECT throwIf(number = 3) FROM numbers(9)",
        "SELECT 1 AS a, 2 AS a",
        "SELECT unhex('ff') AS a",
        "SELECT toUInt8('x') AS a",
    ],
)
def test_both_paths_give_equal_errors(embedded: Client, remote: Client, sql: str) -> None:
    """The same mistake gives the same class, code and sentence, without version, stack or marker."""
    errors = []
    for client in (embedded, remote):
        with pytest.raises(PostHogEventsError) as caught:
            client.query(sql)
        errors.append(caught.value)

    assert [type(errors[0]), str(errors[0])] == [type(errors[1]), str(errors[1])]
    for leak in ("version", "log_comment", "DB::Exception", "SELECT", "\n"):
        assert leak not in str(errors[1])


def test_session_time_zone_is_utc(client: Client) -> None:
    """A time without a zone is UTC, whatever the zone of the machine."""
    _, frame = client.query("SELECT toUnixTimestamp(toDateTime('1970-01-01 00:00:00')) AS s, timezone() AS zone")

    assert [(0, "UTC")] == frame.rows()


def test_settings_belong_to_one_query(client: Client) -> None:
    """A query's settings reach it, its types included, and do not stay."""
    sql = "SELECT l.a AS a, r.b AS b FROM (SELECT 1 AS a) AS l LEFT JOIN (SELECT 2 AS a, 3 AS b) AS r ON l.a = r.a"
    types, with_nulls = client.query(sql, settings={"join_use_nulls": 1})
    _, without = client.query(sql)

    assert (("a", "UInt8"), ("b", "Nullable(UInt8)")) == types
    assert [(1, None)] == with_nulls.rows()
    assert [(1, 0)] == without.rows()


def test_parquet_is_appended_by_column_name(client: Client, tmp_path: Path) -> None:
    """Bytes and files are inserted, the order of their columns notwithstanding."""
    frame = pl.DataFrame({"b": ["x", "y"], "a": [1, 2]}, schema={"b": pl.String, "a": pl.UInt8})
    out = io.BytesIO()
    frame.write_parquet(out)
    (tmp_path / "rows.parquet").write_bytes(out.getvalue())
    client.command("CREATE TABLE `appended to` (a UInt8, b String) ENGINE = Memory")
    try:
        client.insert_parquet("appended to", out.getvalue())
        client.insert_parquet("appended to", tmp_path / "rows.parquet")
        _, stored = client.query("SELECT a, b FROM `appended to` ORDER BY a, b")
    finally:
        client.command("DROP TABLE `appended to`")

    assert [(1, "x"), (1, "x"), (2, "y"), (2, "y")] == stored.rows()


def test_limits_hold_over_the_network(front: ClickHouseFront) -> None:
    """Time and memory limits are enforced by the server and keep their error classes."""
    with Client.open(front.dsn, max_execution_s=0.3) as slow, pytest.raises(QueryTimeout, match="time limit"):
        slow.query("SELECT sum(sipHash64(number)) AS s FROM numbers(100000000000)")
    with Client.open(front.dsn, max_memory_bytes=10_000_000) as small, pytest.raises(MemoryExceeded, match="memory"):
        small.query("SELECT groupArray(number) AS s FROM numbers(100000000)")


@pytest.mark.parametrize(
    ("dsn", "says"),
    [
        ("clickhouse://default:wrong@127.0.0.1:{port}/default", "refused user 'default'"),
        ("clickhouse://nobody@127.0.0.1:{port}/default", "refused user 'nobody'"),
        ("clickhouse://default@127.0.0.1:{port}/?secure=1", "TLS"),
        ("clickhouse://default@127.0.0.1:1/", "connection was refused"),
        ("clickhouse://default@host.invalid/", "host name is not known"),
    ],
    ids=["wrong password", "wrong user", "TLS on a plain port", "nothing listens", "no such host"],
)
def test_a_server_that_cannot_be_used_is_explained(front: ClickHouseFront, dsn: str, says: str) -> None:
    """Opening fails at once with a sentence that names the host and no password."""
    with pytest.raises(EngineError, match=says) as caught:
        Client.open(dsn.format(port=front.port))

    assert "wrong:" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_database_is_explained(front: ClickHouseFront) -> None:
    """A database in the DSN that does not exist is ClickHouse's own error 81."""
    with pytest.raises(EngineError, match="nowhere") as caught:
        Client.open(front.dsn.removesuffix("/default") + "/nowhere")

    assert (81, "UNKNOWN_DATABASE") == (caught.value.code, caught.value.code_name)


def test_a_password_beside_the_dsn_is_used(front: ClickHouseFront) -> None:
    """The caller can keep the password out of the DSN."""
    with Client.open(f"clickhouse://default@127.0.0.1:{front.port}/default", password=PASSWORD) as client:
        _, frame = client.query("SELECT 1 AS a")

    assert [1] == frame["a"].to_list()


def test_a_closed_client_says_so(client: Client, front: ClickHouseFront) -> None:
    """Use after close is a sentence, on both paths."""
    again = Client.open(client.dsn if client.dsn.startswith("chdb") else front.dsn)
    again.close()

    with pytest.raises(EngineError, match="closed"):
        again.query("SELECT 1 AS a")
