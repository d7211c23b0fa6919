"""Sets of destinations over an emulated PostHog: made at random, applied, cut, and compared with what was there."""

from __future__ import annotations

import base64
import functools
import hashlib
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any
from unittest.mock import patch

from posthog_events.destinations import Destination, Discord, Slack, Webhook
from posthog_events.destinations.manager import Destinations
from posthog_events.destinations.matching import key_of
from posthog_events.emulator.hog_state import DeliveryRules, HogRow, HogState
from posthog_events.emulator.world import Limits
from posthog_events.errors import ConnectionFailed
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.host import parse_host
from posthog_events.posthog.http import Api, Reply, Request
from posthog_events.testing import EmulatedPostHog, emulator
from tests.helpers.emulated_world import Clock

__all__ = ["Cut", "DestinationWorld", "content", "edited", "foreign_bodies", "made", "serve_destinations"]

URLS = tuple(f"https://crm{number}.example.com/hooks/{number}" for number in range(4))
MORE = {"key": "more", "type": "string", "label": "More", "required": False, "secret": False, "hidden": False}
EVENTS = ("signup", "purchase", "subscription_started")


class Cut(Exception):
    """The process ended here; nobody catches it."""


@dataclass
class Cutting:
    """Passes requests on until the nth, at which something happens.

    Args:
        at: From 1; 0 never.
        how: `before` or `after` it was carried out the process ends; `lost` and `unsent`: the connection breaks after
            and before it was carried out, and nobody knows which.
    """

    api: Api
    at: int = 0
    how: str = "before"
    sent: list[Request] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.api.origin

    @property
    def project_id(self) -> int:
        return self.api.project_id

    def send(self, request: Request) -> Reply:
        """See `Api.send`."""
        self.sent.append(request)
        here = len(self.sent) == self.at
        if here and self.how == "before":
            raise Cut
        if here and self.how == "unsent":
            raise ConnectionFailed("cut", ambiguous=not request.repeatable)
        reply = self.api.send(request)
        if here and self.how == "after":
            raise Cut
        if here and self.how == "lost":
            raise ConnectionFailed("cut", ambiguous=not request.repeatable)
        return reply


class DestinationWorld:
    """A served project, and the secrets of its declarations, new ones each time."""

    def __init__(self, served: EmulatedPostHog, clock: Clock) -> None:
        self.served, self.clock = served, clock
        self.environ = {
            "URL": f"https://hidden.example.com/{secrets.token_hex(12)}",
            "KEY": f"key/{secrets.token_hex(12)}",
            "SIGN": f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}",
            "SLACK": f"https://hooks.slack.com/services/T0/B0/{secrets.token_hex(12)}",
            "DISCORD": f"https://discord.com/api/webhooks/1/{secrets.token_hex(12)}",
        }
        self.api = self.client()

    @property
    def state(self) -> HogState:
        return self.served.destinations

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be seen nowhere."""
        return tuple(self.environ.values())

    def client(self, key: str | None = None) -> ApiClient:
        """Return a client that never waits."""
        host = parse_host(self.served.url)
        return ApiClient(host, self.served.project_id, key or self.served.key, sleep=self.clock.sleep)

    def manager(self, api: Api | None = None) -> Destinations:
        """Return the project's destinations."""
        return Destinations(api or self.api, clock=self.clock, environ=self.environ, keyring=lambda _: None)

    def cutting(self, at: int = 0, how: str = "before") -> Cutting:
        """Return a client that is cut."""
        return Cutting(self.api, at, how)

    def begin(self, rows: Mapping[str, HogRow] | None = None) -> None:
        """Put the project into a state; empty by default."""
        self.served.faults.clear()
        self.served.faults.forget()
        self.state.rows.clear()
        self.state.rows.update(rows or {})
        self.state.rules = DeliveryRules()

    def rows(self) -> dict[str, HogRow]:
        """Return everything that is stored, deleted rows and secrets included; rows are never changed in place."""
        return dict(self.state.rows)

    def create(self, body: Mapping[str, Any]) -> HogRow:
        """Create a destination as people do."""
        reply = self.api.send(Request("POST", "hog_functions/", json=dict(body)))
        return self.state.rows[reply.decode()["id"]]

    def put(self, row: HogRow, **changes: Any) -> None:
        """Change a stored row as a person would: it has another moment."""
        self.state.rows[row.id] = replace(row, updated_at=self.state.tick(self.clock()), **changes)

    def ours(self) -> dict[str, list[HogRow]]:
        """Return the rows with a mark that are not deleted, by key."""
        found: dict[str, list[HogRow]] = {}
        for row in self.state.live():
            if (key := key_of({"description": row.description})) is not None:
                found.setdefault(key, []).append(row)
        return found

    def foreign(self) -> dict[str, HogRow]:
        """Return every row without a mark."""
        return {id_: row for id_, row in self.rows().items() if key_of({"description": row.description}) is None}


