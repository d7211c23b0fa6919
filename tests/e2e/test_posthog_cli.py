"""The commands that speak to PostHog, as processes, against the emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command import run_in_terminal
from tests.helpers.posthog_command import HURRIED, KEY, MARCH, UNNAMED, Desk, desk

COUNTS = (
    '{"event":"purchase","events":3,"people":2,"share":0.6}\n{"event":"signup","events":2,"people":2,"share":0.4}\n'
)
RANGE = ("-p", "since=2025-03-01", "-p", "until=2025-04-01")
LONG = "SELECT sum(cityHash64(number)) AS s FROM numbers(100000000000)"
"""Minutes of work, unless it is stopped."""
RUNNING = "SELECT count() FROM system.processes WHERE query LIKE '%cityHash64%' AND query NOT LIKE '%system.processes%'"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as one:
        yield one


@pytest.fixture
def at(served: Desk, tmp_path: Path) -> Desk:
    """Return the module's emulator, with an empty folder and nothing wrong."""
    served.renew(tmp_path)
    return served


def rows(text: str) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in text.splitlines()]


class TestQueryRun:
    def test_query_file_runs_on_the_project_of_the_environment(self, at: Desk) -> None:
        """Host, project and key are enough; the answer is that of a local store."""
        done = at.run("query", "run", "event_counts", *RANGE)

        assert (0, COUNTS, "") == (done.returncode, done.stdout, done.stderr)

    def test_engine_posthog_stands_before_a_local_store(self, at: Desk) -> None:
        """A DSN of the environment for another engine does not count then."""
        done = at.run(
            "query", "run", "event_counts", *RANGE, "--engine", "posthog", POSTHOG_EVENTS_DSN="chdb://./nothing"
        )

        assert (0, COUNTS, "") == (done.returncode, done.stdout, done.stderr)

    def test_dsn_wins_over_the_environment(self, at: Desk) -> None:
        """Host and project are those of the DSN, which leaves only the key to the environment."""
        done = at.run(
            "query",
            "run",
            "event_counts",
            *RANGE,
            "--dsn",
            f"posthog://{at.address}/1",
            POSTHOG_PROJECT_ID="999",
            POSTHOG_HOST="https://elsewhere.invalid",
        )

        assert (0, COUNTS) == (done.returncode, done.stdout), done.stderr

    def test_values_have_types_and_stay_values(self, at: Desk) -> None:
        """A number is one, a list is one, and a hostile text finds nobody."""
        hogql = (
            "SELECT {n} + 1 AS n, countIf(distinct_id IN {who}) AS found, countIf(distinct_id = {bad}) AS none "
            "FROM events WHERE timestamp >= '2025-03-01' AND timestamp < '2025-04-01'"
        )

        done = at.run(
            "query", "run", "-e", hogql, "-p", "n=41", "-p", "who=ann", "-p", "who=bob", "-p", "bad=' OR 1=1 --"
        )

        assert (0, [{"n": 42, "found": 5, "none": 0}]) == (done.returncode, rows(done.stdout)), done.stderr

    def test_cut_result_is_exit_6(self, at: Desk) -> None:
        """PostHog adds LIMIT 100 where there is none; 101 rows are an error, unless the cut is accepted."""
        refused = at.run("query", "run", "-e", "SELECT number FROM numbers(101)", "-o", "rows.csv")
        accepted = at.run("query", "run", "-e", "SELECT number FROM numbers(101)", "--allow-truncated", "--fresh")

        assert (6, "") == (refused.returncode, refused.stdout)
        assert "more than 100 rows exist and the query has no LIMIT" in refused.stderr
        assert not (at.folder / "rows.csv").exists()
        assert (0, 100) == (accepted.returncode, len(rows(accepted.stdout)))
        assert "warning: more rows exist than these 100\n" == accepted.stderr

    def test_cached_answer_is_said_and_fresh_asks_anew(self, at: Desk) -> None:
        """The second answer is PostHog's cache's: stderr says from when, and what to do about it."""
        first, second, fresh = (
            at.run("query", "run", "-e", "SELECT 7 AS lucky LIMIT 1", *more) for more in ([], [], ["--fresh"])
        )

        assert ['{"lucky":7}\n'] * 3 == [first.stdout, second.stdout, fresh.stdout]
        assert ("", "") == (first.stderr, fresh.stderr)
        assert "from PostHog's cache, computed 20" in second.stderr
        assert "--fresh" in second.stderr

    def test_asynchronous_query_is_queued_and_fetched(self, at: Desk) -> None:
        """The POST is only the beginning; the rows come with its status."""
        done = at.run("query", "run", "event_counts", *RANGE, "--async", "--fresh")

        assert (0, COUNTS, "") == (done.returncode, done.stdout, done.stderr)
        queries = [(seen.method, seen.status) for seen in at.posthog.requests if "/query/" in seen.path]
        assert [("POST", 202), ("GET", 200)] == queries

    def test_wrong_query_shows_where(self, at: Desk) -> None:
        """PostHog's position is shown in the text as it was typed."""
        done = at.run("query", "run", "-e", "SELECT nosuch FROM events LIMIT 1")

        assert (1, "") == (done.returncode, done.stdout)
        assert [
            "error: <inline>:1:8: Unable to resolve field: nosuch",
            "SELECT nosuch FROM events LIMIT 1",
            "       ^^^^^^",
        ] == done.stderr.splitlines()


