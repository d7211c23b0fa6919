"""The commands on destinations, in this process, against an emulated PostHog; whatever they say, they say no secret."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from posthog_events.cli.destinations import COMMANDS, destinations
from posthog_events.cli.main import main
from posthog_events.emulator.hog_state import DeliveryRules
from posthog_events.emulator.world import Key, Limits
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.hog_functions import create_function, list_functions, update_function
from posthog_events.posthog.host import parse_host
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.http_receiver import Receiver, receiver

KEY = "phx_S3cretOfDestinations0123456789"
HEADER = 'Hush-Hush/"42"'
SIGNING = "whsec_c2VjcmV0IG9mIGEgdGVzdA=="
SECRETS = (KEY, HEADER, json.dumps(HEADER)[1:-1], SIGNING, SIGNING.removeprefix("whsec_"))
UUID = "00000000-0000-4000-8000-000000000001"
NOW = datetime.now(UTC)

ORDER = (
    *("init", "schema", "lint", "simulate", "plan", "apply", "list", "show", "test", "status", "logs", "metrics"),
    *("rerun", "disable", "enable", "pull", "destroy"),
)
"""The order in which the examples of the help can be followed."""

HOOK = """\
key: crm
kind: webhook
name: Signups to the CRM
url: {url}/hooks/posthog
signing_secret: ${{env:SIGNING}}
headers:
  X-Webhook-Secret: ${{env:HEADER}}
when:
  events: [signup, upgrade]
  where: [plan is_set]
once_per: {{key: person, interval: 1h}}
body:
  who: "{{event.distinct_id}}"
  plan: "{{event.properties.plan}}"
"""
CHAT = """\
key: chat
kind: slack
name: Signups in Slack
channel: {channel}
when:
  events: [signup]
message: "*{{event.distinct_id}}* signed up for {{event.properties.plan ?? 'nothing'}}"
"""


def event(number: int, name: str, who: str, hours: float, **properties: object) -> dict[str, Any]:
    """Return an event of some hours ago."""
    at = (NOW - timedelta(hours=hours)).isoformat()
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    return {"uuid": uuid, "event": name, "distinct_id": who, "timestamp": at, "properties": properties}


EVENTS = (
    event(1, "signup", "ann", 30, plan="pro"),
    event(2, "signup", "bob", 29.9, plan="pro"),
    event(3, "signup", "ann", 29.8, plan="free"),
    event(4, "signup", "cid", 5),
    event(5, "visit", "ann", 4, page="/"),
    event(6, "upgrade", "bob", 3, plan="team"),
)
"""For `crm`: two of another name or without a plan, one that once_per holds back, and three that go through."""


@dataclass
class Said:
    """What a command left with and printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Read JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Place:
    """A folder with declarations, the PostHog that the settings name, and a receiver."""

    folder: Path
    posthog: EmulatedPostHog
    hook: Receiver
    capture: pytest.CaptureFixture[str]

    def __call__(self, line: str, *more: str) -> Said:
        """Run `posthog-events destinations LINE`."""
        self.capture.readouterr()
        code = main(["destinations", *shlex.split(line), *more])
        out, err = self.capture.readouterr()
        assert not [secret for secret in SECRETS if secret in out + err]
        assert "Traceback" not in err
        return Said(code, out, err)

    def declare(
        self, name: str = "both.yaml", *, channel: str = "C0000GENERAL", texts: tuple[str, ...] = (HOOK, CHAT)
    ) -> Path:
        """Write declarations into ./destinations."""
        path = self.folder / "destinations" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("---\n".join(text.format(url=self.hook.url, channel=channel) for text in texts))
        return path

    @property
    def api(self) -> ApiClient:
        """What somebody else changes the project with."""
        return ApiClient(parse_host(self.posthog.url), self.posthog.project_id, KEY)

    def foreign(self) -> str:
        """Take the mark from the Slack destination, and return its id."""
        (row,) = [row for row in list_functions(self.api) if row["name"] == "Signups in Slack"]
        update_function(self.api, row["id"], {"description": "by hand"})
        return str(row["id"])

    def coded(self) -> str:
        """Make a destination of code that nobody declared, and return its id."""
        body = {"type": "destination", "name": "Own code", "hog": "return 1", "inputs_schema": [], "inputs": {}}
        return str(create_function(self.api, {**body, "filters": {"events": [{"id": "a", "type": "events"}]}})["id"])

    def requests(self, method: str) -> int:
        """Count the requests so far that might write."""
        return sum(seen.method == method for seen in self.posthog.requests)

    def signup(self, who: str = "dan") -> None:
        """Let a signup happen, and everything that it fires."""
        self.posthog.capture("signup", who, {"plan": "pro"})
        self.posthog.drain()


