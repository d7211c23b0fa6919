"""What the code of the templates does, in Python: the emulator has no Hog interpreter for programs.

A function whose `hog` is not that of a template here cannot run, and says so in its log. A program is a generator: it
yields the requests that the Hog code would make with `fetch`, and is sent their answers. Source: reference 2, 6 and 7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from posthog_events.hog.message_bodies import SLACK_URL, discord_body, slack_body, teams_body

__all__ = ["Answer", "Fetch", "Program", "RunFailed", "discord", "slack", "teams", "webhook"]

_DISCORD = re.compile(r"https://discord\.com/api/webhooks/.*")
_TEAMS = re.compile(
    r"https://([^/]+\.logic\.azure\.com:443/workflows|[^/]+\.webhook\.office\.com/webhookb2"
    r"|[^/]+\.powerautomate\.com|[^/]+\.flow\.microsoft\.com|[^/]+\.environment\.api\.powerplatform\.com).*"
)


class RunFailed(Exception):
    """The run ends with an error, as `throw Error(...)` in Hog."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request as Hog's `fetch` makes it.

    Args:
        arguments: What the code passed, for the log of a mocked call.
        signing_secret: Sign every attempt with it.
    """

    url: Any
    arguments: Mapping[str, Any] = field(repr=False)
    signing_secret: str | None = field(default=None, repr=False)

    @property
    def method(self) -> str:
        """The method, POST unless the code says otherwise."""
        return str(self.arguments.get("method") or "POST").upper()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are sent: given ones replace the default, and values that are no text are dropped."""
        given = self.arguments.get("headers") or {"Content-Type": "application/json"}
        return {str(key): value for key, value in given.items() if isinstance(value, str)}

    @property
    def body(self) -> str | None:
        """Text as it is, anything else as JSON; None for nothing, and for methods without a body."""
        given = self.arguments.get("body")
        if not given or self.method in ("GET", "HEAD"):
            return None
        return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What `fetch` returns: the body as JSON when it is, else as text."""

    status: int
    body: Any


Run = Generator[Fetch, Answer, None]
Program = Callable[[Mapping[str, Any], Callable[..., None]], Run]
"""Takes the resolved inputs and `print`."""


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def webhook(failing: int, *, signs: bool) -> Program:
    """Return the program of `template-webhook`.

    Args:
        failing: The lowest status that is a failure.
        signs: Whether it uses the input `signing_secret`; before August 2026 it did not.
    """

    def run(inputs: Mapping[str, Any], log: Callable[..., None]) -> Run:
        payload = {key: inputs.get(key) for key in ("headers", "body", "method")}
        if inputs.get("debug"):
            log("Request", inputs.get("url"), payload)
        answer = yield Fetch(inputs.get("url"), payload, (signs and inputs.get("signing_secret")) or None)
        if answer.status >= failing:
            raise RunFailed(f"Webhook failed with status {answer.status}: {_show(answer.body)}")
        if inputs.get("debug"):
            log("Response", answer.status, answer.body)

    return run


def slack(inputs: Mapping[str, Any], log: Callable[..., None]) -> Run:
    """Run `template-slack`."""
    workspace = inputs.get("slack_workspace")
    token = workspace.get("access_token") if isinstance(workspace, Mapping) else None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = yield Fetch(SLACK_URL, {"body": slack_body(inputs), "method": "POST", "headers": headers})
    refused = isinstance(answer.body, Mapping) and answer.body.get("ok") is False
    if answer.status != 200 or refused:
        raise RunFailed(f"Failed to post message to Slack: {answer.status}: {_show(answer.body)}")


def discord(inputs: Mapping[str, Any], log: Callable[..., None]) -> Run:
    """Run `template-discord`, whose address is checked only now."""
    if not _DISCORD.fullmatch(str(inputs.get("webhookUrl"))):
        raise RunFailed("Invalid URL. The URL should match the format: https://discord.com/api/webhooks/...")
    yield from _posted("Discord", inputs["webhookUrl"], discord_body(inputs))


def teams(inputs: Mapping[str, Any], log: Callable[..., None]) -> Run:
    """Run `template-microsoft-teams`, whose address is checked only now."""
    if not _TEAMS.fullmatch(str(inputs.get("webhookUrl"))):
        raise RunFailed("Invalid URL. The URL should be a Microsoft Teams webhook address")
    yield from _posted("Microsoft Teams", inputs["webhookUrl"], teams_body(inputs))


def _posted(name: str, url: str, body: Mapping[str, Any]) -> Run:
    answer = yield Fetch(url, {"body": body, "method": "POST", "headers": {"Content-Type": "application/json"}})
    if answer.status >= 400:
        raise RunFailed(f"Failed to post message to {name}: {answer.status}: {_show(answer.body)}")
