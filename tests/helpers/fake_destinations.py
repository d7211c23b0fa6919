"""A project's destinations behind one method, `send`: what is stored is what was sent, unless a test says otherwise."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from posthog_events.destinations import Destination, Secrets, body_of
from posthog_events.destinations.live import Live
from posthog_events.destinations.templates import SCHEMAS, WEBHOOK
from posthog_events.errors import ApiError, NotFound
from posthog_events.posthog.http import Reply, Request

__all__ = ["CODE", "FakeProject", "live_of", "row_of", "template_of"]

CODE = "sign(inputs.signing_secret)"
NONE = Secrets({})


def template_of(id_: str, **changes: Any) -> dict[str, Any]:
    """Return a template as PostHog shows it."""
    schema = [dict(item) for item in SCHEMAS.get(id_, ())]
    return {"id": id_, "code": CODE, "inputs_schema": schema, "type": "destination", "status": "stable", **changes}


def row_of(destination: Destination, secrets: Secrets = NONE, *, id_: str = "row-1", **changes: Any) -> dict[str, Any]:
    """Return the row of a destination that was applied."""
    return stored(body_of(destination, secrets, slack_workspace=7), id_=id_) | changes


def stored(body: Mapping[str, Any], *, id_: str, at: str = "2026-08-20T00:00:00.000001Z") -> dict[str, Any]:
    """Return what PostHog shows of a body: inputs that the schema does not have are dropped, secrets are hidden."""
    row = copy.deepcopy(dict(body))
    template = row.pop("template_id", None)
    row["template"] = template_of(template) if template else None
    schema = row.get("inputs_schema") or [dict(item) for item in SCHEMAS.get(template or "", ())]
    given = row.get("inputs") or {}
    inputs = {
        item["key"]: {"secret": True} if item.get("secret") else given[item["key"]]
        for item in schema
        if item["key"] in given
    }
    return {
        "hog": CODE,
        "icon_url": None,
        "mappings": None,
        "draft": None,
        "updated_at": at,
        **row,
        "id": id_,
        "inputs_schema": schema,
        "inputs": inputs,
    }


def live_of(*rows: Mapping[str, Any], **changes: Any) -> Live:
    """Return a project in PostHog Cloud with these destinations, whose webhooks sign."""
    return Live(
        **{
            "origin": "https://eu.posthog.com",
            "project_id": 7,
            "rows": rows,
            "templates": {WEBHOOK: template_of(WEBHOOK)},
            **changes,
        }
    )


@dataclass
class FakeProject:
    """Answers what destinations ask for, and keeps the requests.

    Args:
        change: Given each request and the row or None; what it returns is stored in the row's place.
        lose: Given each request after it was carried out; may raise.
        refuse: Given each request before it is carried out; may raise.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=lambda: {WEBHOOK: template_of(WEBHOOK)})
    workspaces: list[dict[str, Any]] = field(default_factory=list)
    scopes: list[str] | None = field(default_factory=lambda: ["*"])
    change: Callable[[Request, dict[str, Any]], dict[str, Any]] = lambda _, row: row
    refuse: Callable[[Request], None] = lambda _: None
    lose: Callable[[Request], None] = lambda _: None
    origin: str = "https://eu.posthog.com"
    project_id: int = 7
    sent: list[Request] = field(default_factory=list)

    @property
    def writes(self) -> list[str]:
        """Method and path of every request that changes something."""
        return [f"{request.method} {request.path}" for request in self.sent if request.method != "GET"]

    def send(self, request: Request) -> Reply:
        """See `Api.send`."""
        self.sent.append(request)
        self.refuse(request)
        body = json.dumps(self._answer(request)).encode()
        self.lose(request)
        return Reply(200, {}, body, f"{request.method} {request.path}")

    def _answer(self, request: Request) -> Any:
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["hog_functions"]:
                rows = [row for row in self.rows.values() if not row.get("deleted")]
                return {"results": rows, "next": None, "count": len(rows)}
            case "GET", ["hog_functions", id_]:
                return self._row(id_)
            case "POST", ["hog_functions"]:
                id_ = f"new-{len(self.rows) + 1}"
                row = stored(request.json, id_=id_, at=self._tick())
                self.rows[id_] = self.change(request, row)
                return self.rows[id_]
            case "PATCH", ["hog_functions", id_]:
                row = self._row(id_)
                if request.json["base_updated_at"] != row["updated_at"]:
                    raise ApiError("changed since", status=409, code="stale_update")
                sent = {name: value for name, value in request.json.items() if name != "base_updated_at"}
                body = {**row, "template_id": (row["template"] or {}).get("id"), **sent}
                secret = {name for name, value in row["inputs"].items() if value == {"secret": True}}
                body["inputs"] = {**{name: {"secret": True} for name in secret}, **body["inputs"]}
                del body["template"], body["updated_at"]
                self.rows[id_] = self.change(request, stored(body, id_=id_, at=self._tick()))
                return self.rows[id_]
            case "GET", ["hog_function_templates", id_]:
                if id_ not in self.templates:
                    raise NotFound("nothing there", status=404)
                return self.templates[id_]
            case "GET", ["integrations"]:
                return {"results": self.workspaces, "next": None, "count": len(self.workspaces)}
            case "GET", ["api", "personal_api_keys", "@current"]:
                return {"scopes": self.scopes, "scoped_teams": []}
        raise AssertionError(f"nobody asks for {request.method} {request.path}")

    def _row(self, id_: str) -> dict[str, Any]:
        row = self.rows.get(id_)
        if row is None or row.get("deleted"):
            raise NotFound("nothing there", status=404)
        return row

    def _tick(self) -> str:
        return f"2026-09-01T00:00:00.{len(self.sent):06d}Z"