@pytest.fixture(scope="module")
def served() -> Iterator[EmulatedPostHog]:
    with emulator(events=EVENTS, limits=Limits(rates={})) as running:
        running.world.keys.clear()
        running.world.keys[KEY] = Key(KEY)
        yield running


@pytest.fixture
def place(
    served: EmulatedPostHog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Place]:
    """Return an empty folder with both declarations, beside a project without destinations."""
    served.project.state.pop("hog", None)
    served.project.state.pop("settings", None)
    served.world.keys[KEY] = Key(KEY)
    served.destinations.rules = DeliveryRules(time_scale=0.001)
    served.faults.clear()
    served.faults.forget()
    monkeypatch.chdir(tmp_path)
    variables = {**served.environment, "HEADER": HEADER, "SIGNING": SIGNING, "HOME": str(tmp_path)}
    for name, value in (variables | {"POSTHOG_EVENTS_STATE_DIR": str(tmp_path / ".state"), "NO_COLOR": "1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with receiver() as hook:
        made = Place(tmp_path, served, hook, capsys)
        made.declare()
        yield made


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what puts a person at the terminal, who types something."""

    def type_(text: str) -> None:
        keyboard = io.StringIO(text)
        keyboard.isatty = lambda: True  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", keyboard)

    return type_


@pytest.mark.parametrize("name", COMMANDS)
def test_help_line_is_the_first_line_of_the_command(name: str) -> None:
    """The group's help, written down so that no command is imported for it, says what each command says itself."""
    command = destinations.get_command(click.Context(destinations), name)

    assert command is not None
    assert COMMANDS[name].help == command.get_short_help_str(limit=200)


def example(name: str) -> list[str]:
    """Return the words after `posthog-events` of the example in a command's help."""
    command = destinations.get_command(click.Context(destinations), name)
    found = re.search(r"Example: (.+)", (command and command.help) or "")
    assert found is not None
    return shlex.split(found[1])[1:]


def test_every_example_of_the_help_can_be_typed(place: Place) -> None:
    """One after the other, through the life of a destination, which is gone in the end."""
    assert sorted(ORDER) == sorted(COMMANDS)
    (place.folder / "destinations" / "both.yaml").unlink()
    (place.folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in EVENTS))
    assert 0 == main(["local", "import", "events.jsonl", "--store", "events"])
    for name in ORDER:
        words = example(name)
        said = place(shlex.join(words[1:]))

        assert 0 == said.code, (name, said.err)
        assert said.out or name in ("schema", "logs", "metrics"), name
    assert "" == place("list").out
    assert (place.folder / "pulled" / "signup-slack.yaml").is_file()


class TestPlan:
    def test_a_plan_says_everything_and_writes_nothing(self, place: Place) -> None:
        """Two are to be created; --exit-code tells a script so."""
        said = place("plan --exit-code")

        assert (3, "") == (said.code, said.err)
        assert ["+ create crm", "+ create chat"] == [line for line in said.out.splitlines() if line[0] != " "][:2]
        assert "    + inputs.signing_secret: (secret)" in said.out
        assert '[{"key": "plan", "type": "event", "operator": "is_set"}]' in said.out
        assert said.out.endswith("project 1: 2 to create.\n")
        assert 0 == place.requests("POST") + place.requests("PATCH")

    def test_nothing_pending_is_exit_0(self, place: Place) -> None:
        """After an apply the plan is empty."""
        place("apply --yes")
        said = place("plan --exit-code")

        assert (0, "") == (said.code, said.err)
        assert 1 == len(said.out.splitlines())
        assert said.out.endswith("project 1: 2 unchanged.\n")

    def test_formats(self, place: Place) -> None:
        """Markdown for a pull request; JSON is what --output writes."""
        markdown = place("plan --format markdown")
        document = place("plan --format json --output plan.json")

        assert markdown.out.startswith("### Destinations of project 1: 2 to create\n")
        assert ["create", "create"] == [step["action"] for step in json.loads(document.out)["steps"]]
        saved = json.loads((place.folder / "plan.json").read_text())
        assert json.loads(document.out)["steps"] == saved["steps"]
        assert "posthog-events destinations apply --plan plan.json" in document.err

    def test_single_declarations_can_be_planned_by_key(self, place: Place) -> None:
        """The other one of the file is left out."""
        said = place("plan chat")

        assert "create chat" in said.out
        assert "crm" not in said.out

    def test_orphans_are_left_alone_unless_pruned(self, place: Place) -> None:
        """What is managed and no longer declared is said, and goes only when that is asked for."""
        place("apply --yes")
        place.declare(texts=(CHAT,))

        left, pruned = place("plan"), place("plan --prune delete")

        assert "is managed and not declared; it is left alone" in left.out
        assert "- delete crm" in pruned.out

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("plan nope", "nope is no file or folder, no key in ./destinations, and not in the shipped library"),
            ("plan signup-slakc", "did you mean `signup-slack`?"),
            ("plan nope.yaml", "nope.yaml: there is no such file or folder"),
            ("plan chat --prune delete", "chat is only one of them"),
            ("plan --adopt =x", "'=x' is not KEY or KEY=ID"),
            ("plan --adopt crm --adopt crm=2", "crm is given twice"),
            ("plan --adopt other", "--adopt other: no declaration has this key"),
            ("plan --output nowhere/plan.json", "cannot write nowhere/plan.json"),
            ("apply --plan plan.json chat", "a saved plan says everything"),
            ("apply --plan plan.json", "cannot read plan.json"),
            ("apply --plan destinations/both.yaml", "is not a plan that `destinations plan --output` wrote"),
        ],
    )
    def test_wrong_use_is_a_sentence(self, place: Place, line: str, says: str) -> None:
        """With exit code 2, and nothing written."""
        said = place(line)

        assert 2 == said.code
        assert says in said.err
        assert 0 == place.requests("POST") + place.requests("PATCH")

    def test_missing_secret_names_its_variable(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """And the place of the declaration."""
        monkeypatch.delenv("HEADER")
        said = place("plan")

        assert (2, "") == (said.code, said.out)
        assert "destinations/both.yaml:1: crm: the secret ${env:HEADER} is missing" in said.err

    def test_without_a_folder_the_library_is_named(self, place: Place) -> None:
        """Which has something to begin with."""
        (place.folder / "destinations" / "both.yaml").unlink()
        (place.folder / "destinations").rmdir()
        said = place("plan")

        assert 2 == said.code
        assert "signup-slack" in said.err
        assert "`posthog-events destinations init NAME` copies one" in said.err


class TestApply:
    def test_outcomes_come_one_by_one_and_again_is_nothing(self, place: Place) -> None:
        """The second run leaves two as they are."""
        first, second = place("apply --yes"), place("apply --yes")

        lines = first.out.splitlines()
        assert (0, "") == (first.code, first.err)
        assert ["created crm", "created chat", "2 created."] == [line.partition(" (")[0] for line in lines]
        assert (0, "2 unchanged.\n", "") == (second.code, second.out, second.err)

    def test_json_lines_for_programs(self, place: Place) -> None:
        """One object for each destination, with what changed."""
        place("apply --yes")
        place.declare(channel="C0000PRIVATE")
        said = place("apply --yes --format json")

        assert [("crm", "unchanged", []), ("chat", "updated", ["inputs"])] == [
            (row["key"], row["result"], row["fields"]) for row in said.rows
        ]

    def test_nobody_to_ask_is_a_usage_error(self, place: Place) -> None:
        """It says both ways out, before PostHog is asked anything."""
        said = place("apply")

        assert 2 == said.code
        assert "say --yes, or save a plan (plan --output FILE) and apply that (apply --plan FILE)" in said.err
        assert 0 == place.requests("GET")

    def test_a_person_sees_the_plan_and_agrees(self, place: Place, typing: Callable[[str], None]) -> None:
        """The plan is on stderr, what was done on stdout."""
        typing("y\n")
        said = place("apply")

        assert 0 == said.code
        assert "+ create crm" in said.err
        assert "2 created." in said.out

    def test_a_person_says_no(self, place: Place, typing: Callable[[str], None]) -> None:
        """Nothing is written."""
        typing("n\n")
        said = place("apply")

        assert (1, 0) == (said.code, place.requests("POST"))
        assert "stopped: an answer was needed" in said.err

    def test_nothing_to_do_needs_no_answer(self, place: Place, typing: Callable[[str], None]) -> None:
        """A person is not asked whether nothing shall happen."""
        place("apply --yes")
        typing("")
        said = place("apply")

        assert (0, "2 unchanged.\n") == (said.code, said.out)

    def test_saved_plan_is_carried_out_once(self, place: Place) -> None:
        """The second time it is stale, and nothing is written."""
        place("plan --output plan.json")
        first, second = place("apply --plan plan.json"), place("apply --plan plan.json")

        assert 0 == first.code
        assert first.out.endswith("2 created.\n")
        assert 1 == second.code
        assert "Nothing was written; plan again" in second.err

    @pytest.mark.parametrize(
        ("options", "results", "says"),
        [
            ("", ["failed crm", "skipped chat"], "1 of 2 destinations failed (crm) and 1 not tried."),
            ("--on-failure continue", ["failed crm", "created chat"], "1 of 2 destinations failed (crm)."),
        ],
    )
    def test_failure_stops_or_not(self, place: Place, options: str, results: list[str], says: str) -> None:
        """The report is complete, the exit code 1."""
        place.posthog.faults.add("500", method="POST", path="*/hog_functions/", times=1)
        said = place(f"apply --yes {options}")

        lines = said.out.splitlines()
        assert (1, results) == (said.code, [" ".join(line.replace(":", "").split()[:2]) for line in lines[:2]])
        assert says in said.err

    def test_errors_are_json_when_that_is_asked_for(self, place: Place) -> None:
        """With --format json, stdout has nothing but JSON Lines."""
        place.posthog.faults.add("500", method="POST", path="*/hog_functions/", times=1)
        *outcomes, error = place("apply --yes --format json --json").rows

        assert ["failed", "skipped"] == [row["result"] for row in outcomes]
        assert (False, 1) == (error["ok"], error["error"]["exit_code"])

    def test_rate_limit_is_resumable(self, place: Place) -> None:
        """Exit code 5, as --max-wait promises."""
        place.posthog.faults.add("rate", method="POST", path="*/hog_functions/", retry_after=100)
        said = place("apply --yes --max-wait 1")

        assert 5 == said.code

    def test_key_without_rights_writes_nothing(self, place: Place) -> None:
        """It is said before the first write, with exit code 4."""
        scopes = frozenset({"hog_function:read", "integration:read", "project:read"})
        place.posthog.world.keys[KEY] = Key(KEY, scopes)
        said = place("apply --yes")

        assert (4, "", 0) == (said.code, said.out, place.requests("POST"))
        assert "hog_function:write" in said.err

    def test_notes_of_a_plan_that_nobody_saw_are_told(self, place: Place) -> None:
        """Two destinations at one URL both deliver."""
        place("apply --yes")
        (row,) = [row for row in list_functions(place.api) if row["name"] == "Signups to the CRM"]
        update_function(place.api, row["id"], {"description": ""})
        said = place("apply crm --yes")

        assert "note: crm: " in said.err
        assert "both would deliver" in said.err

    def test_an_example_is_applied_with_a_hint(self, place: Place) -> None:
        """Its channel is nobody's."""
        said = place("apply signup-slack --yes")

        assert 0 == said.code
        assert "note: signup-slack is an example" in said.err

    def test_own_declaration_stands_before_the_example_of_its_name(self, place: Place) -> None:
        """By its key, wherever in ./destinations it is."""
        place.declare(texts=(CHAT.replace("key: chat", "key: signup-slack"),))
        said = place("plan signup-slack")

        assert '"Signups in Slack"' in said.out
        assert "" == said.err


class TestLooking:
    def test_list_has_all_and_says_whose(self, place: Place) -> None:
        """The managed ones have a key."""
        place("apply --yes")
        place.foreign()
        said = place("list")

        assert [("crm", "webhook", True, True), (None, "slack", True, False)] == [
            (one["key"], one["kind"], one["enabled"], one["managed"]) for one in said.rows
        ]
        assert ["healthy", "healthy"] == [one["state"] for one in said.rows]

    def test_show_is_a_declaration_that_plans_to_nothing(self, place: Place) -> None:
        """Secrets are references; what has to be set is said."""
        place("apply --yes")
        shown = place("show chat")
        place.declare(texts=(shown.out.replace("{", "{{").replace("}", "}}"),))

        assert (0, "") == (shown.code, shown.err)
        assert place("plan").out.startswith("  crm (")
        assert "1 unchanged" in place("plan").out
        assert "to be set before it is applied: " in place("show crm").err

    def test_raw_is_posthogs_own_without_secrets(self, place: Place) -> None:
        """By id as well as by key."""
        place("apply --yes")
        by_key = json.loads(place("show crm --raw").out)
        by_id = json.loads(place("show --raw", by_key["id"]).out)

        assert by_key == by_id
        assert "(secret)" == by_key["inputs"]["signing_secret"]
        assert "plan" == by_key["filters"]["properties"][0]["key"]

    def test_what_cannot_be_declared_is_explained(self, place: Place) -> None:
        """Code of somebody's own has no template."""
        said = place("show", place.coded())

        assert 2 == said.code
        assert "--raw shows it as PostHog does" in said.err

    def test_unknown_key_lists_those_that_there_are(self, place: Place) -> None:
        """For every command that names one."""
        place("apply --yes")
        for line in (
            "show nope",
            "status nope",
            "logs nope",
            "metrics nope",
            "rerun nope --since -1h --yes",
            "pull nope",
        ):
            said = place(line)

            assert (2, "") == (said.code, said.out), line
            assert "no destination has the key or the id nope; the keys are: chat, crm." in said.err

    def test_status_is_in_words(self, place: Place) -> None:
        """What PostHog calls healthy is fast; off is off."""
        place("apply --yes")
        place("disable chat")
        said = place("status")

        assert [("chat", "off"), ("crm", "healthy")] == [(one["key"], one["state"]) for one in said.rows]
        assert "this is about speed only" in said.rows[1]["hint"]

    def test_failures_are_counted_when_asked_for(self, place: Place) -> None:
        """One request for each destination."""
        place("apply --yes")
        place.hook.statuses[:] = [404]
        place.signup()
        before = place.requests("GET")
        said = place("status crm --since -1h")

        (row,) = said.rows
        assert ("crm", 1, 1, 1.0, 0) == tuple(
            row[name] for name in ("key", "triggered", "failed", "failure_rate", "lost")
        )
        assert 3 >= place.requests("GET") - before  # the zone, the list, the totals

    def test_alarm_is_exit_1_and_only_when_proved(self, place: Place) -> None:
        """One that failed of one is above 5 percent, and proves nothing when 20 are asked for."""
        place("apply --yes")
        place.hook.statuses[:] = [404]
        place.signup()
        alarmed = place("status --alarm-rate 5% --min-triggered 1")
        quiet = place("status --alarm-rate 0.05")

        assert (1, ["crm"]) == (alarmed.code, [row["key"] for row in alarmed.rows])
        assert "1 of 1 deliveries failed" in alarmed.rows[0]["reasons"]
        assert "1 of 2 destinations need somebody: crm" in alarmed.err
        assert (0, [], "") == (quiet.code, quiet.rows, quiet.err)

    @pytest.mark.parametrize("share", ["150%", "x", "-1%", "nan"])
    def test_share_is_checked(self, place: Place, share: str) -> None:
        """Before anything is asked."""
        said = place("status --alarm-rate", share)

        assert 2 == said.code
        assert "is no share; write 5% or 0.05" in said.err


class TestSimulate:
    def test_report_for_people(self, place: Place) -> None:
        """Figures, what turned events away, and what would be sent, secrets by reference."""
        said = place("simulate crm --engine posthog --since -3d --until -1h --samples 1")

        assert 0 == said.code, said.err
        lines = [" ".join(line.split()) for line in said.out.splitlines()]
        assert "crm: Signups to the CRM" == lines[0]
        assert ["events seen 6", "matched 4", "held back 1 by once_per"] == lines[2:5]
        assert lines[5].startswith("delivered 3 about 31 a month, from 3 in 2.96 days")
        assert "1 plan is_set" in lines
        assert "1 the event is signup or upgrade" in lines
        assert "X-Webhook-Secret: ${env:HEADER}" in lines
        assert '{"who": "bob", "plan": "team"}' in lines

    def test_document_for_programs(self, place: Place) -> None:
        """All figures of all declarations, in one document."""
        said = place("simulate --engine posthog --since -3d --until -1h --format json")

        document = json.loads(said.out)
        assert [("crm", 4, 1, 3), ("chat", 4, 0, 4)] == [
            (one["key"], one["matched"], one["masked"], one["delivered"]) for one in document["destinations"]
        ]
        chat = document["destinations"][1]
        assert "*cid* signed up for nothing" == chat["samples"][-1]["request"]["preview"]
        assert 4 == sum(hour["delivered"] for hour in chat["hours"])
        # 3 signups reach both, one reaches Slack alone, and the upgrade the CRM alone
        assert pytest.approx(5 * 30.44 * 24 / 71, rel=1e-4) == document["billed_per_month"]

    def test_events_of_a_file(self, place: Place) -> None:
        """Needs neither PostHog nor a store; the range is that of the file."""
        (place.folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in EVENTS))
        before = place.requests("GET")
        said = place("simulate crm --events events.jsonl --format json --since -10h")

        (one,) = json.loads(said.out)["destinations"]
        assert (3, 1) == (one["seen"], one["delivered"])
        assert before == place.requests("GET")

    def test_test_accounts_of_the_project_are_left_out(self, place: Place) -> None:
        """A file does not know them, which is said."""
        place.declare(texts=(CHAT.replace("events: [signup]", "events: [signup]\n  exclude_test_accounts: true"),))
        (place.folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in EVENTS))
        place.posthog.project.state["settings"] = {
            "test_account_filters": [{"key": "plan", "type": "event", "operator": "is_not", "value": "free"}]
        }
        known = place("simulate --engine posthog --since -3d --until -1h --format json")
        unknown = place("simulate --events events.jsonl --format json")

        assert 3 == json.loads(known.out)["destinations"][0]["delivered"]
        assert "note: " not in known.err
        assert 4 == json.loads(unknown.out)["destinations"][0]["delivered"]
        assert "note: nobody is excluded as a test account" in unknown.err

    def test_chart_by_hour(self, place: Place) -> None:
        """Below the report, or into a file; of one destination."""
        drawn = place("simulate crm --engine posthog --since -3d --until -1h --samples 0 --chart")
        many = place("simulate --engine posthog --since -3d --until -1h --chart")

        assert "delivered by hour" in drawn.out
        assert 2 == many.code
        assert "--chart is of one destination, and these are 2" in many.err

    def test_a_file_and_an_engine_exclude_each_other(self, place: Place) -> None:
        """Both say where the events are."""
        (place.folder / "events.jsonl").write_text(json.dumps(EVENTS[0]))
        said = place("simulate crm --events events.jsonl --engine posthog")

        assert 2 == said.code
        assert "leave out --dsn, --store and --engine" in said.err


