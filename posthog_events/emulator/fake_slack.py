"""A Slack for tests: incoming webhooks and `chat.postMessage`, with Slack's errors. It lives in the emulator's server.

Source: reference 7; Slack's documentation of `chat.postMessage`, incoming webhooks and Block Kit for errors and limits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from posthog_events.emulator.auth import bearer
from posthog_events.emulator.endpoint import reply

if TYPE_CHECKING:
    from starlette.requests import Request

    from posthog_events.emulator.world import World

__all__ = ["ROOT_ROUTES", "SLACK_PATH", "Channel", "FakeSlack", "Message", "slack_of"]

SLACK_PATH = "/_emulator/slack"
TOKEN = "xoxb-emulator"
"""The token of the emulator's Slack integration. It opens nothing but this, so it is no secret."""

WEBHOOK = "T000/B000/emulator"
MAX_BLOCKS = 50
MAX_TEXT_CHARS = 40_000
MAX_SECTION_CHARS = 3_000
MAX_HEADER_CHARS = 150
MAX_BUTTON_CHARS = 75
MAX_ELEMENTS = 25
BLOCK_TYPES = frozenset(
    {"actions", "context", "divider", "file", "header", "image", "input", "markdown", "rich_text", "section", "table"}
    | {"video"}
)
STATUS = {"no_service": 404, "channel_not_found": 404, "channel_is_archived": 410, "action_prohibited": 403}
"""Statuses of the errors of incoming webhooks; 400 for the rest."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of the workspace; `member`: the app has been invited."""

    id: str
    name: str
    member: bool = True
    private: bool = False
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was posted.

    Args:
        channel: Id of the channel.
        via: `api` or `webhook`.
    """

    at: datetime
    channel: str
    text: str | None
    blocks: Sequence[Mapping[str, Any]] | None
    via: str
    username: str | None = None
    icon_emoji: str | None = None
    thread_ts: str | None = None


@dataclass(slots=True)
class FakeSlack:
    """A workspace.

    Args:
        url: Where it answers; `webhook_url` is the incoming webhook.
        channels: Those that there are; add to it.
        messages: What was posted, in order.
        webhooks: Part of an incoming webhook's address to the id of its channel; any other posts to the first channel.
        revoked: Incoming webhooks that are no more.
    """

    url: str
    channels: list[Channel] = field(
        default_factory=lambda: [
            Channel("C0000GENERAL", "general"),
            Channel("C0000NOTINVT", "not-invited", member=False),
            Channel("C0000PRIVATE", "private", private=True),
        ]
    )
    messages: list[Message] = field(default_factory=list)
    webhooks: dict[str, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    _failures: list[tuple[str, int | None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def webhook_url(self) -> str:
        """An incoming webhook of #general."""
        return f"{self.url}/services/{WEBHOOK}"

    def fail(self, error: str = "ratelimited", *, times: int = 1, retry_after: int | None = None) -> None:
        """Refuse the next requests; `ratelimited` is a 429, with `Retry-After` when that is given."""
        with self._lock:
            self._failures += [(error, retry_after)] * times

    def take_failure(self) -> tuple[str, int | None] | None:
        """Return what the next request is refused with."""
        with self._lock:
            return self._failures.pop(0) if self._failures else None

    def channel(self, name: str) -> Channel | None:
        """Return a channel by id, `#name` or name."""
        return next((one for one in self.channels if name.removeprefix("#") in (one.id, one.name)), None)

    def channel_of(self, hook: str) -> str | None:
        """Return the channel of an incoming webhook."""
        if hook in self.revoked or hook.count("/") != 2:
            return None
        return self.webhooks.get(hook, self.channels[0].id)

    def post(self, message: Message) -> str | None:
        """Take a message, or return Slack's error."""
        channel = self.channel(message.channel)
        if channel is None:
            return "channel_not_found"
        if channel.archived:
            return "is_archived" if message.via == "api" else "channel_is_archived"
        if not channel.member:
            return "not_in_channel" if not channel.private else "channel_not_found"
        if not message.text and not message.blocks:
            return "no_text"
        if len(message.text or "") > MAX_TEXT_CHARS:
            return "msg_too_long"
        if message.blocks and faults_of(message.blocks):
            return "invalid_blocks"
        with self._lock:
            self.messages.append(message)
        return None


def slack_of(world: World) -> FakeSlack:
    """Return the workspace of a world."""
    with world.lock:
        slack: FakeSlack = world.state.setdefault("slack", FakeSlack(world.origin + SLACK_PATH))
        return slack


