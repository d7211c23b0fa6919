"""The fake Slack: messages it takes, and the errors it gives in their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from posthog_events.emulator.fake_slack import SLACK_PATH, TOKEN, Channel, FakeSlack, slack_of
from tests.helpers.emulated_world import Answer
from tests.helpers.hog_world import HogServer

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hi"}}


@pytest.fixture
def server(tmp_path: Path) -> HogServer:
    """A world with a workspace."""
    return HogServer(tmp_path)


@pytest.fixture
def slack(server: HogServer) -> FakeSlack:
    """The workspace: one channel with the app, and one for each way in which that fails."""
    slack = slack_of(server.world)
    slack.channels[:] = [
        Channel("C1", "general"),
        Channel("C2", "quiet", member=False),
        Channel("C3", "secret", member=False, private=True),
        Channel("C4", "old", archived=True),
    ]
    return slack


def post(server: HogServer, token: str | None = TOKEN, **body: Any) -> Answer:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return server.post(f"{SLACK_PATH}/api/chat.postMessage", {"channel": "C1", "text": "hi", **body}, **headers)


def hook(server: HogServer, body: Any, path: str = "T000/B000/XXXX") -> tuple[int, str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = server.send("POST", f"{SLACK_PATH}/services/{path}", body=raw)
    return answer.status, answer.body.decode()


@pytest.mark.parametrize("channel", ["C1", "#general", "general"])
def test_a_message_is_recorded(server: HogServer, slack: FakeSlack, channel: str) -> None:
    """With what the sender said it should look like."""
    answer = post(server, channel=channel, blocks=[SECTION], username="PostHog", icon_emoji=":x:").json

    assert (answer["ok"], answer["channel"]) == (True, "C1")
    [message] = slack.messages
    assert (message.text, message.blocks, message.username, message.icon_emoji) == ("hi", [SECTION], "PostHog", ":x:")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"channel": "C9"}, "channel_not_found"),
        ({"channel": "C1|#general"}, "channel_not_found"),
        ({"channel": "C2"}, "not_in_channel"),
        ({"channel": "C3"}, "channel_not_found"),
        ({"channel": "C4"}, "is_archived"),
        ({"text": None}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"blocks": [SECTION] * 51}, "invalid_blocks"),
        ({"blocks": [{"type": "paragraph"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_001}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": []}]}, "invalid_blocks"),
        ({"blocks": {"type": "section"}}, "invalid_blocks"),
    ],
)
def test_slacks_errors_come_with_status_200(
    server: HogServer, slack: FakeSlack, body: dict[str, Any], error: str
) -> None:
    """Only `ok` tells."""
    answer = post(server, **body)

    assert (200, False, error) == (answer.status, answer.json["ok"], answer.json["error"])
    assert slack.messages == []


def test_a_token_is_needed(server: HogServer, slack: FakeSlack) -> None:
    """A wrong one is another error than none."""
    assert post(server, None).json["error"] == "not_authed"
    assert post(server, "xoxb-other").json["error"] == "invalid_auth"


def test_failures_can_be_asked_for(server: HogServer, slack: FakeSlack) -> None:
    """The rate limit is the only one that is no 200."""
    slack.fail(retry_after=30)
    slack.fail("fatal_error")

    first, second, third = (post(server) for _ in range(3))
    assert (first.status, first.json["error"], first.headers["retry-after"]) == (429, "ratelimited", "30")
    assert (second.status, second.json["error"]) == (200, "fatal_error")
    assert third.json["ok"] is True


def test_an_incoming_webhook_posts_to_its_channel(server: HogServer, slack: FakeSlack) -> None:
    """Whatever channel, name or icon the body asks for."""
    slack.webhooks["T000/B000/OLD"] = "C4"

    assert hook(server, {"text": "hi", "channel": "C2", "username": "me"}) == (200, "ok")
    assert [(one.channel, one.username, one.via) for one in slack.messages] == [("C1", None, "webhook")]
    assert hook(server, {"text": "hi"}, "T000/B000/OLD") == (410, "channel_is_archived")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"{", (400, "invalid_payload")),
        ({}, (400, "no_text")),
        ({"blocks": [{"type": "section"}]}, (400, "invalid_blocks")),
    ],
)
def test_incoming_webhooks_answer_in_text(
    server: HogServer, slack: FakeSlack, body: Any, answer: tuple[int, str]
) -> None:
    """With statuses of their own."""
    assert hook(server, body) == answer


def test_a_revoked_or_malformed_webhook_is_no_service(server: HogServer, slack: FakeSlack) -> None:
    """A 404, for good."""
    slack.revoked.add("T000/B000/XXXX")

    assert hook(server, {"text": "hi"}) == (404, "no_service")
    assert hook(server, {"text": "hi"}, "T000") == (404, "no_service")
    slack.fail(times=1)
    assert hook(server, {"text": "hi"}, "T000/B000/YYYY") == (429, "rate_limited")