class TestEventsList:
    def test_usual_columns_and_the_proof(self, at: Desk) -> None:
        """Every event of the range is on stdout, the oldest first; stderr says what proves that."""
        done = at.run("events", "list", *MARCH)

        found = rows(done.stdout)
        assert 0 == done.returncode, done.stderr
        assert ["uuid", "event", "timestamp", "distinct_id", "person_id", "properties"] == list(found[0])
        assert [f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 6)] == [row["uuid"] for row in found]
        assert "2025-03-03T12:00:00.123456+00:00" == found[4]["timestamp"]
        assert {"plan": "free", "amount": 20} == json.loads(found[2]["properties"])
        assert done.stderr.startswith("5 events received, 5 counted by the server")

    def test_condition_names_and_columns(self, at: Desk) -> None:
        """--event may stand twice, --where narrows further, --select names the columns."""
        done = at.run(
            "events",
            "list",
            *MARCH,
            *("--event", "signup", "--event", "purchase"),
            *("--where", "properties.plan = 'pro'"),
            *("--select", "distinct_id AS who", "--select", "event"),
            *("--format", "csv"),
        )

        assert (0, "who,event\nbob,signup\nbob,purchase\nbob,purchase\n") == (done.returncode, done.stdout), done.stderr

    def test_last_day_is_the_default(self, at: Desk) -> None:
        """Without a range it is the last 24 hours."""
        done = at.run("events", "list", "--select", "event", "--format", "csv")

        assert (0, "event\nvisit\n") == (done.returncode, done.stdout), done.stderr

    def test_rest_listing_has_the_same_events(self, at: Desk) -> None:
        """--rest reads the other endpoint, and counts all the same."""
        done = at.run("events", "list", *MARCH, "--rest", "--event", "purchase")

        found = rows(done.stdout)
        assert (0, ["ann", "bob", "bob"]) == (done.returncode, [row["distinct_id"] for row in found]), done.stderr
        assert ("GET", "events/") in at.calls
        assert "3 events in 2 requests\n" == done.stderr

    def test_person_reads_a_table(self, at: Desk) -> None:
        """On a terminal the rows are a table, with the proof below it."""
        line = "posthog-events events list --since 2025-03-01 --until 2025-04-01 --select event --select distinct_id"
        code, text = run_in_terminal(line, cwd=at.folder, env=at.environment())

        shown = [part.split() for part in text.splitlines()]
        assert (0, ["event", "distinct_id"]) == (code, shown[0])
        assert ["signup", "ann"] in shown
        assert ["5", "rows"] in shown
        assert "5 events received, 5 counted by the server" in text

    @pytest.mark.parametrize(
        ("arguments", "code", "says"),
        [
            (["--rest", "--where", "event = 'a'"], 2, "leave out --select and --where"),
            (["--until", "2001-01-01"], 2, "the range is empty: --since is"),
            (["--select", "count()"], 1, "there are no rows to extract"),
            (["--dsn", "chdb://./events"], 2, "as in posthog://eu/12345"),
        ],
        ids=["rest", "range", "aggregate", "engine"],
    )
    def test_wrong_use_is_explained(self, at: Desk, arguments: list[str], code: int, says: str) -> None:
        """One sentence, nothing on stdout."""
        done = at.run("events", "list", *arguments)

        assert (code, "") == (done.returncode, done.stdout)
        assert says in done.stderr


