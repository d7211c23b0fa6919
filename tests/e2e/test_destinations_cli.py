"""The commands on destinations as processes, from a copied example to its end, against the emulator."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthog_events.emulator.hog_state import DeliveryRules
from tests.helpers.command import run_in_terminal
from tests.helpers.http_receiver import receiver
from tests.helpers.posthog_command import Desk, desk

HEADER = "hush-hush-0123456789"
SIGNING = "whsec_c2VjcmV0IG9mIGEgcHJvY2Vzcw=="
HOOK = """\
key: {key}
kind: webhook
url: {url}/hooks
signing_secret: ${{env:SIGNING}}
headers: {{X-Secret: "${{env:HEADER}}"}}
when: [user_signed_up]
body: {{who: "{{event.distinct_id}}"}}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as one:
        one.posthog.destinations.rules = DeliveryRules(time_scale=0.001)
        yield one


@pytest.fixture
def at(served: Desk, tmp_path: Path) -> Desk:
    """Return the module's emulator, with an empty folder and without destinations."""
    served.renew(tmp_path)
    served.posthog.destinations.rules = DeliveryRules(time_scale=0.001)
    served.variables |= {"HEADER": HEADER, "SIGNING": SIGNING}
    return served


def test_from_an_example_to_a_message_and_back(at: Desk) -> None:
    """Copied, planned, applied, fired, looked at, destroyed: each step a process of its own, with its exit code."""
    copied = at.run("destinations", "init", "signup-slack")
    path = at.folder / "destinations" / "signup-slack.yaml"
    path.write_text(path.read_text().replace("C0123ABCDEF", "C0000GENERAL"))
    pending = at.run("destinations", "plan", "--exit-code", "--output", "plan.json")
    applied = at.run("destinations", "apply", "--plan", "plan.json")
    settled = at.run("destinations", "plan", "--exit-code")
    at.posthog.capture("user_signed_up", "ann", {"$referring_domain": "search.example"})
    at.posthog.drain()
    status = at.run("destinations", "status", "--since", "-1h")
    destroyed = at.run("destinations", "destroy", "signup-slack", "--yes")

    assert "wrote destinations/signup-slack.yaml\n" == copied.stdout
    assert [3, 0, 0] == [done.returncode for done in (pending, applied, settled)]
    assert "+ create signup-slack" in pending.stdout
    assert "1 created." == applied.stdout.splitlines()[-1]
    assert "1 unchanged.\n" == settled.stdout.split(": ")[-1]
    assert ["*ann* signed up from search.example"] == [message.text for message in at.posthog.slack.messages]
    assert (1, 0) == (json.loads(status.stdout)["triggered"], json.loads(status.stdout)["failed"])
    assert "destroyed signup-slack\n" == destroyed.stdout


def test_store_on_this_machine_is_simulated_without_posthog(at: Desk) -> None:
    """No key, no network: an example of the library, over imported events."""
    rows = [
        {
            "event": name,
            "distinct_id": who,
            "timestamp": "2026-01-02T08:00:00Z",
            "properties": {"$referring_domain": "a"},
        }
        for name, who in (("user_signed_up", "ann"), ("user_signed_up", "bob"), ("visit", "ann"))
    ]
    (at.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    at.run("local", "import", "rows.jsonl", "--store", "events")
    line = ("destinations", "simulate", "signup-slack", "--since", "2026-01-02", "--until", "2026-01-03")
    without = ("POSTHOG_HOST", "POSTHOG_PROJECT_ID", "POSTHOG_PERSONAL_API_KEY", "POSTHOG_PROJECT_TOKEN")
    before = len(at.calls)
    done = at.run(*line, "--store", "events", without=without)

    assert 0 == done.returncode, done.stderr
    lines = [" ".join(part.split()) for part in done.stdout.splitlines()]
    assert ["events seen 3", "matched 2"] == lines[2:4]
    assert "| *bob* signed up from a" in lines
    assert before == len(at.calls)


def test_log_is_followed_until_ctrl_c(at: Desk) -> None:
    """A delivery that happens meanwhile is shown, and no secret of it."""
    with receiver() as hook:
        (at.folder / "hook.yaml").write_text(HOOK.format(key="crm", url=hook.url))
        assert 0 == at.run("destinations", "apply", "hook.yaml", "--yes").returncode
        hook.statuses[:] = [404]
        at.posthog.capture("user_signed_up", "ann")
        at.posthog.drain()

        def seen() -> bool:
            if any("/logs/" in one.path for one in at.posthog.requests):
                time.sleep(1)  # for what was answered to be read
                return True
            return False

        code, out, err, seconds = at.interrupt(
            *("destinations", "logs", "crm", "--follow", "--level", "error"),
            when=seen,
        )

    assert (0, "stopped\n") == (code, err)
    assert seconds < 5
    assert "404" in out
    assert HEADER not in out
    assert SIGNING.removeprefix("whsec_") not in out
    assert HEADER == hook.requests[0].headers["x-secret"]


def test_person_at_a_terminal_reads_a_table(at: Desk) -> None:
    """On a terminal a list is a table, and apply asks; without an answer nothing is written."""
    (at.folder / "destinations").mkdir()
    (at.folder / "destinations" / "hook.yaml").write_text(HOOK.format(key="crm", url="http://127.0.0.1:9"))
    lines = ("apply <<< n", "apply --yes", "list")
    line = "; ".join(f"posthog-events destinations {one}" for one in lines)
    code, text = run_in_terminal(line, cwd=at.folder, env=at.environment())

    assert 0 == code, text
    lines = text.splitlines()
    assert "nobody can be asked here: say --yes" in " ".join(lines)
    assert "1 created." in lines
    (head,) = [line.split() for line in lines if line.startswith("key ")]
    assert ["key", "name", "kind", "state", "id"] == head
    assert HEADER not in text
