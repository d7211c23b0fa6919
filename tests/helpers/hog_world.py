"""An emulated PostHog for hog functions: no socket, no event store, and a clock that stands still."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from posthog_events.clickhouse.catalog import Catalog, Column, Table
from posthog_events.clickhouse.engine import ClickHouseEngine
from posthog_events.emulator import hog_functions, hog_invocations, hog_metrics, hog_templates, integrations
from posthog_events.emulator.fake_slack import ROOT_ROUTES
from posthog_events.emulator.faults import Faults
from posthog_events.emulator.hog_state import HogState, state_of
from posthog_events.emulator.world import Key, Project, World
from tests.helpers.emulated_world import KEY, ORIGIN, PROJECT, TOKEN, Answer, Clock, Server

MODULES = (hog_functions, hog_templates, hog_invocations, hog_metrics, integrations)
URL = "http://receiver.test/hook"
WEBHOOK: Mapping[str, Any] = {
    "type": "destination",
    "template_id": "template-webhook",
    "name": "Signups",
    "inputs": {"url": {"value": URL}},
    "filters": {"events": [{"id": "signup", "type": "events"}]},
}
SECRET_SCHEMA = [
    {"key": "url", "type": "string", "required": True},
    {"key": "headers", "type": "dictionary"},
    {"key": "token", "type": "string", "secret": True},
]


class HogServer(Server):
    """The routes of hog functions, and short ways to call them."""

    def __init__(self, scratch: Path, *, key: Key | None = None) -> None:
        self.clock = Clock()
        document = Column("String", is_json=True)
        events = Table("events", "", {"properties": document, "person_properties": document})
        catalog = Catalog({"events": events})
        engine = cast(ClickHouseEngine, SimpleNamespace(catalog=lambda: catalog))
        world = World(
            projects={PROJECT: Project(PROJECT, "Test", engine, None, TOKEN)},
            keys={KEY: key or Key(KEY)},
            scratch=scratch,
            faults=Faults(),
            origin=ORIGIN,
            now=self.clock,
            sleep=self.clock.sleep,
        )
        super().__init__(world, [route for module in MODULES for route in module.ROUTES], ROOT_ROUTES)

    @property
    def project(self) -> Project:
        return self.world.projects[PROJECT]

    @property
    def state(self) -> HogState:
        return state_of(self.project)

    def create(self, **changes: Any) -> Any:
        """Create a webhook that must be accepted."""
        answer = self.post("hog_functions/", {**WEBHOOK, **changes})
        assert answer.status == 201, answer.body
        return answer.json

    def patch(self, id_: str, **body: Any) -> Answer:
        """Send a PATCH."""
        return self.send("PATCH", f"hog_functions/{id_}/", body=json.dumps(body).encode())

    def read(self, id_: str) -> Any:
        """Read a function that must be there."""
        answer = self.get(f"hog_functions/{id_}/")
        assert answer.status == 200, answer.body
        return answer.json

    def listed(self, **params: Any) -> Any:
        """List functions."""
        return self.get("hog_functions/", params).json["results"]


def refused(answer: Answer) -> tuple[int, str, str | None]:
    """Return what identifies a refusal."""
    return answer.status, answer.json["code"], answer.json["attr"]