class TestLookups:
    def test_single_event(self, at: Desk) -> None:
        """One row with the person; what is not there is a failure."""
        found = at.run("events", "get", "00000000-0000-4000-8000-000000000004")
        missing = at.run("events", "get", "00000000-0000-4000-8000-00000000ffff")

        (row,) = rows(found.stdout)
        assert (0, "purchase", "bob") == (found.returncode, row["event"], row["distinct_id"])
        assert ["bob"] == json.loads(row["person"])["distinct_ids"]
        assert (1, "") == (missing.returncode, missing.stdout)
        assert "PostHog has nothing there" in missing.stderr

    def test_values_of_a_property(self, at: Desk) -> None:
        """Values of late, as PostHog's suggestions have them."""
        done = at.run("events", "values", "page", "--event", "visit", "--contains", "sta")

        assert (0, [{"name": "/start"}]) == (done.returncode, rows(done.stdout)), done.stderr

    def test_persons(self, at: Desk) -> None:
        """Filters narrow; --limit says that it cut."""
        one = at.run("persons", "--distinct-id", "bob")
        cut = at.run("persons", "--limit", "2")

        assert (0, [["bob"]], "") == (one.returncode, [row["distinct_ids"] for row in rows(one.stdout)], one.stderr)
        assert (0, 2) == (cut.returncode, len(rows(cut.stdout)))
        assert "stopped at --limit 2; there may be more\n" == cut.stderr

    def test_definitions(self, at: Desk) -> None:
        """Event names come past the first page of 100; properties have the types that their values have."""
        events = at.run("definitions", "events", "--search", "noise")
        properties = at.run("definitions", "properties", "--event", "purchase", "--format", "csv")

        names = {row["name"] for row in rows(events.stdout)}
        assert (0, {f"noise {n:03}" for n in range(101)}) == (events.returncode, names), events.stderr
        lines = properties.stdout.splitlines()
        assert 0 == properties.returncode, properties.stderr
        assert ["name,property_type,is_numerical", "amount,Numeric,true", "plan,String,false"] == [
            lines[0],
            *sorted(lines[1:]),
        ]


class TestSettings:
    def test_dsn_of_a_settings_file_is_the_project_of_every_command(self, at: Desk) -> None:
        """`dsn = "posthog://..."` is enough for --engine posthog and for commands that need PostHog."""
        (at.folder / "posthog-events.toml").write_text(f'dsn = "posthog://{at.address}/1"\n')
        bare = ("POSTHOG_HOST", "POSTHOG_PROJECT_ID")

        ran = at.run("query", "run", "event_counts", *RANGE, "--engine", "posthog", without=bare)
        listed = at.run("events", "list", *MARCH, "--select", "event", "--event", "signup", without=bare)

        assert (0, COUNTS) == (ran.returncode, ran.stdout), ran.stderr
        assert (0, '{"event":"signup"}\n' * 2) == (listed.returncode, listed.stdout), listed.stderr

    def test_profile_has_its_own_project_and_key(self, at: Desk) -> None:
        """A profile is chosen by name; one that is not there is answered with those that are."""
        (at.folder / "posthog-events.toml").write_text(
            f'[profiles.shop]\nhost = "{at.posthog.url}"\nproject = 1\nkey_env = "SHOP_KEY"\n'
        )
        bare = at.posthog.environment

        found = at.run("query", "run", "event_counts", *RANGE, "--profile", "shop", SHOP_KEY=KEY, without=bare)
        wrong = at.run("events", "list", "--profile", "shpo", SHOP_KEY=KEY, without=bare)

        assert (0, COUNTS) == (found.returncode, found.stdout), found.stderr
        assert (2, "") == (wrong.returncode, wrong.stdout)
        assert "there is no profile 'shpo'" in wrong.stderr
        assert "There are: shop" in wrong.stderr

    @pytest.mark.parametrize(
        ("command", "text"),
        [
            (["query", "run", "event_counts"], 'dsn = "posthog://stranger.example.com/1"'),
            (["persons"], 'host = "stranger.example.com"\nproject = 1'),
        ],
        ids=["dsn", "host"],
    )
    def test_key_of_the_environment_is_not_for_a_host_that_a_folder_names(
        self, at: Desk, command: list[str], text: str
    ) -> None:
        """A folder from somewhere may name its author's server; nothing is sent there, not even looked up."""
        (at.folder / "posthog-events.toml").write_text(f"{text}\n")

        done = at.run(*command, first=HURRIED + UNNAMED, without=("POSTHOG_HOST", "POSTHOG_PROJECT_ID"))

        assert (2, "") == (done.returncode, done.stdout)
        assert done.stderr.startswith("error: the host 'stranger.example.com' comes from ")
        assert "POSTHOG_HOST=stranger.example.com" in done.stderr


