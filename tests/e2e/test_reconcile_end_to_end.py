"""PostHog fires, the receiver is away for a while, and nothing is lost in the end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from posthog_events.emulator.hog_state import DeliveryRules
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.command import environment
from tests.helpers.webhook_command import SECRET, serving, wait_for

HANDLERS = """
import os

from posthog_events.receiver.receiver import Receiver

receiver = Receiver(secrets=os.environ["SIGNING_SECRET"], inbox="inbox.db")


@receiver.on("user_signed_up")
def note(event):
    with open("handled.txt", "a") as file:
        file.write(f"{event.distinct_id}\\n")
"""

DECLARATION = """
key: pro-signups
kind: webhook
name: Signups of pro users
url: {url}/signups
signing_secret: ${{env:SIGNING_SECRET}}
when:
  events: [user_signed_up]
  where: plan = pro
"""


class Desk:
    """Runs commands in a folder, over the emulator."""

    def __init__(self, folder: Path, posthog: EmulatedPostHog) -> None:
        self.folder, self.posthog = folder, posthog
        state = {"POSTHOG_EVENTS_STATE_DIR": str(folder / ".state"), "SIGNING_SECRET": SECRET}
        self.env = environment(folder, **posthog.environment, **state)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "posthog_events", *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert SECRET not in done.stdout + done.stderr
        assert done.returncode in (0, 3), done.stderr
        return done

    def reconcile(self, *arguments: str) -> Any:
        line = ("webhooks", "reconcile", "signups.yaml", "--since", "-1h", "--grace", "0", "--engine", "posthog")
        return json.loads(self.run(*line, "--format", "json", *arguments).stdout)

    def sign_up(self, *people: str, plan: str = "pro") -> None:
        """Capture events, and wait until PostHog has delivered them or given up."""
        for who in people:
            self.posthog.capture("user_signed_up", who, {"plan": plan})
        self.posthog.events()
        self.posthog.drain()

    @property
    def handled(self) -> list[str]:
        file = self.folder / "handled.txt"
        return file.read_text().split() if file.exists() else []


def test_lost_deliveries_are_found_and_handled_once(tmp_path: Path) -> None:
    """Reconcile finds exactly what was lost, replays it through the handlers, and then finds nothing."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    with emulator(delivery=DeliveryRules(time_scale=0.01)) as posthog:
        desk = Desk(tmp_path, posthog)
        with serving("serve", "handlers.py", "--port", "0", cwd=tmp_path, env=desk.env) as served:
            (tmp_path / "signups.yaml").write_text(DECLARATION.format(url=served.url))
            desk.run("destinations", "apply", "signups.yaml", "--yes")
            desk.sign_up("ann", "bob")
            wait_for(lambda: len(desk.handled) == 2)
            served.stop()
            assert 0 == served.code, served.err
        desk.sign_up("lost-1", "lost-2", "lost-3")
        desk.sign_up("free", plan="free")
        with serving("serve", "handlers.py", "--port", served.port, cwd=tmp_path, env=desk.env):
            desk.sign_up("cid")
            wait_for(lambda: "cid" in desk.handled)

            found = desk.reconcile("--exit-code")
            assert (6, 3, []) == (found["expected"], found["arrived"], found["unexpected"])
            assert ["lost-1", "lost-2", "lost-3"] == sorted(one["distinct_id"] for one in found["missing"])

            replayed = desk.reconcile("--replay", "handlers.py")["replayed"]
            assert sorted(one["uuid"] for one in found["missing"]) == sorted(replayed["added"])
            wait_for(lambda: len(desk.handled) == 6)

            again = desk.reconcile("--replay", "handlers.py")
            assert (6, 6, [], None) == (again["expected"], again["arrived"], again["missing"], again["replayed"])

            # PostHog delivers what it had given up, after all: under the ids of those deliveries
            desk.run("destinations", "rerun", "pro-signups", "--since", "-1h", "--yes")
            desk.posthog.drain()
            assert 6 == sum(delivery.status == 200 for delivery in posthog.deliveries)
        everybody = {"ann": 1, "bob": 1, "cid": 1, "lost-1": 1, "lost-2": 1, "lost-3": 1}
        assert everybody == dict(Counter(desk.handled))
        listed = desk.run("webhooks", "inbox", "list").stdout.splitlines()
        assert 6 == len(listed)
