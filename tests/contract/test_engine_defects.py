"""Each defect of chdb under clickhouse-connect: that the bare library has it, and that our client does not.

When a "bare" test starts to fail, the defect has been mended upstream and its guard can be reconsidered.
"""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from posthog_events.clickhouse.client import Client
from posthog_events.errors import EngineError, MemoryExceeded, QueryCancelled, QueryTimeout
from tests.helpers.clickhouse_http import ClickHouseFront

UUID_TEXT = "01020304-0506-0708-090a-0b0c0d0e0f10"
ENDLESS = "SELECT count() AS n FROM numbers(100000000000) WHERE sipHash64(number) = 1"
FAILING = "SELECT throwIf(number = 150000) AS a FROM numbers(200000) SETTINGS max_block_size = 1000"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client.open("chdb://memory") as client:
        yield client


@pytest.fixture
def bare() -> Iterator[Any]:
    import clickhouse_connect

    client = clickhouse_connect.get_client(interface="chdb")
    yield client
    client.close()


def run_child(code: str, *, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=timeout_s, check=False
    )


class TestStaleOutput:
    """A query that fails after its output began leaves bytes behind for the next query on the connection."""

    def test_the_bare_library_returns_the_failed_querys_bytes(self, bare: Any) -> None:
        """Without our guard the next query's answer is not its own."""
        with pytest.raises(Exception, match="395"):
            bare.raw_query(FAILING, fmt="CSV")

        assert bare.raw_query("SELECT 1", fmt="CSV") != b"1\n"

    def test_the_next_query_answers_for_itself(self, client: Client) -> None:
        """After a runtime failure the next query returns its own rows and nothing else."""
        with pytest.raises(EngineError, match="395"):
            client.query(FAILING)

        for number in range(3):
            _, frame = client.query(f"SELECT {number} AS a")
            assert_frame_equal(pl.DataFrame({"a": [number]}, schema={"a": pl.UInt8}), frame)

    @pytest.mark.parametrize(
        ("limits", "error"),
        [
            pytest.param({"max_execution_s": 0.3}, QueryTimeout, id="time"),
            pytest.param({"max_memory_bytes": 10_000_000}, MemoryExceeded, id="memory"),
        ],
    )
    def test_a_query_over_its_limit_leaves_nothing_behind(
        self, limits: dict[str, Any], error: type[EngineError]
    ) -> None:
        """Time and memory limits raise their own errors, and the client goes on working."""
        with Client.open("chdb://memory", **limits) as client:
            with pytest.raises(error):
                client.query("SELECT groupArray(number) AS a, sum(sipHash64(number)) AS b FROM numbers(20000000000)")

            _, frame = client.query("SELECT 2 AS a")

        assert [2] == frame["a"].to_list()

    def test_tables_outlive_a_failure(self, client: Client) -> None:
        """Throwing the failed connection away does not throw away the in-memory tables."""
        with Client.open("chdb://memory") as alone:
            alone.command("CREATE TABLE outlives (a UInt8) ENGINE = Memory")
            with pytest.raises(EngineError):
                alone.query("SELECT missing FROM outlives")

            types, _ = alone.query("SELECT a FROM outlives")
            alone.command("DROP TABLE outlives")

        assert (("a", "UInt8"),) == types