class TestDoctor:
    def test_healthy_set_up(self, at: Desk) -> None:
        """Exit code 0, and a line about each thing that was asked."""
        done = at.run("doctor")

        assert (0, "") == (done.returncode, done.stderr)
        assert ["clock", "project", "key", "query"] == [line.split()[1] for line in done.stdout.splitlines()]
        assert all(line.startswith("✓ ") for line in done.stdout.splitlines())

    def test_wrong_project_comes_first_with_the_right_one(self, at: Desk) -> None:
        """Exit code 1; the first finding is the problem, and the next line the number to set."""
        done = at.run("doctor", POSTHOG_PROJECT_ID="77")

        lines = done.stdout.splitlines()
        assert (1, "") == (done.returncode, done.stderr)
        assert lines[0].startswith("✗ project")
        assert "set POSTHOG_PROJECT_ID to one that the key can see: 1 (Project 1)" in lines[1]

    def test_nothing_set_up_is_no_problem(self, at: Desk) -> None:
        """A machine without PostHog is told what to set, and is not ill."""
        done = at.run("doctor", without=at.variables)

        assert (0, "") == (done.returncode, done.stderr)
        assert "set POSTHOG_HOST, POSTHOG_PROJECT_ID and POSTHOG_PERSONAL_API_KEY" in done.stdout


class TestWaiting:
    def test_rate_limit_without_patience_is_exit_5_and_says_how_long(self, at: Desk) -> None:
        """The refused command says PostHog's time; the next one does not even ask, and says what is left of it."""
        at.posthog.faults.add("rate", retry_after=37)

        refused = at.run("query", "run", "-e", "SELECT 1 AS a LIMIT 1", "--max-wait", "0")
        asked = len(at.calls)
        held = at.run("--json", "query", "run", "-e", "SELECT 1 AS a LIMIT 1", "--max-wait", "0")

        assert (5, "") == (refused.returncode, refused.stdout)
        assert "PostHog asks to wait 37 s" in refused.stderr
        assert "--max-wait" in refused.stderr
        error = json.loads(held.stdout)["error"]
        assert (5, 5, "RateLimited", "") == (held.returncode, error["exit_code"], error["type"], held.stderr)
        assert 20 < error["wait_s"] < 40  # the pace adds a little to what is left
        assert (1, 1) == (asked, len(at.calls))

    def test_ctrl_c_ends_a_wait_at_once(self, at: Desk) -> None:
        """While it waits the command says for what and how long; Ctrl-C is exit 130 without a traceback."""
        at.posthog.faults.add("rate", retry_after=90)

        code, out, err, seconds = at.interrupt("query", "run", "-e", "SELECT 1", when=lambda: bool(at.calls))

        assert (130, "") == (code, out)
        assert err.endswith("error: stopped\n")
        assert "Traceback" not in err
        assert seconds < 5

    @pytest.mark.parametrize("mode", ["--fresh", "--async"])
    def test_ctrl_c_cancels_the_query_on_the_server(self, at: Desk, mode: str) -> None:
        """Exit 130, and nobody computes any longer what nobody waits for."""
        client = at.posthog.project.engine.client

        def running() -> int:
            return int(client.query(RUNNING)[1].item())

        code, out, err, seconds = at.interrupt("query", "run", "-e", LONG, mode, when=lambda: running() > 0)

        assert (130, "", "error: stopped\n") == (code, out, err)
        assert seconds < 5
        methods = [method for method, path in at.calls if path.startswith("query/")]
        assert {"POST", "DELETE"} <= set(methods)
        assert 0 == running()


class TestNewcomers:
    def test_nothing_set_names_all_that_is_missing(self, at: Desk) -> None:
        """One sentence with the three variables, and where their values are found."""
        done = at.run("events", "list", without=at.variables)

        assert (2, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines()))
        for name in ("POSTHOG_HOST", "POSTHOG_PROJECT_ID", "POSTHOG_PERSONAL_API_KEY"):
            assert name in done.stderr

    def test_missing_key_is_named_by_queries_too(self, at: Desk) -> None:
        """Who has set host and project wants PostHog, and not to import a file."""
        done = at.run("query", "run", "-e", "SELECT 1", without=["POSTHOG_PERSONAL_API_KEY"])

        assert (2, "") == (done.returncode, done.stdout)
        assert "POSTHOG_PERSONAL_API_KEY" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["query", "run", "-e", "SELECT 1", "--engine", "postog"], "'postog' is not one of 'local', 'posthog'"),
            (["events", "lst"], "Did you mean 'list'"),
            (["query", "run", "-e", "SELECT 1", "--engine", "posthog", "--store", "x"], "give one of them"),
            (["query", "run", "-e", "SELECT 1", "--max-wait", "-1"], "-1.0 is not in the range x>=0"),
            (["query", "run", "-e", "SELECT 1", "--no-limit"], "events list"),
            (["events", "values", "plan"], "Missing option '--event'"),
        ],
        ids=["engine", "command", "two places", "wait", "no limit", "values"],
    )
    def test_misuse_is_exit_2_and_says_what_is_right(self, at: Desk, arguments: list[str], says: str) -> None:
        """Nothing is sent."""
        done = at.run(*arguments)

        assert (2, "", []) == (done.returncode, done.stdout, at.calls)
        assert says in done.stderr
