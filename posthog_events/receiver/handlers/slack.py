"""Messages to Slack, through an incoming webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from posthog_events.errors import ConfigError, HogError
from posthog_events.receiver.context import Context, GiveUp
from posthog_events.receiver.handlers.posting import TIMEOUT_S, Post
from posthog_events.receiver.payload import ReceivedEvent
from posthog_events.receiver.routing import Handler, event_globals

__all__ = ["slack_message", "template_globals"]


def slack_message(
    webhook_url: str, text: str | Callable[[ReceivedEvent], str | Mapping[str, Any]], *, timeout_s: float = TIMEOUT_S
) -> Handler:
    """Return a handler that sends a message to Slack.

    Slack knows no idempotency keys: when its answer is lost, the message may come twice.

    Args:
        webhook_url: The address of an incoming webhook, which is a secret.
        text: A template as in declarations (`{person.properties.email ?? event.distinct_id} signed up`), into which
            values are put so that they cannot mention a channel or make a link; or a function of the event that
            returns the text, or a whole message (`{"blocks": [...]}`), which is sent as it is.
        timeout_s: Seconds to connect, and for each wait for the answer.

    Raises:
        ConfigError: The address or the template cannot be used.
        MissingExtra: There is a template, and no `hogql-parser`.
    """
    post = Post(webhook_url, timeout_s=timeout_s)
    made = _template(text) if isinstance(text, str) else text

    def slack(event: ReceivedEvent | None, context: Context) -> None:
        if event is None:
            raise GiveUp("the delivery holds no event to make a message of")
        found = made(event)
        message = found if isinstance(found, Mapping) else {"text": found}
        if message.get("text") in (None, "") and not message.get("blocks"):
            raise GiveUp("the message is empty, and Slack takes none without a text")
        post.send(msgspec.json.encode(message), context=context)

    return slack


def _template(text: str) -> Callable[[ReceivedEvent], str]:
    from posthog_events.hog.template import parse_template

    try:
        template = parse_template(text, where="the message")
    except HogError as error:
        raise ConfigError(f"the message for Slack is no template: {error.message}") from error

    def render(event: ReceivedEvent) -> str:
        try:
            found = template.render(_escaped(template_globals(event)))
        except HogError as error:
            raise GiveUp(f"the message cannot be made of this event: {error}") from error
        return found if isinstance(found, str) else "" if found is None else msgspec.json.encode(found).decode()

    return render


def template_globals(event: ReceivedEvent) -> dict[str, Any]:
    """Return what templates see of an event, as far as the body tells."""
    found = event_globals(event)
    found["event"] = {**found["event"], "url": event.url}
    return {**found, "project": dict(event.project or {}), "source": dict(event.source or {})}


def _escaped(value: Any) -> Any:
    """Return JSON values without Slack's control characters. Source: Slack's guide to formatting text."""
    match value:
        case str():
            return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        case Mapping():
            return {key: _escaped(part) for key, part in value.items()}
        case list() | tuple():
            return [_escaped(part) for part in value]
        case _:
            return value
