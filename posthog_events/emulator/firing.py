"""From an event that became visible to the deliveries it causes.

The order is PostHog's: filters, inputs, quota, watcher, masking, and then the request. Source: reference 3.2, 4, 5.3
and 6; PostHog/posthog:nodejs/src/cdp/services/hog-function-invocation-pipeline.service.ts (2026-09).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from posthog_events.clickhouse.catalog import PropertyKind
from posthog_events.emulator.delivery import Worker
from posthog_events.emulator.hog_globals import globals_of
from posthog_events.emulator.hog_inputs import redacted, resolve, sensitive_values
from posthog_events.emulator.hog_metrics import EVENT_TRIGGER, count, log
from posthog_events.emulator.hog_runs import Invocation, carry_on, invocation_of
from posthog_events.emulator.hog_state import HogRow, HogState, Outcome, new_uuid, state_of
from posthog_events.emulator.hog_watcher import is_stopped, spend
from posthog_events.emulator.integrations import integrations_of
from posthog_events.errors import HogError
from posthog_events.hog.filters import compile_filters
from posthog_events.hog.masking import Masker

if TYPE_CHECKING:
    from posthog_events.clickhouse.catalog import Catalog
    from posthog_events.emulator.world import Project, World

__all__ = [
    "drain",
    "fire",
    "fire_internal",
    "fires",
    "matching",
    "run_again",
    "source_of",
    "worker_of",
]

DRAIN_TIMEOUT_S = 60.0


def fire(world: World, project: Project, rows: Iterable[Mapping[str, Any]]) -> None:
    """Let captured events, with their persons, fire the project's enabled destinations."""
    functions = _enabled(project, "destination")
    if functions:
        for row in rows:
            _fire_one(world, project, globals_of(world, project, row), functions)


def fire_internal(world: World, project: Project, event: str, properties: Mapping[str, Any]) -> None:
    """Let an event of PostHog's own, such as `$insight_alert_firing`, fire the internal destinations."""
    now = world.now().astimezone(UTC)
    row = {
        "uuid": new_uuid(),
        "event": event,
        "distinct_id": f"team_{project.id}",
        "properties": dict(properties),
        "timestamp": now.isoformat(),
        "created_at": now.isoformat(),
    }
    _fire_one(world, project, globals_of(world, project, row), _enabled(project, "internal_destination"))


