"""`invocations/` tries a hog function out, `rerun/` delivers again. Source: reference 5.1 and 5.5.

Answers of `invocations/` are not in PostHog's envelope. The draft of agents is left out: there never is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.auth import check_scope
from posthog_events.emulator.endpoint import Call, api_route, reply
from posthog_events.emulator.firing import matching, run_again, source_of, worker_of
from posthog_events.emulator.hog_functions import find, setting_of
from posthog_events.emulator.hog_globals import globals_of_raw, project_globals
from posthog_events.emulator.hog_inputs import Invalid, resolve
from posthog_events.emulator.hog_runs import carry_on, invocation_of
from posthog_events.emulator.hog_state import HogRow, HogState, Outcome, new_uuid, state_of
from posthog_events.emulator.hog_validation import validate
from posthog_events.emulator.integrations import integrations_of
from posthog_events.emulator.listing import invalid, is_uuid, utc_text
from posthog_events.errors import HogError

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["ROUTES"]

RUNNABLE = ("destination", "internal_destination")
MAX_WINDOW = timedelta(days=30)
MAX_RERUN = 10_000
STATUSES = ("succeeded", "failed")


def invoke(call: Call) -> Response:
    """Answer `POST hog_functions/{id}/invocations/`; an id that names nothing is as good as `new`."""
    body = call.body if isinstance(call.body, Mapping) else {}
    if body.get("use_draft"):
        raise invalid("This function has no staged draft to test.", attr="use_draft")
    if "configuration" not in body:
        raise invalid("Required unless use_draft is true.", attr="configuration")
    state = state_of(call.project)
    stored = state.rows.get(call.params["id"].lower())
    stored = None if stored is None or stored.deleted else stored
    try:
        columns = validate(body["configuration"], setting_of(call, row=stored)).columns
        for name in ("globals", "clickhouse_event"):
            if not isinstance(body.get(name, {}), Mapping):
                kind = type(body[name]).__name__
                raise _misshapen(name, f'Expected a dictionary of items but got type "{kind}".')
    except _RawError as error:
        return reply(error.body, status=400)
    except Invalid as error:
        return reply({"configuration": error.errors}, status=400)
    return _tried(call, _configured(columns, stored, call.world.now()), body)


class _RawError(Exception):
    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(str(body))
        self.body = body


def _misshapen(name: str, sentence: str) -> _RawError:
    return _RawError({name: [sentence]})


def _configured(columns: Mapping[str, Any], stored: HogRow | None, now: datetime) -> HogRow:
    """Return the function to try: the stored one, with the configuration laid over it."""
    base: dict[str, Any] = {
        "id": new_uuid(),
        "name": None,
        "description": "",
        "enabled": True,
        "deleted": False,
        "hog": "",
        "mappings": None,
        "masking": None,
        "icon_url": None,
        "execution_order": None,
        "created_at": now,
        "updated_at": now,
    }
    if stored is not None:
        base = {name: getattr(stored, name) for name in stored.__slots__}
    return HogRow(**{**base, **columns})


def _worker_error(message: str, status: int = 400) -> Response:
    return reply({"status": "error", "errors": [message]}, status=status)


def _tried(call: Call, row: HogRow, body: Mapping[str, Any]) -> Response:
    """Run a configuration once, in the request."""
    world, project, state = call.world, call.project, state_of(call.project)
    id_ = body.get("invocation_id") or new_uuid()
    if not is_uuid(id_):
        return _worker_error("Invalid invocation ID")
    raw = body.get("clickhouse_event")
    globals_ = globals_of_raw(world, project, raw) if raw else dict(body.get("globals") or {})
    if not isinstance(globals_.get("event"), Mapping):
        return _worker_error("Missing event")
    if row.type not in RUNNABLE:
        return _worker_error("Invalid function type")
    given = globals_.get("project")
    globals_["project"] = {**project_globals(world, project), **(given if isinstance(given, Mapping) else {})}
    logs: list[dict[str, Any]] = []
    errors: list[str] = []

    def log(level: str, message: str) -> None:
        logs.append({"level": level, "timestamp": utc_text(world.now()), "message": message})

    found = matching(world, project, row, globals_, cached=False)
    if isinstance(found, str):
        log("error", f"Error filtering event {globals_['event'].get('uuid')}: {found}")
    elif found is None:
        log("info", "Mapping trigger not matching filters was ignored.")
    ran = 0
    for inputs in found if isinstance(found, list) else ():
        seen = {**globals_, "source": source_of(row, globals_)}
        try:
            values = resolve(
                inputs, seen, schema=row.inputs_schema, integrations=integrations_of(state), clock=world.now
            )
        except HogError as error:
            log("error", f"Error building inputs for event {globals_['event'].get('uuid')}: {error}")
            continue
        invocation = invocation_of(
            row,
            seen,
            values,
            id_=id_,
            log=log,
            count=lambda kind, name: None,
            mock=body.get("mock_async_functions", True) is not False,
        )
        ran += 1
        # a request that is to be repeated is only scheduled, and the test does not wait for it: no error so far
        carry_on(invocation, world=world, state=state)
        if invocation.error is not None:
            errors.append(invocation.error)
    status = "error" if errors else "success" if ran else "skipped"
    return reply({"result": None, "status": status, "errors": errors, "logs": logs})


def rerun(call: Call) -> Response:
    """Answer `POST hog_functions/{id}/rerun/`: it is only queued, so the counts are always 0."""
    for scope in ("person:read", "group:read"):
        check_scope(call.key, scope)
    row, state = find(call), state_of(call.project)
    if row.type not in RUNNABLE:
        detail = f"Re-runs aren't supported for '{row.type}' functions."
        return reply({"queued_count": 0, "skipped_count": 0, "detail": detail}, status=400)
    if not row.enabled:
        raise invalid("This function is disabled. Enable it to re-run invocations.")
    chosen = _chosen(state, row, call.body)
    world, project = call.world, call.project
    for outcome in chosen:
        worker_of(world, project).put(partial(run_again, world, project, outcome))
    return reply({"rerun_job_id": new_uuid(), "queued_count": 0, "skipped_count": 0})


def _chosen(state: HogState, row: HogRow, body: Any) -> list[Outcome]:
    """Return the last outcome of every invocation that the filter is about."""
    wanted = body.get("filter") if isinstance(body, Mapping) else None
    if not isinstance(wanted, Mapping):
        raise invalid("This field is required.", attr="filter", code="required")
    start, end = (_moment(wanted, name) for name in ("window_start", "window_end"))
    if end <= start:
        raise invalid("window_end must be after window_start.", attr="filter")
    if end - start > MAX_WINDOW:
        raise invalid(f"The window must not be longer than {MAX_WINDOW.days} days.", attr="filter")
    statuses = wanted.get("status") or ["failed"]
    for status in statuses:
        if status not in STATUSES:
            raise invalid(f'"{status}" is not a valid choice.', attr="filter__status", code="invalid_choice")
    most = wanted.get("max_count") or MAX_RERUN
    if type(most) is not int or not 1 <= most <= MAX_RERUN:
        raise invalid(f"Ensure this value is between 1 and {MAX_RERUN}.", attr="filter__max_count")
    with state.lock:
        last = {one.invocation_id: one for one in state.outcomes if one.function_id == row.id}
    kinds, ids = wanted.get("error_kind"), wanted.get("invocation_ids")
    found = [
        one
        for one in last.values()
        if start <= one.at <= end
        and one.status in statuses
        and (not kinds or one.error_kind in kinds)
        and str(wanted.get("error_message_contains") or "") in (one.error or "")
        and one.runs <= (wanted.get("max_attempts") or one.runs)
        and (not ids or one.invocation_id in ids)
    ]
    return found[:most]


def _moment(wanted: Mapping[str, Any], name: str) -> datetime:
    if name not in wanted:
        raise invalid("This field is required.", attr=f"filter__{name}", code="required")
    try:
        moment = datetime.fromisoformat(wanted[name])
    except (TypeError, ValueError) as error:
        raise invalid("Datetime has wrong format.", attr=f"filter__{name}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


ROUTES = (
    api_route("hog_functions/{id}/invocations/", invoke, methods=("POST",), scope="hog_function:write"),
    api_route("hog_functions/{id}/rerun/", rerun, methods=("POST",), scope="hog_function:write"),
)
