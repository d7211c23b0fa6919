"""What PostHog, the network and the user get wrong: one sentence with the next step, an exit code, and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from posthog_events.emulator.world import Key
from tests.helpers.posthog_command import HURRIED, KEY, MARCH, UNNAMED, Desk, desk

QUERY = ("query", "run", "-e", "SELECT 1 AS one LIMIT 1")
EVENTS = ("events", "list", *MARCH, "--select", "event")
STRANGER = "phx_KeyThatNobodyKnows987654321"
"""Like `KEY`, it must not be shown."""

MIB = 2**20
PEAK = """
import atexit, re, sys
def peak():
    print("peak", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
atexit.register(peak)
"""
"""For `Desk.run`: the last line on stderr is the most memory that the process ever had, in KiB."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as one:
        yield one


@pytest.fixture
def at(served: Desk, tmp_path: Path) -> Desk:
    """Return the module's emulator, with an empty folder and nothing wrong."""
    served.renew(tmp_path)
    return served


def sentence(done: CompletedProcess[str], code: int) -> str:
    """Check that a command failed as it should, and return what it said."""
    *before, last = done.stderr.splitlines()
    assert (code, "") == (done.returncode, done.stdout), done.stderr
    assert last.startswith("error: ")
    assert not [line for line in before if line.startswith(("error:", "Traceback", " "))]
    assert not any(secret in done.stderr for secret in (KEY, STRANGER))
    return last


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong, and what is said about it.

    Args:
        says: What happened and what to do.
        first: See `Desk.run`.
    """

    code: int
    says: tuple[str, ...]
    command: tuple[str, ...] = QUERY
    faults: tuple[Mapping[str, Any], ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    first: str = ""


CASES = {
    "key of another region": Case(
        4,
        ("does not know the key", "is of another place", "personal API key (phx_…)"),
        variables={"POSTHOG_PERSONAL_API_KEY": STRANGER},
    ),
    "project token instead of a key": Case(
        2,
        ("begins with phc_: a project token, which only sends events", "use a personal API key (phx_…)"),
        variables={"POSTHOG_PERSONAL_API_KEY": "phc_KeyThatNobodyKnows987654321"},
    ),
    "key where the host belongs": Case(
        2, ("a key was given where PostHog's host is expected", "us, eu"), variables={"POSTHOG_HOST": STRANGER}
    ),
    "missing scope": Case(
        4, ("lacks the scope query:read", "Add it at http://"), variables={"POSTHOG_PERSONAL_API_KEY": "phx_persons"}
    ),
    "key for another project": Case(
        4,
        ("has no access to project 1", "Check the project's id"),
        variables={"POSTHOG_PERSONAL_API_KEY": "phx_second"},
    ),
    "project that is not there": Case(
        1, ("there is no project 77", "The id is the number"), variables={"POSTHOG_PROJECT_ID": "77"}
    ),
    "key revoked on the way": Case(
        4, ("does not know the key", "was revoked"), EVENTS, ({"kind": "revoke", "nth": 3},)
    ),
    "web page": Case(
        1, ("a web page instead of data", "Is that the address of a PostHog?"), EVENTS, ({"kind": "html"},)
    ),
    "cut JSON": Case(1, ("not what its API documents",), ("persons",), ({"kind": "cut-json"},)),
    "truncated body": Case(
        1,
        ("the connection broke off before the answer was complete", "tried 4 times"),
        QUERY,
        ({"kind": "truncated"},),
        first=HURRIED,
    ),
    "unknown host": Case(
        1,
        ("no answer from https://posthog.example.com: the host name is not known", "Check the network and the host"),
        variables={"POSTHOG_HOST": "posthog.example.com"},
        first=HURRIED + UNNAMED,
    ),
    "error in a 200": Case(
        1, ("an error inside a successful answer", "Leave out modifiers"), QUERY, ({"kind": "debug-error"},)
    ),
    "unknown column": Case(
        1,
        ("event_counts returned the columns event, events, people, share, surprise", "its `returns` says"),
        ("query", "run", "event_counts", "-p", "since=2025-03-01"),
        ({"kind": "extra-column"},),
    ),
    "unknown type": Case(
        1,
        ("column 'one' has the ClickHouse type Geometry2", "Convert it in the query"),
        QUERY,
        ({"kind": "unknown-type"},),
    ),
    "next page elsewhere": Case(
        1,
        ("next link leads to https://elsewhere.invalid", "it was not followed"),
        ("definitions", "events"),
        ({"kind": "foreign-next"},),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_one_sentence_says_what_is_wrong_and_what_to_do(at: Desk, case: Case) -> None:
    """No row, no traceback and no key; the exit code tells scripts who has to do something."""
    at.posthog.world.keys["phx_persons"] = Key("phx_persons", frozenset({"person:read"}))
    at.posthog.world.keys["phx_second"] = Key("phx_second", projects=frozenset({2}))
    for fault in case.faults:
        at.posthog.faults.add(**fault)

    done = at.run(*case.command, first=case.first, **case.variables)

    said = sentence(done, case.code)
    assert [] == [part for part in case.says if part not in said], said
    if case.code == 2:
        assert [] == at.calls, "what is refused here is not sent"


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [(("--dsn", STRANGER), {}), ((), {"POSTHOG_PROJECT_ID": STRANGER})],
    ids=["dsn", "project"],
)
def test_key_in_a_wrong_place_is_not_repeated(
    at: Desk, arguments: tuple[str, ...], variables: Mapping[str, str]
) -> None:
    """Variables get mixed up, and messages get pasted into chats."""
    sentence(at.run(*QUERY, *arguments, **variables), 2)


def test_extraction_names_an_unknown_column(at: Desk) -> None:
    """More columns than were asked for are no rows of this listing."""
    at.posthog.faults.add("extra-column")

    assert "surprise" in sentence(at.run(*EVENTS), 1)


def test_file_is_not_half_written(at: Desk) -> None:
    """An extraction that fails on its way leaves an older file as it was, and no pieces beside it."""
    (at.folder / "events.csv").write_text("of yesterday\n")
    at.posthog.faults.add("revoke", nth=4)

    done = at.run(*EVENTS, "-o", "events.csv")

    sentence(done, 4)
    assert "of yesterday\n" == (at.folder / "events.csv").read_text()
    assert ["events.csv"] == sorted(path.name for path in at.folder.iterdir() if path.suffix)


def test_gzip_bomb_takes_no_more_memory_than_the_limit(at: Desk) -> None:
    """600 KiB that unpack to 600 MiB: given up at 512 MiB, which are never held twice."""
    at.posthog.faults.add("gzip-bomb", size=600 * MIB)

    done = at.run(*QUERY, first=PEAK)

    said, _, peak = done.stderr.strip().rpartition("\n")
    assert (1, "") == (done.returncode, done.stdout)
    assert said.startswith("error: ")
    assert "the answer is larger than 512 MiB. Ask for fewer rows or fewer columns" in said
    assert int(peak.removeprefix("peak ")) < 900 * 1024


@pytest.mark.parametrize(
    ("fault", "command", "kind", "code"),
    [
        ("revoke", QUERY, "AuthenticationFailed", 4),
        ("513", ("events", "list", "--since", "2025-03-01", "--rest"), "MemoryExceeded", 1),
    ],
)
def test_json_document_tells_the_same(at: Desk, fault: str, command: tuple[str, ...], kind: str, code: int) -> None:
    """With --json stdout is one document with type and exit code, and stderr is silent."""
    at.posthog.faults.add(fault)

    done = at.run("--json", *command)

    document = json.loads(done.stdout)
    assert (code, "", False) == (done.returncode, done.stderr, document["ok"])
    assert (kind, code) == (document["error"]["type"], document["error"]["exit_code"])
    assert document["error"]["message"]


class TestClocks:
    def test_server_ahead_of_us_loses_no_event(self, at: Desk) -> None:
        """PostHog's clock is two hours ahead: events of the last hour by its clock are there, and proved."""
        at.clock.ahead = timedelta(hours=2)
        at.posthog.capture("late", "ann", timestamp=at.clock() - timedelta(hours=1))

        until = (at.clock() + timedelta(hours=1)).isoformat()

        done = at.run("events", "list", "--since", "-1d", "--until", until, "--event", "late", "--select", "event")

        assert (0, '{"event":"late"}\n') == (done.returncode, done.stdout), done.stderr
        assert done.stderr.startswith("1 events received, 1 counted by the server")

    def test_time_to_wait_does_not_depend_on_our_clock(self, at: Desk) -> None:
        """A Retry-After with a date is read beside the Date of the same answer."""
        at.clock.ahead = timedelta(days=1)
        until = format_datetime(at.clock() + timedelta(seconds=50), usegmt=True)
        at.posthog.faults.add("rate", retry_after=until)

        done = at.run("--json", *QUERY, "--max-wait", "0")

        assert 5 == done.returncode
        assert 20 < json.loads(done.stdout)["error"]["wait_s"] <= 50

    def test_pause_from_before_our_clock_was_set_back_is_forgotten(self, at: Desk) -> None:
        """A machine that was a day ahead does not wait for a day once its clock is right."""
        at.posthog.faults.add("rate", retry_after=50, times=1)
        ahead = "import time; real = time.time; time.time = lambda: real() + 86_400"

        refused = at.run(*QUERY, "--max-wait", "0", first=ahead)
        done = at.run(*QUERY, "--max-wait", "0")

        assert 5 == refused.returncode
        assert (0, '{"one":1}\n') == (done.returncode, done.stdout), done.stderr

    def test_doctor_sees_the_difference(self, at: Desk) -> None:
        """A Date header of yesterday is a warning with its cure, and no reason to fail."""
        at.posthog.faults.add("clock", seconds=-86_400)

        done = at.run("doctor")

        first, second = done.stdout.splitlines()[:2]
        assert (0, "") == (done.returncode, done.stderr)
        assert "this machine's clock is 86,4" in first
        assert "ahead of PostHog's" in first
        assert second.strip() == "→ switch on time synchronisation"


class TestDoctor:
    @pytest.mark.parametrize(
        ("fault", "subject", "cure"),
        [("html", "host", "Is that the address of a PostHog?"), ("revoke", "key", "Check that the key was made")],
    )
    def test_what_stops_everything_comes_first(self, at: Desk, fault: str, subject: str, cure: str) -> None:
        """Exit code 1, the problem in the first line, the cure in the second."""
        at.posthog.faults.add(fault)

        done = at.run("doctor")

        first, second = done.stdout.splitlines()[:2]
        assert (1, "") == (done.returncode, done.stderr)
        assert [subject, "✗"] == [first.split()[1], first[0]]
        assert cure in second

    def test_answer_that_cannot_be_read_is_a_finding(self, at: Desk) -> None:
        """A report has lines, not an error in their place."""
        at.posthog.faults.add("cut-json")

        done = at.run("doctor")

        assert (1, "") == (done.returncode, done.stderr)
        assert done.stdout.startswith("✗ host")

    def test_waits_are_told(self, at: Desk) -> None:
        """A host that does not answer is tried several times; a person sees why nothing happens."""
        done = at.run("doctor", first=HURRIED + UNNAMED, POSTHOG_HOST="posthog.example.com")

        assert 1 == done.returncode
        assert "not connected; trying GET /api/personal_api_keys/@current/ again" in done.stderr
        assert done.stdout.startswith("✗ connection  no answer from https://posthog.example.com")