class TestTypesLostInArrow:
    """Arrow output has no seconds-since-epoch, UUID or Enum."""

    @pytest.mark.parametrize(
        ("sql", "dtype"),
        [
            ("toDateTime(5, 'Europe/Berlin')", pl.UInt32),
            ("[toDateTime(5)]", pl.List(pl.UInt32)),
            ("tuple(toDateTime(5))", pl.Struct({"1": pl.UInt32})),
            ("map('k', toDateTime(5))", pl.Map(pl.String, pl.UInt32)),
            (f"toUUID('{UUID_TEXT}')", pl.Binary),
            ("CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)')", pl.Int8),
        ],
        ids=["DateTime", "in an array", "in a tuple", "in a map", "UUID", "Enum"],
    )
    def test_the_bare_library_returns_another_dtype(self, bare: Any, sql: str, dtype: pl.DataType) -> None:
        """Read as it comes, the column is a plain number or bytes."""
        frame = pl.read_ipc_stream(io.BytesIO(bare.raw_query(f"SELECT {sql} AS v", fmt="ArrowStream")))

        assert dtype == frame.schema["v"]

    @pytest.mark.parametrize(
        ("sql", "value", "dtype"),
        [
            (
                "toDateTime(5, 'Europe/Berlin')",
                datetime(1970, 1, 1, 1, 0, 5, tzinfo=ZoneInfo("Europe/Berlin")),
                pl.Datetime("us", "Europe/Berlin"),
            ),
            ("[toDateTime(5)]", [datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)], pl.List(pl.Datetime("us", "UTC"))),
            (
                "tuple(toDateTime(5))",
                {"1": datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)},
                pl.Struct({"1": pl.Datetime("us", "UTC")}),
            ),
            (
                "map('k', toDateTime(5))",
                {"k": datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)},
                pl.Map(pl.String, pl.Datetime("us", "UTC")),
            ),
            (f"toUUID('{UUID_TEXT}')", UUID_TEXT, pl.String),
            ("CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)')", "b", pl.Enum(["a", "b"])),
        ],
        ids=["DateTime", "in an array", "in a tuple", "in a map", "UUID", "Enum"],
    )
    def test_our_client_returns_the_type_that_clickhouse_means(
        self, client: Client, sql: str, value: object, dtype: pl.DataType
    ) -> None:
        """The value and the dtype are those of the ClickHouse type, at any depth."""
        _, frame = client.query(f"SELECT {sql} AS v")

        assert dtype == frame.schema["v"]
        assert [value] == frame["v"].to_list()


class TestProcesses:
    """chdb does not survive fork, and serves one path per process."""

    def test_the_bare_library_hangs_after_fork(self) -> None:
        """A forked child's first query never returns."""
        code = """
            import os, signal, sys, warnings
            warnings.simplefilter("ignore")
            import chdb
            handle = chdb.connect(":memory:")
            handle.query("SELECT 1")
            if not (child := os.fork()):
                handle.query("SELECT 1")
                os._exit(0)
            import time
            for _ in range(30):
                if os.waitpid(child, os.WNOHANG)[0]:
                    print("answered"); sys.exit()
                time.sleep(0.1)
            os.kill(child, signal.SIGKILL); os.waitpid(child, 0)
            print("hung")
            """

        assert "hung\n" == run_child(code).stdout

    @pytest.mark.parametrize("use", ["client.query('SELECT 1 AS a')", "Client.open('chdb://memory')"])
    def test_our_client_refuses_to_run_after_fork(self, use: str) -> None:
        """A forked child gets a sentence naming spawn, at once, whether it uses the old client or a new one."""
        code = f"""
            import os, sys, warnings
            warnings.simplefilter("ignore")
            from posthog_events.clickhouse.client import Client
            from posthog_events.errors import EngineError
            client = Client.open("chdb://memory")
            client.query("SELECT 1 AS a")
            if not (child := os.fork()):
                try:
                    {use}
                except EngineError as exc:
                    print(exc, flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            print(client.query("SELECT 2 AS a")[1].item())
            """
        lines = run_child(code).stdout.splitlines()

        assert "'spawn'" in lines[0]
        assert ["2"] == lines[1:]

    def test_two_clients_work_beside_each_other(self) -> None:
        """Two clients in one process do not trip over chdb's one-path rule, also when one is closed."""
        first, second = Client.open("chdb://memory"), Client.open("chdb://memory")
        first.close()
        _, frame = second.query("SELECT 7 AS a")
        second.close()

        assert [7] == frame["a"].to_list()

    def test_chdb_on_a_directory_beside_us_is_explained(self, tmp_path: Any) -> None:
        """When the process already runs chdb on a directory, opening says so in one sentence."""
        code = f"""
            import chdb
            handle = chdb.connect({str(tmp_path)!r})
            from posthog_events.clickhouse.client import Client
            from posthog_events.errors import EngineError
            try:
                Client.open("chdb://memory")
            except EngineError as exc:
                print(exc)
            """

        assert "already runs chdb on a directory" in run_child(code).stdout

    def test_threads_share_one_client(self, client: Client) -> None:
        """Queries from several threads at once each get their own answer."""
        answers: dict[int, int] = {}

        def ask(number: int) -> None:
            answers[number] = client.query(f"SELECT {number} AS a")[1].item()

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {number: number for number in range(8)} == answers