def content(row: HogRow) -> dict[str, Any]:
    """Return what a row does: everything but its id and its moments."""
    return {item.name: getattr(row, item.name) for item in fields(row) if item.name not in _IDENTITY}


_IDENTITY = ("id", "created_at", "updated_at", "version")


@contextmanager
def serve_destinations() -> Iterator[DestinationWorld]:
    """Serve an empty project. A secret is stretched once in all: that takes long on purpose."""
    clock = Clock()
    stretched = functools.cache(hashlib.scrypt)
    with (
        emulator(limits=Limits(rates={}), clock=clock, sleep=clock.sleep) as served,
        patch("hashlib.scrypt", stretched),
    ):
        yield DestinationWorld(served, clock)


# -- random sets ----------------------------------------------------------------------------------------------------


def made(draw: random.Random, key: str) -> Destination:
    """Return a destination of any kind."""
    common: dict[str, Any] = {
        "key": key,
        "events": draw.choice(
            [[draw.choice(EVENTS)], list(EVENTS), [{"event": "purchase", "where": ["amount >= 100"]}]]
        ),
        "where": draw.choice([None, ["plan is_set"], ["plan in [a, b]", "person.email not_icontains @example.com"]]),
        "exclude_test_accounts": draw.random() < 0.3,
        "enabled": draw.random() < 0.75,
        "description": draw.choice([None, None, "Feeds the CRM.", "Two\n\nparagraphs"]),
        "once_per": draw.choice([None, None, {"key": "person", "interval": "1h"}, {"key": "all", "interval": "60s"}]),
    }
    name = draw.choice(["Crm", "Signups", "Größe ✓", "a | b"])
    match draw.choice(["webhook", "webhook", "signed", "slack", "discord"]):
        case "slack":
            return Slack(name, webhook_url="${env:SLACK}", message=draw.choice(["Hi {event.event}", "*x*"]), **common)
        case "discord":
            message = draw.choice(["{event.event}", "**{person.name}** triggered event: '{event.event}'"])
            return Discord(name, webhook_url="${env:DISCORD}", message=message, **common)
        case kind:
            return Webhook(
                name,
                url=draw.choice([*URLS, "${env:URL}"]),
                method=draw.choice(["POST", "PUT"]),
                headers=draw.choice([None, {"X-Crm": "${env:KEY}"}, {"X-Id": "{event.uuid}", "X-Crm": "k ${env:KEY}"}]),
                body=draw.choice([None, {"e": "{event}", "n": [1, 2.5, None, True]}, {"key": "{event.uuid}"}]),
                signing_secret="${env:SIGN}" if kind == "signed" else None,
                debug=draw.random() < 0.2,
                **common,
            )


def foreign_bodies(draw: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """Yield what people create: own inputs, mappings, icons, folders, and URLs that declarations have too."""
    for number in range(count):
        yield {
            "type": "destination",
            "template_id": "template-webhook",
            "name": draw.choice(["Crm", f"By hand {number}"]),
            "description": draw.choice(["", "by hand", "managed by posthog-events", "key=d0"]),
            "enabled": draw.random() < 0.5,
            "inputs": {
                "url": {"value": draw.choice(URLS)},
                "custom": {"value": "{event.properties.x}"},
                "token": {"value": "people's own"},
            },
            "inputs_schema": [
                {"key": "url", "type": "string", "required": True},
                {"key": "custom", "type": "string", "label": "Custom"},
                {"key": "token", "type": "string", "secret": True},
            ],
            "filters": {"events": [{"id": draw.choice(EVENTS), "type": "events"}]},
            "mappings": draw.choice([None, [{"name": "m", "inputs": {}, "inputs_schema": [], "filters": {}}]]),
            "masking": draw.choice([None, {"hash": "all", "ttl": 60}]),
            "icon_url": draw.choice([None, "/static/cat.png"]),
            "_create_in_folder": "Unfiled/Crm",
        }


def edited(world: DestinationWorld, draw: random.Random, keys: Sequence[str]) -> None:
    """Let people edit what is ours: fields that declarations manage, and fields that they do not."""
    for key in keys:
        for row in world.ours().get(key, []):
            changes: dict[str, Any] = {"icon_url": "/static/dog.png", "execution_order": draw.randrange(9)}
            if draw.random() < 0.5:
                changes["name"] = "Renamed by Ann"
            if draw.random() < 0.5:
                changes["enabled"] = not row.enabled
            if draw.random() < 0.5:
                changes["description"] = f"Ask Ann.\n\n{row.description.splitlines()[-1]}"
            if draw.random() < 0.5:
                changes["mappings"] = [{"name": "m", "inputs": {}, "inputs_schema": [], "filters": {}}]
            if draw.random() < 0.5:
                changes["inputs_schema"] = [*row.inputs_schema, MORE]
            if draw.random() < 0.3:
                changes["masking"] = {"hash": "{event.uuid}", "ttl": 99, "threshold": None}
            world.put(row, **changes)