class TestTest:
    def test_made_up_event_shows_what_would_be_sent(self, place: Place) -> None:
        """Nothing reaches the receiver."""
        said = place("test")

        assert (0, []) == (said.code, place.hook.requests)
        assert "crm would be sent (event signup of sample-user)" in said.out
        assert f"  POST {place.hook.url}/hooks/posthog" in said.out
        assert "  X-Webhook-Secret: …" in said.out
        assert "*sample-user* signed up for nothing" in said.out

    def test_real_event_is_really_sent(self, place: Place) -> None:
        """With the secrets that the declaration names."""
        said = place("test crm --send --event", UUID)

        (request,) = place.hook.requests
        assert (0, "crm was sent (event signup of ann)\n") == (said.code, said.out)
        assert ({"who": "ann", "plan": "pro"}, HEADER) == (
            json.loads(request.body),
            request.headers["x-webhook-secret"],
        )

    def test_event_of_a_file(self, place: Place) -> None:
        """Either an event, or globals as PostHog's tester has them."""
        (place.folder / "event.json").write_text(json.dumps(EVENTS[5]))
        globals_ = {"event": {"event": "signup", "distinct_id": "eve", "uuid": UUID, "properties": {"plan": "x"}}}
        (place.folder / "globals.json").write_text(json.dumps(globals_))
        (event_row,) = place("test crm --event event.json --format json").rows
        (globals_row,) = place("test crm --event globals.json --format json").rows

        assert [{"who": "bob", "plan": "team"}] == [request["body"] for request in event_row["requests"]]
        assert [{"who": "eve", "plan": "x"}] == [request["body"] for request in globals_row["requests"]]
        assert event_row["delivered"]

    def test_event_that_does_not_match_is_exit_1(self, place: Place) -> None:
        """It is skipped, and said to be."""
        (place.folder / "event.json").write_text(json.dumps(EVENTS[4]))
        said = place("test crm --event event.json")

        assert 1 == said.code
        assert said.out.startswith("crm was skipped (event visit of ann)\n")
        assert "1 of 1 did not go through: crm" in said.err

    def test_failure_is_exit_1(self, place: Place) -> None:
        """Slack's own words are in it."""
        place.declare(channel="C0000NOTINVT")
        said = place("test chat --send")

        assert 1 == said.code
        assert "chat failed" in said.out
        assert "not_in_channel" in said.out

    @pytest.mark.parametrize(
        ("given", "code", "says"),
        [
            ("nope", 2, "nope is neither a file nor the uuid of an event"),
            ("00000000-0000-4000-8000-00000000ffff", 1, ""),
            ("several.jsonl", 2, "holds 6 events, and a test is of one"),
            ("broken.json", 1, "broken.json"),
        ],
    )
    def test_wrong_event_is_a_sentence(self, place: Place, given: str, code: int, says: str) -> None:
        """Nothing is run."""
        (place.folder / "several.jsonl").write_text("".join(json.dumps(one) + "\n" for one in EVENTS))
        (place.folder / "broken.json").write_text("{")
        said = place("test crm --event", given)

        assert (code, "") == (said.code, said.out)
        assert says in said.err