def drain(world: World, project: Project, *, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
    """Wait until every delivery is through, retries included.

    Raises:
        TimeoutError: Some are not.
    """
    worker_of(world, project).drain(timeout_s=timeout_s)


def worker_of(world: World, project: Project) -> Worker:
    """Return what carries out a project's deliveries."""
    state = state_of(project)
    with state.lock:
        if state.worker is None:
            state.worker = Worker(world)
        return state.worker


def fires(project: Project) -> bool:
    """Whether captured events have destinations to fire."""
    return bool(_enabled(project, "destination"))


def _enabled(project: Project, kind: str) -> list[HogRow]:
    return [row for row in state_of(project).live() if row.enabled and row.type == kind]


def matching(
    world: World, project: Project, row: HogRow, globals_: Mapping[str, Any], *, cached: bool = True
) -> list[dict[str, Any]] | str | None:
    """Return the inputs of the invocations that an event causes: one, or one for each mapping that matches.

    Args:
        cached: The function is stored, so that compiled filters can be kept.

    Returns:
        None when the event does not match, a text when that cannot be told.
    """
    verdict = _verdict(world, project, row, row.filters, globals_, place=row.id if cached else None)
    if verdict is not True:
        return verdict or None
    if row.mappings is None:
        return [row.all_inputs()]
    found = []
    for index, mapping in enumerate(row.mappings):
        place = f"{row.id}/{index}" if cached else None
        verdict = _verdict(world, project, row, mapping["filters"], globals_, place=place)
        if isinstance(verdict, str):
            return verdict
        if verdict:
            found.append({**row.all_inputs(), **mapping["inputs"]})
    return found or None


def _verdict(
    world: World,
    project: Project,
    row: HogRow,
    filters: Mapping[str, Any],
    globals_: Mapping[str, Any],
    *,
    place: str | None,
) -> bool | str:
    """Return whether filters match, or why that cannot be told."""
    state = state_of(project)
    tests = tuple(project.state.get("settings", {}).get("test_account_filters", ()))
    origin = (row.updated_at, tests)
    kept = state.compiled.get(place) if place is not None else None
    if kept is not None and kept[0] == origin:
        compiled = kept[1]
    else:
        catalog = project.engine.catalog()
        try:
            compiled = compile_filters(
                filters,
                actions=state.actions,
                test_account_filters=tests,
                boolean_properties=_booleans(catalog),
                saved_at=row.updated_at,
                timezone=ZoneInfo(catalog.timezone),
                clock=world.now,
            )
        except HogError as error:
            return str(error)
        if place is not None:
            state.compiled[place] = (origin, compiled)
    verdict = compiled.matches(globals_)
    return verdict.message if verdict.outcome == "error" else verdict.matched


def _booleans(catalog: Catalog) -> set[tuple[str, str]]:
    """Return the properties that are known as Boolean, as filters name them."""
    columns = catalog.tables["events"].columns
    return {
        (kind, key)
        for kind, column in (("event", "properties"), ("person", "person_properties"))
        for key, type_ in columns[column].property_types.items()
        if type_ is PropertyKind.BOOLEAN
    }


def source_of(row: HogRow, globals_: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `source` of templates."""
    return {"name": row.name or f"Hog function: {row.id}", "url": f"{globals_['project']['url']}/functions/{row.id}"}


def _fire_one(world: World, project: Project, globals_: Mapping[str, Any], functions: Iterable[HogRow]) -> None:
    state, now = state_of(project), world.now()
    uuid = globals_["event"]["uuid"]
    billed = False
    for row in functions:
        if row.filters.get("source", "events") not in ("events", "internal-events"):
            continue
        found = matching(world, project, row, globals_)
        if isinstance(found, str):
            count(state, row.id, now, "other", "filtering_failed")
            log(state, row.id, new_uuid(), now, "error", f"Error filtering event {uuid}: {found}")
        elif found is None:
            count(state, row.id, now, "other", "filtered")
        for inputs in found if isinstance(found, list) else ():
            invocation = _built(world, project, row, globals_, inputs)
            if invocation is None or not _admitted(state, invocation, world.now):
                continue
            count(state, row.id, now, "other", "triggered")
            if row.type == "destination" and not billed:
                billed = True
                count(state, EVENT_TRIGGER, now, "billing", "billable_invocation", instance_id=uuid)
            _enqueue(world, project, invocation)


def _built(
    world: World,
    project: Project,
    row: HogRow,
    globals_: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    id_: str | None = None,
    runs: int = 1,
) -> Invocation | None:
    """Return the invocation, or note that its inputs cannot be made."""
    state, id_ = state_of(project), id_ or new_uuid()
    seen = {**globals_, "source": source_of(row, globals_)}
    try:
        values = resolve(inputs, seen, schema=row.inputs_schema, integrations=integrations_of(state), clock=world.now)
    except HogError as error:
        now = world.now()
        plain = {key: item.get("value") for key, item in row.secrets.items()}
        message = redacted(str(error), sensitive_values(row.inputs_schema, plain))
        uuid = globals_["event"].get("uuid")
        log(state, row.id, id_, now, "error", f"Error building inputs for event {uuid}: {message}")
        count(state, row.id, now, "failure", "inputs_failed")
        with state.lock:
            state.outcomes.append(Outcome(id_, row.id, now, "failed", globals_, "inputs_failed", message, runs))
        return None
    return invocation_of(
        row,
        seen,
        values,
        id_=id_,
        log=lambda level, message: log(state, row.id, id_, world.now(), level, message),
        count=lambda kind, name: count(state, row.id, world.now(), kind, name, instance_id=id_),
        runs=runs,
    )


def _admitted(state: HogState, invocation: Invocation, clock: Callable[[], datetime]) -> bool:
    """Whether quota, watcher and masking let an invocation through; counted when they do not."""
    row, now = invocation.row, clock()
    if state.quota_limited:
        count(state, row.id, now, "failure", "quota_limited")
        return False
    if is_stopped(state, row.id):
        count(state, row.id, now, "failure", "disabled_permanently")
        return False
    if row.masking is not None:
        masker = state.maskers.get(row.id)
        if masker is None:
            masker = state.maskers[row.id] = Masker(row.masking, clock=clock)
        if not masker.allows(invocation.globals):
            count(state, row.id, now, "other", "masked")
            return False
    return True


def _enqueue(world: World, project: Project, invocation: Invocation) -> None:
    worker_of(world, project).put(lambda: _step(world, project, invocation))


def _step(world: World, project: Project, invocation: Invocation) -> None:
    state = state_of(project)
    wait = carry_on(invocation, world=world, state=state)
    if wait is not None:
        worker_of(world, project).put(lambda: _step(world, project, invocation), after_s=wait)
        return
    now = world.now()
    failed = invocation.error is not None
    invocation.count("failure" if failed else "success", "failed" if failed else "succeeded")
    spend(state, invocation.row.id, invocation.request_ms, now)
    with state.lock:
        state.outcomes.append(
            Outcome(
                invocation.id,
                invocation.row.id,
                now,
                "failed" if failed else "succeeded",
                invocation.globals,
                invocation.error_kind,
                invocation.error,
                invocation.runs,
            )
        )


def run_again(world: World, project: Project, outcome: Outcome) -> None:
    """Deliver a past invocation once more, with the function as it is now."""
    state = state_of(project)
    row = state.rows[outcome.function_id]
    base = {key: value for key, value in outcome.globals.items() if key != "source"}
    found = matching(world, project, row, base) if row.mappings is not None else None
    inputs = row.all_inputs()
    for one in found if isinstance(found, list) else ():
        inputs |= one
    invocation = _built(world, project, row, base, inputs, id_=outcome.invocation_id, runs=outcome.runs + 1)
    if invocation is not None:
        _enqueue(world, project, invocation)
