"""Routes outside of projects: which projects there are, whose key this is, and what it may do.

Source: reference 1; PostHog/mcp:typescript/src/api/client.ts for the shapes.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from posthog_events.emulator.auth import authenticate, check_scope, resolve_project
from posthog_events.emulator.endpoint import reply
from posthog_events.emulator.listing import numbered_page, rooted

if TYPE_CHECKING:
    from starlette.requests import Request

    from posthog_events.emulator.world import Key, Project, World

__all__ = ["ROOT_ROUTES"]

ORGANIZATION = {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, "organization")), "name": "Emulator", "slug": "emulator"}


def _key(request: Request, world: World, scope: str) -> Key:
    key = authenticate(world, request.headers, lambda: None)
    check_scope(key, scope)
    return key


def list_projects(request: Request, world: World) -> Response:
    """Answer `GET /api/projects/`."""
    key = _key(request, world, "project:read")
    items = [_summary(project) for project in _visible(world, key)]
    return numbered_page(world, request, items, total=True)


def one_project(request: Request, world: World) -> Response:
    """Answer `GET /api/projects/{id}/`."""
    key = _key(request, world, "project:read")
    return reply(_details(resolve_project(world, key, request.path_params["project_id"])))


def current_user(request: Request, world: World) -> Response:
    """Answer `GET /api/users/@me/`."""
    key = _key(request, world, "user:read")
    teams = [_summary(project) for project in _visible(world, key)]
    return reply(
        {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, "user")),
            "distinct_id": "emulator",
            "first_name": "Emulator",
            "email": "emulator@example.com",
            "team": teams[0] if teams else None,
            "organization": ORGANIZATION | {"teams": teams, "projects": teams},
        }
    )


def current_key(request: Request, world: World) -> Response:
    """Answer `GET /api/personal_api_keys/@current/`, which needs no scope."""
    key = authenticate(world, request.headers, lambda: None)
    return reply(
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, key.value)),
            "label": key.label,
            "scopes": sorted(key.scopes),
            "scoped_teams": sorted(key.projects) if key.projects is not None else [],
            "scoped_organizations": [],
        }
    )


def current_organization(request: Request, world: World) -> Response:
    """Answer `GET /api/organizations/@current/`."""
    key = _key(request, world, "organization:read")
    teams = [_summary(project) for project in _visible(world, key)]
    return reply(ORGANIZATION | {"teams": teams, "projects": teams})


def _visible(world: World, key: Key) -> list[Project]:
    return [project for number, project in sorted(world.projects.items()) if _may_see(key, number)]


def _may_see(key: Key, number: int) -> bool:
    return key.projects is None or number in key.projects


def _summary(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"project {project.id}")),
        "organization": ORGANIZATION["id"],
        "name": project.name,
        "timezone": project.engine.catalog().timezone,
        "api_token": project.token,
    }


def _details(project: Project) -> dict[str, Any]:
    """Return everything about a project; `project.state["settings"]` overrides, such as `event_retention_months`."""
    catalog = project.engine.catalog()
    return _summary(project) | {
        "week_start_day": 1 if catalog.week_starts_monday else 0,
        "ingested_event": True,
        "is_demo": False,
        "event_retention_months": None,
        "events_retention_enforced": False,
        "modifiers": {"personsOnEventsMode": catalog.person_mode.value},
        "group_types": [
            {"group_type": name, "group_type_index": index} for name, index in sorted(catalog.group_types.items())
        ],
        **project.state.get("settings", {}),
    }


ROOT_ROUTES = (
    Route("/api/projects/", rooted(list_projects)),
    Route("/api/projects/{project_id}/", rooted(one_project)),
    Route("/api/users/@me/", rooted(current_user)),
    Route("/api/personal_api_keys/@current/", rooted(current_key)),
    Route("/api/organizations/@current/", rooted(current_organization)),
)