class TestWatching:
    def test_logs_come_in_order_and_can_be_narrowed(self, place: Place) -> None:
        """The oldest first; by level and by text."""
        place("apply --yes")
        place.hook.statuses[:] = [404]
        place.signup("eve")
        place.signup("fay")
        every, errors = place("logs crm").rows, place("logs crm --level error").rows
        found = place("logs crm --search completed --format text")

        assert sorted(every, key=lambda row: row["time"]) == every
        assert errors
        assert {"ERROR"} == {row["level"] for row in errors}
        assert "completed" in found.out
        assert 1 == len(found.out.splitlines())

    def test_following_goes_on_until_ctrl_c(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is logged meanwhile comes too; it is meant to end so, with exit code 0."""
        place("apply --yes")
        place.signup("gil")
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) > 1:
                raise KeyboardInterrupt
            place.signup("hal")

        monkeypatch.setattr("posthog_events.cli.destinations.watch.time", SimpleNamespace(sleep=sleep))
        said = place("logs crm --follow --search COMPLETED --format text")

        assert (0, "stopped\n") == (said.code, said.err)
        assert 2 == len(said.out.splitlines())
        assert 4 < waits[0] <= 5

    def test_metrics_are_a_frame_and_a_chart(self, place: Place) -> None:
        """Long form: one row for each interval and metric."""
        place("apply --yes")
        place.signup("ida")
        said = place("metrics crm --since -2h --interval hour --format csv")
        drawn = place("metrics crm --since -2h --interval hour --chart")

        header, *lines = said.out.splitlines()
        counted = {line.split(",")[1]: 0 for line in lines}
        for line in lines:
            counted[line.split(",")[1]] += int(line.split(",")[2])
        assert "time,name,value" == header
        assert (1, 1) == (counted["triggered"], counted["succeeded"])
        assert "value by time and name" in drawn.err

    def test_rerun_is_asked_for_once_and_said(self, place: Place) -> None:
        """PostHog notes it down; without --yes and a terminal nothing happens."""
        place("apply --yes")
        place.hook.statuses[:] = [404]
        place.signup("jim")
        place.hook.requests.clear()
        refused, said = place("rerun crm --since -1h"), place("rerun crm --since -1h --yes")
        place.posthog.drain()

        assert (2, "nobody can be asked here: say --yes") == (
            refused.code,
            refused.err.split("Error: ")[1].strip(".\n"),
        )
        assert said.out.startswith("PostHog delivers the failed deliveries of Signups to the CRM (")
        assert ['{"who":"jim","plan":"pro"}'] == [request.body for request in place.hook.requests]

    def test_rerun_of_too_long_a_time_is_refused_here(self, place: Place) -> None:
        """PostHog keeps 30 days."""
        place("apply --yes")
        said = place("rerun crm --since -60d --yes")

        assert 2 == said.code
        assert "longer than 30 days" in said.err


class TestSwitching:
    def test_off_and_on(self, place: Place) -> None:
        """What is so already is said to be."""
        place("apply --yes")

        assert "disabled crm\n" == place("disable crm").out
        assert "crm was off already\n" == place("disable crm").out
        assert "~ enabled: false -> true" in place("plan").out
        assert "enabled crm\nchat was on already\n" == place("enable crm chat").out

    def test_destroy_asks(self, place: Place, typing: Callable[[str], None]) -> None:
        """Without a terminal it wants --yes; a person may say no."""
        place("apply --yes")
        refused = place("destroy crm")
        typing("n\n")
        declined = place("destroy crm")

        assert (2, 1) == (refused.code, declined.code)
        assert "Delete Signups to the CRM (" in declined.err
        assert 2 == len(place.posthog.destinations.live())

    def test_destroyed_is_gone(self, place: Place) -> None:
        """The next plan would make it again."""
        place("apply --yes")
        said = place("destroy crm --yes")

        assert (0, "destroyed crm\n") == (said.code, said.out)
        assert ["chat"] == [row["key"] for row in place("list").rows]

    def test_foreign_destinations_are_not_touched(self, place: Place) -> None:
        """They have no key, and an id is none."""
        place("apply --yes")
        id_ = place.foreign()
        before = place.requests("PATCH")
        for line in ("destroy", "disable", "enable"):
            said = place(f"{line} {id_}", *(["--yes"] if line == "destroy" else []))

            assert 2 == said.code
        assert before == place.requests("PATCH")


class TestFiles:
    def test_pulled_files_are_there_once(self, place: Place) -> None:
        """They stay as they are unless --overwrite is given; the secrets to set are named."""
        place("apply --yes")
        first, second = place("pull --all --out pulled"), place("pull --all --out pulled")
        (place.folder / "pulled" / "crm.yaml").write_text(
            "key: crm\nkind: webhook\nurl: https://a.example.com\nwhen: [a]\n"
        )
        third = place("pull crm --out pulled --overwrite")

        assert {"wrote pulled/chat.yaml", "wrote pulled/crm.yaml"} == set(first.out.splitlines())
        assert 2 == first.err.count("note: to be set before it is applied: ")
        assert "" == second.out
        assert "left pulled/crm.yaml as it was; --overwrite replaces it" in second.err
        assert "wrote pulled/crm.yaml\n" == third.out
        assert not [secret for secret in SECRETS if secret in (place.folder / "pulled" / "crm.yaml").read_text()]

    def test_pull_needs_to_know_which(self, place: Place) -> None:
        """Names, or --all."""
        for line in ("pull", "pull crm --all"):
            assert "say which: KEYs or IDs" in place(line).err

    def test_pulled_by_name_and_impossible_is_exit_1(self, place: Place) -> None:
        """Among all it is only said."""
        place("apply --yes")
        named, every = place("pull --out a", place.coded()), place("pull --all --out b")

        assert (1, 0) == (named.code, every.code)
        assert "left out " in named.err
        assert "left out " in every.err

    def test_library_is_listed_and_copied(self, place: Place) -> None:
        """What is there stays."""
        listed = place("init")
        first, second = place("init signup-slack"), place("init signup-slack")

        assert "signup-slack             New signups in Slack.\n" in listed.out
        assert ("wrote destinations/signup-slack.yaml\n", 0) == (first.out, first.code)
        assert "left destinations/signup-slack.yaml as it was\n" == second.out
        assert 0 == place("lint destinations/signup-slack.yaml").code

    def test_schema_is_json_and_says_how_to_use_it(self, place: Place) -> None:
        """On stdout, or in a file."""
        printed, written = place("schema"), place("schema --output s.json")

        assert json.loads(printed.out) == json.loads((place.folder / "s.json").read_text())
        assert "# yaml-language-server: $schema=s.json" in written.err
        assert "" == written.out

    def test_lint_shows_faults_of_one_file_and_warnings_of_another(self, place: Place) -> None:
        """Each with its place; errors are exit 1."""
        place.declare(texts=(CHAT.replace("events: [signup]", "events: [signup]\n  where: [n < 3]"),))
        (place.folder / "destinations" / "bad.yaml").write_text("key: bad\nkind: webhook\nwhen: [a]\nurll: x\n")
        said = place("lint")

        assert 1 == said.code
        assert "destinations/bad.yaml:4:1: error: " in said.out
        assert "destinations/both.yaml:1: warning: filters.properties[0]: " in said.out
        assert said.err.startswith("errors: ")

    def test_strict_lint_fails_for_warnings(self, place: Place) -> None:
        """Which otherwise leave the exit code at 0."""
        path = place.declare(texts=(CHAT.replace("events: [signup]", "events: [signup]\n  where: [n < 3]"),))
        lax, strict = place("lint"), place("lint --strict")
        github, document = place("lint --format github"), place("lint --format json")

        assert (0, 1) == (lax.code, strict.code)
        assert "::warning file=destinations/both.yaml,line=1::filters.properties[0]: " in github.out
        assert {str(path.relative_to(place.folder))} == {row["path"] for row in document.rows}

    def test_secret_in_plain_is_refused_and_not_repeated(self, place: Place) -> None:
        """By lint, plan and simulate alike."""
        place.declare(texts=(HOOK.replace("${{env:SIGNING}}", SIGNING),))
        for line in ("lint", "plan", "simulate --engine posthog", "test", "apply --yes"):
            said = place(line)

            assert said.code in (1, 2), line
            assert "signing_secret" in said.out + said.err