class TestOneStatement:
    """chdb runs every statement of a text."""

    def test_the_bare_library_runs_the_second_statement(self, bare: Any) -> None:
        """A text with a semicolon does more than its first statement says."""
        bare.raw_query("SELECT 1; CREATE TABLE sneaked (a UInt8) ENGINE = Memory")

        assert b"1\n" == bare.raw_query("EXISTS TABLE sneaked")
        bare.command("DROP TABLE sneaked")

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT 1 AS a; DROP TABLE x",
            "SELECT 1 AS a;",
            "SELECT 'it''s' AS a ; SELECT 2",
            "SELECT 1 AS a -- '\n; SELECT 2 -- '",
            "SELECT ‘'’ AS a; DROP TABLE x -- '",
            "SELECT $$'$$ AS a; DROP TABLE x -- '",
            "SELECT $a b$'$a b$ AS a; DROP TABLE x -- '",
        ],
    )
    def test_our_client_sends_one_statement_only(self, client: Client, sql: str) -> None:
        """A semicolon outside strings, names and comments is refused before anything is sent."""
        with pytest.raises(EngineError, match="one statement"):
            client.query(sql)

    @pytest.mark.parametrize("sql", ["SELECT ';' AS a", "SELECT '\\';' AS `a;`", "SELECT /* ; */ 1 AS a -- ;"])
    def test_a_semicolon_in_text_is_no_separator(self, client: Client, sql: str) -> None:
        """Strings, quoted names and comments may hold semicolons."""
        assert 1 == client.query(sql)[1].height


INTERRUPTED = """
    import sys, time
    import polars
    from posthog_events.clickhouse.client import Client
    client = Client.open(sys.argv[1])
    client.query("SELECT 1 AS a")
    print("ready", flush=True)
    started = time.monotonic()
    try:
        client.query(sys.argv[2])
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    print(client.query("SELECT 3 AS a")[1].item(), flush=True)
    left = client.query("SELECT count() AS n FROM system.processes WHERE query LIKE '%sipHash64%'")[1].item()
    print("others running:", left - 1, flush=True)
    client.query(sys.argv[2])
    """


class TestInterrupt:
    """The library returns from a query only when ClickHouse does."""

    @pytest.fixture(params=["embedded", "http"])
    def dsn(self, request: pytest.FixtureRequest) -> Iterator[str]:
        if request.param == "embedded":
            yield "chdb://memory"
            return
        with ClickHouseFront() as front:
            yield front.dsn

    @pytest.mark.parametrize("sql", [ENDLESS, f"SELECT ({ENDLESS}) AS a"], ids=["query", "scalar subquery"])
    def test_ctrl_c_stops_a_running_query(self, dsn: str, sql: str) -> None:
        """SIGINT ends the query within 2 s, on the engine too; the client works on; a second one ends the process."""
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(INTERRUPTED), dsn, sql],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        watchdog = threading.Timer(60, child.kill)
        watchdog.start()
        try:
            assert child.stdout is not None
            assert "ready\n" == child.stdout.readline()
            time.sleep(0.3)  # a query cannot tell us that it runs; too early a signal is answered as well
            asked = time.monotonic()
            child.send_signal(signal.SIGINT)
            answer = child.stdout.readline()
            took_s = time.monotonic() - asked
            assert ["3\n", "others running: 0\n"] == [child.stdout.readline(), child.stdout.readline()]
            time.sleep(0.3)
            child.send_signal(signal.SIGINT)
            _, stderr = child.communicate(timeout=20)
        finally:
            watchdog.cancel()
            child.kill()

        assert "interrupted\n" == answer
        assert took_s < 2
        assert -signal.SIGINT == child.returncode
        assert stderr.rstrip().endswith("KeyboardInterrupt")

    def test_a_query_stopped_by_someone_else_says_so(self, client: Client) -> None:
        """KILL QUERY from another connection becomes QueryCancelled."""
        failures: list[Exception] = []

        def run() -> None:
            try:
                client.query(ENDLESS)
            except Exception as exc:
                failures.append(exc)

        thread = threading.Thread(target=run)
        thread.start()
        deadline = time.monotonic() + 20
        while thread.is_alive() and time.monotonic() < deadline:
            client.command("KILL QUERY WHERE query LIKE '%sipHash64(number) = 1%' AND query NOT LIKE 'KILL%' ASYNC")
        thread.join()

        assert [QueryCancelled] == [type(failure) for failure in failures]


def test_the_password_is_never_shown() -> None:
    """Neither repr nor an error of a server DSN holds the password."""
    with pytest.raises(EngineError) as caught:
        Client.open("clickhouse://me:hunter2@127.0.0.1:1/db")

    assert "hunter2" not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"
    assert "127.0.0.1:1" in str(caught.value)
