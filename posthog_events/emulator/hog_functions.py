"""`hog_functions/`: destinations as PostHog stores them. Source: reference 1.1 to 1.5."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.endpoint import Call, Refusal, api_route, reply
from posthog_events.emulator.hog_inputs import MASK, Invalid, hide_secrets
from posthog_events.emulator.hog_state import HogRow, HogState, new_uuid, state_of
from posthog_events.emulator.hog_templates import template, templates
from posthog_events.emulator.hog_validation import Setting, Validated, validate
from posthog_events.emulator.hog_watcher import revive, status_of
from posthog_events.emulator.listing import invalid, not_found, numbered_page, utc_text

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.responses import Response

__all__ = ["ROUTES", "find", "setting_of"]

AUTHOR = {
    "id": 1,
    "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, "user")),
    "distinct_id": "emulator",
    "first_name": "Emulator",
    "email": "emulator@example.com",
}
MAX_PAGE = 1000
MAX_SEARCH_CHARS = 200
SIMILAR = 0.3
"""PostgreSQL's threshold for trigrams."""

MAX_ENABLED: Mapping[str, int] = {"transformation": 20, "transformation_log": 5}
_NEW: Mapping[str, Any] = {
    "name": None,
    "description": "",
    "enabled": False,
    "deleted": False,
    "mappings": None,
    "masking": None,
    "icon_url": None,
    "execution_order": None,
}


def list_functions(call: Call) -> Response:
    """Answer `GET hog_functions/`."""
    state, now = state_of(call.project), call.world.now()
    rows = sorted(
        (row for row in state.live() if _selected(row, call.query)),
        key=lambda row: (row.execution_order is None, row.execution_order or 0, -row.updated_at.timestamp()),
    )
    shown = _full if call.query.get("full") == "true" else _minimal
    matches: dict[str, str] = {}
    if search := call.query.get("search"):
        matches = _searched(rows, search)
        rows = [row for row in rows if row.id in matches]
    return numbered_page(
        call.world,
        call.request,
        rows,
        total=True,
        maximum=MAX_PAGE,
        show=lambda page: [shown(state, row, now) | {"search_match_type": matches.get(row.id)} for row in page],
    )


def create(call: Call) -> Response:
    """Answer `POST hog_functions/`."""
    state = state_of(call.project)
    with state.lock:
        columns = _validated(call, setting_of(call, create=True)).columns
        _check_cap(state, columns["type"], enabled=columns.get("enabled", False))
        now = state.tick(call.world.now())
        row = HogRow(**{"id": new_uuid(), "created_at": now, "updated_at": now, **_NEW, **columns})
        state.rows[row.id] = row
    return reply(_full(state, row, call.world.now()), status=201)


def retrieve(call: Call) -> Response:
    """Answer `GET hog_functions/{id}/`."""
    return reply(_full(state_of(call.project), find(call), call.world.now()))


def update(call: Call) -> Response:
    """Answer `PATCH` and `PUT hog_functions/{id}/`: every field that is sent is replaced as a whole."""
    state = state_of(call.project)
    undelete = call.request.method == "PATCH" and isinstance(call.body, Mapping) and call.body.get("deleted") is False
    with state.lock:
        row = find(call, deleted=undelete)
        found = _validated(call, setting_of(call, row=row))
        if found.base_updated_at is not None and row.updated_at > found.base_updated_at:
            raise Refusal(
                409,
                "invalid_request",
                "stale_update",
                "This function changed since you read it. Read it again and repeat the update.",
            )
        after = replace(
            row, **{**found.columns, "updated_at": state.tick(call.world.now()), "version": row.version + 1}
        )
        if after.enabled and not after.deleted and not (row.enabled and not row.deleted):
            _check_cap(state, after.type, enabled=True)
        state.rows[row.id] = after
        if after.masking != row.masking:
            state.maskers.pop(row.id, None)
        if after.enabled:
            revive(state, row.id, call.world.now())
    return reply(_full(state, after, call.world.now()))


def masked_secrets(call: Call) -> Response:
    """Answer `GET hog_functions/masked_secrets/`: functions whose secret is the mask of PostHog's own page."""
    found = []
    for row in state_of(call.project).live():
        keys = sorted(key for key, item in row.secrets.items() if item.get("value") == MASK)
        if keys:
            named = {"id": row.id, "name": row.name or "", "type": row.type, "enabled": row.enabled}
            found.append(named | {"input_keys": keys, "draft_input_keys": []})
    return reply(found)


def find(call: Call, *, deleted: bool = False) -> HogRow:
    """Return the function that a path names.

    Args:
        deleted: Also one that was deleted.
    """
    row = state_of(call.project).rows.get(call.params["id"].lower())
    if row is None or (row.deleted and not deleted):
        raise not_found()
    return row


def setting_of(call: Call, *, create: bool = False, row: HogRow | None = None) -> Setting:
    """Return what validation needs to know of a project."""
    state = state_of(call.project)
    return Setting(
        templates=templates(state.rules),
        create=create,
        row=row,
        actions=state.actions,
        test_account_filters=tuple(call.project.state.get("settings", {}).get("test_account_filters", ())),
    )


