"""`webhooks` commands within this process: what they print, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from posthog_events.cli.main import main
from posthog_events.cli.webhooks.listen import _line, _looked_at
from posthog_events.clickhouse.store import EventStore
from posthog_events.receiver.inbox import Entry, State
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from posthog_events.receiver.verify import Verifier
from tests.helpers.http_receiver import Receiver as Service
from tests.helpers.http_receiver import receiver as serve

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime.now(UTC).replace(microsecond=0)
BODY = b'{"event": {"event": "signup", "uuid": "u-1", "distinct_id": "ann"}}'

HANDLERS = """
import os
from posthog_events.receiver.receiver import Receiver

receiver = Receiver(secrets=os.environ["SIGNING_SECRET"], inbox="inbox.db")

@receiver.on("signup")
def greet(event):
    pass
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in an empty folder, and see one secret."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGNING_SECRET", SECRET)
    for name in ("POSTHOG_HOST", "POSTHOG_PROJECT_ID", "POSTHOG_PERSONAL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    with serve() as served:
        yield served


@pytest.fixture
def service(server: Service) -> Service:
    """A web service that has forgotten what earlier tests did."""
    server.requests.clear()
    server.statuses.clear()
    server.reply = b"{}"
    return server


class Said:
    """What a command returned and printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command of `webhooks`; whatever it says, it says no secret."""

    def run_one(*arguments: str) -> Said:
        code = main(["webhooks", *arguments])
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        return Said(code, said.out, said.err)

    return run_one


def fill(folder: Path) -> None:
    """Put two deliveries into an inbox: one that a handler gave up, and one that is done."""
    with closing(SqliteInbox(folder / "inbox.db")) as inbox:
        entries = [
            Entry(
                "msg_1", "u-1", "signup", "ann", BODY, NOW, "hooks", {"content-type": "application/json"}, ("greet",)
            ),
            Entry(None, None, "visit\x1b[2J", "bob", b"not json", NOW, "", {}, ("greet", "store")),
        ]
        inbox.add(entries)
        for task in inbox.claim(now=NOW, lease_s=60, limit=10):
            if task.seq == 1:
                inbox.fail(task, "GiveUp: the CRM answered 409", retry_at=None, now=NOW)
            else:
                inbox.succeed(task, now=NOW)


# -- inbox -----------------------------------------------------------------------------------------------------------


def test_inbox_lists_deliveries_with_their_outcomes(folder: Path, run: Any) -> None:
    """Newest first; each with every handler's state and what went wrong."""
    fill(folder)

    visit, signup = run("inbox", "list").rows

    assert ("greet done, store done", None, None) == (visit["handlers"], visit["error"], visit["event_uuid"])
    assert {
        "seq": 1,
        "received_at": NOW.isoformat(),
        "destination": "hooks",
        "event": "signup",
        "distinct_id": "ann",
        "event_uuid": "u-1",
        "handlers": "greet dead",
        "error": "GiveUp: the CRM answered 409",
    } == signup


@pytest.mark.parametrize(
    ("option", "seqs"),
    [
        (("--state", "dead"), [1]),
        (("--handler", "store", "--state", "done"), [2]),
        (("--event", "signup"), [1]),
        (("--user", "bob"), [2]),
        (("--destination", "hooks"), [1]),
        (("--limit", "1"), [2]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_inbox_list_is_narrowed(folder: Path, run: Any, option: tuple[str, ...], seqs: list[int]) -> None:
    """By each option."""
    fill(folder)

    assert seqs == [row["seq"] for row in run("inbox", "list", *option).rows]


def test_inbox_show_prints_the_whole_delivery(folder: Path, run: Any) -> None:
    """For people, for programs, or the bytes of the body; nothing in it moves the cursor."""
    fill(folder)

    text = run("inbox", "show", "1").out
    assert "handler      greet: dead, attempt 1" in text
    assert '      "event": "signup",' in text
    found = json.loads(run("inbox", "show", "1", "--format", "json").out)
    assert ("msg_1", json.loads(BODY), "dead") == (
        found["delivery_id"],
        found["body"],
        found["outcomes"][0]["state"],
    )
    assert BODY.decode() == run("inbox", "show", "1", "--format", "body").out
    assert "\x1b" not in run("inbox", "show", "2").out


def test_inbox_retry_and_drop_change_what_is_meant(folder: Path, run: Any) -> None:
    """By number or all that are dead; a handler that is done only when that is said."""
    fill(folder)

    assert "1 handler of 1 delivery will run again\n" == run("inbox", "retry", "--dead").out
    assert "0 handlers of 0 deliveries will run again\n" == run("inbox", "retry", "--dead").out
    assert "1 handler of 1 delivery given up\n" == run("inbox", "drop", "1", "--handler", "greet").out
    assert "0 handlers of 1 delivery will run again\n" == run("inbox", "retry", "2").out
    assert "2 handlers of 1 delivery will run again\n" == run("inbox", "retry", "2", "--done").out
    with closing(SqliteInbox(folder / "inbox.db")) as inbox:
        assert [["waiting", "waiting"], ["dropped"]] == [
            [str(one.state) for one in record.outcomes] for record in inbox.list()
        ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--inbox", "none.db"), "there is no inbox at none.db"),
        (("show", "9"), "there is no delivery 9 in inbox.db"),
        (("retry",), "name deliveries by their SEQ, or say --dead"),
        (("drop", "1", "--dead"), "name deliveries by their SEQ, or say --dead"),
        (("list", "--inbox", "postgresql://me:pass@host/db"), "--inbox holds a password"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_inbox_commands_say_what_is_wrong(folder: Path, run: Any, arguments: tuple[str, ...], message: str) -> None:
    """As a usage error, and nothing is made."""
    fill(folder)

    said = run("inbox", *arguments)

    assert (2, True) == (said.code, message in said.err)
    assert not (folder / "none.db").exists()
    assert "pass@" not in said.err


def test_file_that_is_no_inbox_is_left_alone(folder: Path, run: Any) -> None:
    """It says so in one sentence."""
    (folder / "inbox.db").write_text("something else entirely" * 10)

    said = run("inbox", "list")

    assert (1, "inbox.db is not an inbox; choose another path") == (said.code, said.err.strip().rpartition("/")[2])
    assert (folder / "inbox.db").read_text().startswith("something else")


# -- sending ---------------------------------------------------------------------------------------------------------


def test_trigger_sends_posthogs_body_signed(service: Service, run: Any) -> None:
    """A receiver takes it for a delivery of PostHog, and can tell that it is a sample."""
    said = run("trigger", f"{service.url}/in", "--event", "signup", "-p", "amount=5", "--user", "ann",
               "--secret-env", "SIGNING_SECRET")  # fmt: skip

    assert 0 == said.code, said.err
    (request,) = service.requests
    standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))
    body = json.loads(request.body)
    assert {"posthog_events_sample": True, "amount": 5} == body["event"]["properties"]
    assert ("/in", "signup", "ann") == (request.path, body["event"]["event"], body["event"]["distinct_id"])
    assert "sample@example.com" == body["person"]["properties"]["email"]
    assert f"signup {body['event']['uuid']} to {service.url}/in: 200 in" in said.out


def test_trigger_tells_what_was_not_taken(service: Service, run: Any) -> None:
    """By exit code 1, with the answer; a receiver that is not there is said as well."""
    service.statuses, service.reply = [200, 401], b'{"error": "unauthorised"}'

    said = run("trigger", service.url, "--event", "signup", "--times", "2")
    gone = run("trigger", "http://127.0.0.1:9/x", "--event", "signup")

    assert (1, "error: 1 of 2 were not taken\n") == (said.code, said.err)
    assert "401 in" in said.out
    assert 'not signed: {"error": "unauthorised"}' in said.out
    assert (1, True) == (gone.code, gone.out.endswith("http://127.0.0.1:9/x: no answer (ConnectionError)\n"))
    ids = {json.loads(request.body)["event"]["uuid"] for request in service.requests}
    assert 2 == len(ids)


def test_trigger_sends_what_a_declaration_would(service: Service, folder: Path, run: Any) -> None:
    """Its event, body, headers and signature; its secret address is not shown."""
    (folder / "hook.yaml").write_text(
        "key: hook\nkind: webhook\nurl: ${env:HOOK_URL}\nsigning_secret: ${env:SIGNING_SECRET}\n"
        "headers: {X-Team: growth}\nbody: {id: '{event.uuid}', event: '{event.event}', plan: '{event.properties.plan}'}"
        "\n"
        "when: {events: [{event: upgrade, where: plan = pro}]}\n"
    )

    missing = run("trigger", "hook.yaml")
    assert (2, True) == (missing.code, "HOOK_URL is not set" in missing.err)
    elsewhere = run("trigger", "hook.yaml", "--to", f"{service.url}/try")
    assert "HOOK_URL is not set" in elsewhere.err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK_URL", f"{service.url}/s3cret/path")
        said = run("trigger", "hook.yaml")

    assert 0 == said.code, said.err
    (request,) = service.requests
    standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))
    body = json.loads(request.body)
    assert ("upgrade", "pro", "growth") == (body["event"], body["plan"], request.headers["x-team"])
    assert "/s3cret/path" == request.path
    assert "s3cret" not in said.out + said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trigger", "https://example.com/x"), "--event NAME says which event"),
        (("trigger", "https://example.com/x", "--event", "a", "--to", "https://b.example"), "--to is for declarations"),
        (("trigger", "https://example.com/x", "--event", "a", "--secret-header", "X-Key"), "needs --secret-env"),
        (("trigger", "https://example.com/x", "--event", "a", "--secret-env", "NOT_SET"), "NOT_SET is not set"),
        (("trigger", "no-such-key"), "no-such-key is no file"),
        (("listen",), "say --secret-env NAME to verify deliveries, or --unsigned"),
        (("listen", "--unsigned", "--secret-env", "SIGNING_SECRET"), "say --secret-env NAME"),
        (("serve", "missing.py"), "missing.py"),
        (("reconcile", "x", "--replay", __file__, "--rerun"), "say one of them"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_commands_say_what_is_wrong(run: Any, arguments: tuple[str, ...], message: str) -> None:
    """As a usage error, before anything is sent or opened."""
    said = run(*arguments)

    assert (2, True) == (said.code, message in said.err), said.err


def test_secret_given_instead_of_a_name_is_not_repeated(run: Any) -> None:
    """The fixture checks that the secret is not printed."""
    said = run("trigger", "https://example.com/x", "--event", "a", "--secret-env", SECRET)

    assert (2, True) == (said.code, "it takes the name of a variable, not the secret" in said.err)


def test_forward_sends_a_recorded_delivery(folder: Path, service: Service, run: Any) -> None:
    """Byte by byte, with its id, signed anew; a refusal is an error."""
    fill(folder)

    said = run("forward", "1", f"{service.url}/s3cret", "--secret-env", "SIGNING_SECRET")
    service.statuses = [410]
    refused = run("forward", "1", f"{service.url}/s3cret")

    (request, _) = service.requests
    assert (0, f"sent delivery 1 (signup, {len(BODY)} bytes) to {service.url}\n") == (said.code, said.out)
    assert (BODY.decode(), "msg_1") == (request.body, request.headers["webhook-id"])
    standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))
    assert (1, f"error: delivery 1 was not taken: {service.url} answered 410: {{}}\n") == (refused.code, refused.err)


# -- listening -------------------------------------------------------------------------------------------------------


def test_listening_shows_what_is_refused_and_why() -> None:
    """A delivery that is not signed is shown all the same, and nothing in it moves the cursor."""
    body = BODY.replace(b"ann", b"a\\u001b[2Jnn")

    seen = _looked_at(Verifier(SECRET), body, [(b"content-type", b"application/json")], "/in", "POST")
    line = _line(seen, full=True)

    assert (401, "missing_signature", None) == (seen["status"], seen["code"], seen["verified"])
    assert "401  REFUSED  /in  signup  a\ufffd[2Jnn  u-1\n  the delivery is not signed" in line
    assert "\x1b" not in line


def test_listening_shows_a_body_that_is_no_event() -> None:
    """It is taken, as nothing says that it must hold one."""
    seen = _looked_at(Verifier(allow_unsigned=True), b"hello", [], "/", "POST")

    assert (200, "none", "hello") == (seen["status"], seen["verified"], seen["body"])
    assert "(no event)" in _line(seen, full=False)
    assert 405 == _looked_at(Verifier(allow_unsigned=True), b"", [], "/", "GET")["status"]


# -- handlers' files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "handlers.py makes no receiver. It needs, for example: receiver = Receiver("),
        ("import os\nos.environ['NOT_SET']\n", "handlers.py:2: KeyError: 'NOT_SET'; is the environment variable set?"),
        ("def broken(:\n", "handlers.py:1: SyntaxError"),
        (
            (
                "from posthog_events.receiver.receiver import Receiver as R\n"
                "a, b = (R(allow_unsigned=True, inbox='i') for _ in 'ab')\n"
            ),
            "makes several receivers; call one of them `receiver`",
        ),
        (
            "from posthog_events.receiver.receiver import Receiver\nreceiver = Receiver(inbox='i')\n",
            "a receiver needs a secret",
        ),
    ],
    ids=["none", "variable", "syntax", "several", "no secret"],
)
def test_handlers_file_with_a_fault_is_said(folder: Path, run: Any, text: str, message: str) -> None:
    """With the line in the file, and without a traceback."""
    (folder / "handlers.py").write_text(text)

    said = run("serve", "handlers.py", "--port", "0")

    assert said.code in (1, 2)
    assert message in said.err
    assert "Traceback" not in said.err