def faults_of(blocks: Any) -> list[str]:
    """Return what Slack says against blocks."""
    if not isinstance(blocks, list):
        return ["must be an array [json-pointer:/blocks]"]
    found = [f"no more than {MAX_BLOCKS} items allowed [json-pointer:/blocks]"] if len(blocks) > MAX_BLOCKS else []
    for index, block in enumerate(blocks):
        where = f"[json-pointer:/blocks/{index}"
        if not isinstance(block, Mapping) or block.get("type") not in BLOCK_TYPES:
            found.append(f"unsupported type {where}/type]")
            continue
        limit = {"section": MAX_SECTION_CHARS, "header": MAX_HEADER_CHARS}.get(block["type"])
        if limit is not None and (block["type"] == "header" or "fields" not in block):
            found += _text_faults(block.get("text"), limit, where)
        elements = block.get("elements", [])
        if block["type"] == "actions" and (not isinstance(elements, list) or not 0 < len(elements) <= MAX_ELEMENTS):
            found.append(f"must have 1 to {MAX_ELEMENTS} items {where}/elements]")
            continue
        for element in elements if block["type"] == "actions" else ():
            if isinstance(element, Mapping) and element.get("type") == "button":
                found += _text_faults(element.get("text"), MAX_BUTTON_CHARS, f"{where}/elements")
    return found


def _text_faults(text: Any, limit: int, where: str) -> list[str]:
    content = text.get("text") if isinstance(text, Mapping) else None
    if not isinstance(content, str) or text.get("type") not in ("mrkdwn", "plain_text"):
        return [f"missing required field: text {where}/text]"]
    if not 0 < len(content) <= limit:
        return [f"must be between 1 and {limit + 1} characters {where}/text/text]"]
    return []


async def _post_message(request: Request) -> Response:
    """Answer `chat.postMessage`: always 200, but for the rate limit; `ok` says how it went."""
    world: World = request.app.state.world
    slack, body = slack_of(world), _json(await request.body())
    if refused := slack.take_failure():
        return _api_error(*refused)
    token = bearer(request.headers)
    if token not in slack.tokens:
        return _api_error("not_authed" if token is None else "invalid_auth")
    if not isinstance(body, Mapping):
        return _api_error("invalid_json")
    message = _message(world, body, "api", str(body.get("channel") or ""))
    if error := slack.post(message):
        extra = {"response_metadata": {"messages": faults_of(message.blocks)}} if error == "invalid_blocks" else {}
        return reply({"ok": False, "error": error, **extra})
    channel = slack.channel(message.channel)
    assert channel is not None  # or the message was refused
    shown = {"text": message.text or "", "username": message.username, "blocks": message.blocks, "type": "message"}
    return reply({"ok": True, "channel": channel.id, "ts": f"{world.now().timestamp():.6f}", "message": shown})


async def _incoming(request: Request) -> Response:
    """Answer an incoming webhook: text, not JSON."""
    world: World = request.app.state.world
    slack, raw = slack_of(world), await request.body()
    channel = slack.channel_of(request.path_params["hook"])
    if refused := slack.take_failure():
        error, retry_after = refused
        if error == "ratelimited":
            return PlainTextResponse("rate_limited", 429, _retry_header(retry_after))
        return PlainTextResponse(error, STATUS.get(error, 400))
    if channel is None:
        return PlainTextResponse("no_service", 404)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raw = parse_qs(raw.decode()).get("payload", [""])[0].encode()
    body = _json(raw)
    if not isinstance(body, Mapping):
        return PlainTextResponse("invalid_payload", 400)
    if error_text := slack.post(_message(world, body, "webhook", channel)):
        return PlainTextResponse(error_text, STATUS.get(error_text, 400))
    return PlainTextResponse("ok")


def _message(world: World, body: Mapping[str, Any], via: str, channel: str) -> Message:
    # an incoming webhook belongs to its channel: name and icon of the body do not count
    own = body if via == "api" else {}
    return Message(
        at=world.now(),
        channel=channel,
        text=body.get("text"),
        blocks=body.get("blocks"),
        via=via,
        username=own.get("username"),
        icon_emoji=own.get("icon_emoji"),
        thread_ts=body.get("thread_ts"),
    )


def _api_error(error: str, retry_after: int | None = None) -> Response:
    body = {"ok": False, "error": error}
    if error != "ratelimited":
        return reply(body)
    return reply(body, status=429, headers=_retry_header(retry_after))


def _retry_header(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


ROOT_ROUTES = (
    Route(f"{SLACK_PATH}/api/chat.postMessage", _post_message, methods=["POST"]),
    Route(f"{SLACK_PATH}/services/{{hook:path}}", _incoming, methods=["POST"]),
)