def _validated(call: Call, setting: Setting) -> Validated:
    try:
        return validate(call.body if call.body is not None else {}, setting)
    except Invalid as error:
        raise error.refusal() from error


def _check_cap(state: HogState, kind: str, *, enabled: bool) -> None:
    cap = MAX_ENABLED.get(kind)
    if cap is not None and enabled and sum(row.enabled and row.type == kind for row in state.live()) >= cap:
        raise invalid(f"Maximum of {cap} enabled {kind} functions allowed per team.", attr="type")


def _minimal(state: HogState, row: HogRow, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": row.type,
        "name": row.name,
        "description": row.description,
        "created_at": utc_text(row.created_at),
        "created_by": AUTHOR,
        "updated_at": utc_text(row.updated_at),
        "enabled": row.enabled,
        "hog": row.hog,
        "filters": row.filters,
        "icon_url": row.icon_url,
        "template": template(state.rules, row.template_id),
        "status": status_of(state, row, now),
        "execution_order": row.execution_order,
        "search_match_type": None,
        "draft_updated_at": None,
    }


def _full(state: HogState, row: HogRow, now: datetime) -> dict[str, Any]:
    return _minimal(state, row, now) | {
        "bytecode": ["_H", 1],
        "transpiled": None,
        "inputs_schema": row.inputs_schema,
        "inputs": hide_secrets(row.inputs_schema, row.inputs, row.secrets),
        "masking": row.masking,
        "mappings": row.mappings,
        "batch_export_id": None,
        "version": row.version,
        "draft": None,
    }


def _selected(row: HogRow, query: Mapping[str, str]) -> bool:
    """Whether a row meets the list parameters; unknown ones are ignored, as `template_id`."""
    enabled = {"true": True, "false": False}.get(query.get("enabled", "").lower())
    exact: tuple[tuple[str, Callable[[], object]], ...] = (
        ("id", lambda: row.id),
        ("created_by", lambda: str(AUTHOR["id"])),
        ("created_at", lambda: utc_text(row.created_at)),
        ("updated_at", lambda: utc_text(row.updated_at)),
    )
    if query.get("type") and row.type not in query["type"].split(","):
        return False
    if enabled is not None and row.enabled != enabled:
        return False
    if any(query.get(name) and query[name] != value() for name, value in exact):
        return False
    groups = _groups(query)
    return not groups or any(_contains(row.filters, group) for group in groups)


def _groups(query: Mapping[str, str]) -> list[Any]:
    """Return what a function's filters must contain, one of them."""
    found: list[Any] = []
    for name in ("filter_groups", "filters"):
        if not query.get(name):
            continue
        try:
            value = json.loads(query[name])
        except ValueError as error:
            raise invalid(f"Invalid {name}", attr=name) from error
        if name == "filter_groups" and not isinstance(value, list):
            raise invalid(f"Invalid {name}", attr=name)
        found += value if name == "filter_groups" else [value]
    return [group for group in found if group]


def _contains(whole: Any, part: Any) -> bool:
    """PostgreSQL's `@>` for JSONB."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            key in whole and _contains(whole[key], value) for key, value in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(_contains(one, wanted) for one in whole) for wanted in part)
    return isinstance(whole, bool) == isinstance(part, bool) and bool(whole == part)


def _searched(rows: list[HogRow], search: str) -> dict[str, str]:
    """Return the ids of what is found, and how; what is only similar counts when nothing is exact."""
    if len(search) > MAX_SEARCH_CHARS:
        raise invalid(f"Search query must be {MAX_SEARCH_CHARS} characters or fewer.", attr="search")
    found: dict[str, str] = {}
    for row in rows:
        texts = [(row.name or "").lower(), row.description.lower()]
        if any(search.lower() in text for text in texts):
            found[row.id] = "exact"
        elif any(_alike(search.lower(), text) >= SIMILAR for text in texts):
            found[row.id] = "similar"
    return {key: kind for key, kind in found.items() if kind == "exact"} or found


def _alike(search: str, text: str) -> float:
    """Return how much of the search is in a text, as `word_similarity` does."""
    one, other = _trigrams(search), _trigrams(text)
    return len(one & other) / len(one) if one else 0.0


def _trigrams(text: str) -> set[str]:
    return {padded[at : at + 3] for word in text.split() for padded in [f"  {word} "] for at in range(len(padded) - 2)}


ROUTES = (
    api_route("hog_functions/", list_functions, scope="hog_function:read"),
    api_route("hog_functions/", create, methods=("POST",), scope="hog_function:write"),
    api_route("hog_functions/masked_secrets/", masked_secrets, scope="hog_function:read"),
    api_route("hog_functions/{id}/", retrieve, scope="hog_function:read"),
    api_route("hog_functions/{id}/", update, methods=("PATCH", "PUT"), scope="hog_function:write"),
)