# -- reconcile -------------------------------------------------------------------------------------------------------


@pytest.fixture
def hook(folder: Path) -> Path:
    """A declaration, a store with three signups of the last hours, handlers, and an inbox that has one of them."""
    (folder / "hook.yaml").write_text(
        "key: hook\nkind: webhook\nname: Signups\nurl: https://example.com/hooks\nwhen: {events: [signup]}\n"
    )
    (folder / "handlers.py").write_text(HANDLERS)
    rows = [
        {
            "uuid": f"00000000-0000-4000-8000-{number:012d}",
            "event": "signup",
            "distinct_id": user,
            "timestamp": (NOW - timedelta(hours=number)).isoformat(),
            "properties": {},
        }
        for number, user in enumerate(["ann", "bob", "cid"], 1)
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    EventStore.create(folder / "events").import_events([folder / "events.jsonl"])
    with closing(SqliteInbox(folder / "inbox.db")) as inbox:
        inbox.add([Entry("m", rows[1]["uuid"], "signup", "bob", b"{}", NOW - timedelta(hours=2), "hooks")])  # type: ignore[arg-type]
    return folder


def test_reconcile_reports_replays_once_and_is_content(hook: Path, run: Any) -> None:
    """The gap is shown, then closed; a second run finds nothing."""
    line = ("reconcile", "hook.yaml", "--since", "-5h", "--store", "events", "--exit-code")

    first, replayed, again = run(*line), run(*line, "--replay", "handlers.py"), run(*line, "--replay", "handlers.py")

    cid, ann = NOW - timedelta(hours=3), NOW - timedelta(hours=1)
    expected = [
        "hook  Signups",
        "  expected           3",
        "  arrived            1",
        "  missing            2",
        f"    {cid:%Y-%m-%d %H:%M:%S}  signup  cid  00000000-0000-4000-8000-000000000003",
        f"    {ann:%Y-%m-%d %H:%M:%S}  signup  ann  00000000-0000-4000-8000-000000000001",
        "--replay HANDLERS.py puts what is missing into the inbox",
    ]
    lines = first.out.splitlines()
    assert (3, expected) == (first.code, [lines[0], *lines[2:]])
    assert lines[1].endswith("UTC, kept as hooks")
    assert (0, "replayed 2; `webhooks serve` gives them to the handlers (greet)") == (
        replayed.code,
        replayed.out.splitlines()[-1],
    )
    assert (0, "  missing            0") == (again.code, again.out.splitlines()[-1])
    with closing(SqliteInbox(hook / "inbox.db")) as inbox:
        assert ["ann", "cid"] == sorted(record.entry.distinct_id for record in inbox.list(state=State.WAITING))


def test_reconcile_speaks_json(hook: Path, run: Any) -> None:
    """With every missing event."""
    found = json.loads(run("reconcile", "hook.yaml", "--since", "-5h", "--store", "events", "--format", "json").out)

    assert (3, 1, ["cid", "ann"]) == (
        found["expected"],
        found["arrived"],
        [one["distinct_id"] for one in found["missing"]],
    )
    assert (None, None) == (found["replayed"], found["rerun_job"])


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("hook.yaml", "--inbox", "none.db"), "there is no inbox at none.db", 2),
        (("hook.yaml", "--rerun"), "--rerun asks PostHog", 2),
        (("hook.yaml", "--since", "-1m", "--grace", "99999999"), "there is nothing to compare", 2),
        (("slack.yaml",), "only webhooks come to a receiver", 2),
    ],
    ids=["inbox", "rerun", "grace", "slack"],
)
def test_reconcile_says_what_is_wrong(
    hook: Path, run: Any, arguments: tuple[str, ...], message: str, code: int
) -> None:
    """And changes nothing."""
    (hook / "slack.yaml").write_text(
        "key: slack\nkind: slack\nchannel: C0123ABCDEF\nmessage: x\nwhen: {events: [signup]}\n"
    )

    said = run("reconcile", *arguments, "--store", "events")

    assert (code, True) == (said.code, message in said.err), said.err
