"""Laws of plan and apply over an emulated PostHog, with people's destinations beside ours, and with every fault."""

from __future__ import annotations

import io
import json
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from posthog_events.destinations import Destination, Slack, Webhook
from posthog_events.destinations.matching import key_of
from posthog_events.destinations.plan_file import markdown_of, plan_bytes, save_plan
from posthog_events.emulator.hog_state import DeliveryRules, HogRow
from posthog_events.emulator.world import Key
from posthog_events.errors import MissingScope, PostHogEventsError, StalePlan
from posthog_events.posthog.cassette import recording
from posthog_events.posthog.http import Request
from tests.helpers.destination_world import (
    URLS,
    Cut,
    DestinationWorld,
    content,
    edited,
    foreign_bodies,
    made,
    serve_destinations,
)

UNMANAGED = ("icon_url", "execution_order", "mappings", "hog", "created_at")
MAX_RUNS = 4
SEED = 3
"""Of a scene in which something is created, something is changed, and something is switched on."""

Rows = dict[str, HogRow]


@pytest.fixture(scope="module")
def world() -> Iterator[DestinationWorld]:
    """One server for the module."""
    with serve_destinations() as served:
        yield served


class Scene:
    """A project with a past: people's destinations, ours as they were applied once, and what people did to those.

    Args:
        seed: Decides everything.
        count: How many destinations are declared.
    """

    def __init__(self, world: DestinationWorld, seed: int, *, count: int = 4) -> None:
        draw = random.Random(seed)
        world.begin()
        keys = [f"d{number}" for number in range(count)]
        before = [made(draw, key) for key in keys if draw.random() < 0.7]
        for body in foreign_bodies(draw, 3):
            world.create(body)
        if before:
            assert world.manager().apply(before).ok
        edited(world, draw, [key for key in keys if draw.random() < 0.6])
        kinds = {one.key: one.template_id for one in before}
        wanted = [made(draw, key) for key in keys]
        while stuck := [one for one in wanted if kinds.get(one.key, one.template_id) != one.template_id]:
            # PostHog changes no template, and so neither does a plan
            wanted = [made(draw, one.key) if one in stuck else one for one in wanted]
        # one of ours that nobody declares any more
        self.declared: list[Destination] = [one for one in wanted if one.key != "d0" or not before]
        self.before: Rows = world.rows()

    def restore(self, world: DestinationWorld) -> None:
        """Go back to the beginning."""
        world.begin(self.before)


def check_foreign(world: DestinationWorld, scene: Scene) -> None:
    """Destinations of others are what they were, `updated_at` included."""
    before = {id_: row for id_, row in scene.before.items() if "posthog-events, key=" not in row.description}
    assert before == world.foreign()


def check_unmanaged(world: DestinationWorld, scene: Scene) -> None:
    """Of ours, whatever declarations do not say is what it was."""
    now = world.rows()
    said = {one.key: one.description for one in scene.declared}
    for id_, old in scene.before.items():
        for name in UNMANAGED:
            assert getattr(old, name) == getattr(now[id_], name), name
        extras = [item for item in old.inputs_schema if item["key"] == "more"]
        assert extras == [item for item in now[id_].inputs_schema if item["key"] == "more"]
        if "Ask Ann." in old.description and not said.get(key_of({"description": old.description}) or ""):
            assert now[id_].description.startswith("Ask Ann.\n\nmanaged by posthog-events")


def goal(world: DestinationWorld, scene: Scene) -> dict[str, dict[str, Any]]:
    """Apply everything without a fault, and return what each of ours does then."""
    scene.restore(world)
    assert world.manager().apply(scene.declared).ok
    found = {key: content(*rows) for key, rows in world.ours().items()}
    scene.restore(world)
    return found


def check_sane(world: DestinationWorld, scene: Scene, wanted: dict[str, dict[str, Any]]) -> None:
    """After a cut: nothing twice, and what is on is as it was before, or wholly as declared."""
    for key, rows in world.ours().items():
        (row,) = rows
        old = scene.before.get(row.id)
        if row.enabled and row != old:
            assert wanted[key] == content(row)


def check_converged(world: DestinationWorld, scene: Scene, wanted: dict[str, dict[str, Any]]) -> None:
    """Everything is as it would be without a cut."""
    assert wanted == {key: content(*rows) for key, rows in world.ours().items()}
    assert () == world.manager().plan(scene.declared).changes
    check_foreign(world, scene)
    check_unmanaged(world, scene)


def run(world: DestinationWorld, scene: Scene, **options: Any) -> int:
    """Apply until it succeeds, and return how many runs that took."""
    for number in range(1, MAX_RUNS + 1):
        try:
            if world.manager().apply(scene.declared, **options).ok:
                return number
        except PostHogEventsError:
            pass
    raise AssertionError("it does not converge")


# -- without faults -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(9))
def test_plan_writes_nothing(world: DestinationWorld, seed: int) -> None:
    """It asks only, and whatever is stored is what it was."""
    scene = Scene(world, seed)
    api = world.cutting()

    for prune in (None, "disable", "delete"):
        world.manager(api).plan(scene.declared, prune=prune)  # type: ignore[arg-type]

    assert {"GET"} == {request.method for request in api.sent}
    assert scene.before == world.rows()


@pytest.mark.parametrize("seed", range(9))
def test_plan_after_apply_is_empty(world: DestinationWorld, seed: int) -> None:
    """One apply is enough, and a second one writes nothing."""
    scene = Scene(world, seed)

    report = world.manager().apply(scene.declared)

    assert report.ok, str(report)
    after = world.rows()
    assert () == world.manager().plan(scene.declared).changes
    again = world.manager().apply(scene.declared)
    assert {"unchanged"} == {outcome.result for outcome in again.outcomes}
    assert after == world.rows()
    check_foreign(world, scene)
    check_unmanaged(world, scene)


@pytest.mark.parametrize("seed", range(9))
def test_apply_does_what_the_plan_says(world: DestinationWorld, seed: int) -> None:
    """Rows that the plan does not change are not written, and those that it changes are."""
    scene = Scene(world, seed)
    plan = world.manager().plan(scene.declared)

    report = world.manager().apply_plan(plan)

    assert report.ok
    written = {id_ for id_, row in world.rows().items() if row != scene.before.get(id_)}
    assert written == {outcome.id for outcome in report.outcomes if outcome.step.action != "unchanged"}


@pytest.mark.parametrize("seed", range(6))
def test_ensure_twice_leaves_one(world: DestinationWorld, seed: int) -> None:
    """Any number of calls, for each kind of destination."""
    scene = Scene(world, seed)
    for destination in scene.declared:
        world.manager().ensure(destination)
        count, after = len(world.state.rows), world.rows()

        assert "unchanged" == world.manager().ensure(destination).result
        assert (count, after) == (len(world.state.rows), world.rows())
    check_foreign(world, scene)


@pytest.mark.parametrize("prune", ["disable", "delete"])
@pytest.mark.parametrize("seed", range(4))
def test_prune_touches_only_ours(world: DestinationWorld, seed: int, prune: Any) -> None:
    """What is not declared goes when it has our mark, and only then."""
    scene = Scene(world, seed)
    kept = [one for one in scene.declared if one.key in ("d1", "d2")]
    gone = {row.id for key, rows in world.ours().items() for row in rows if key not in ("d1", "d2")}

    assert world.manager().apply(kept, prune=prune).ok

    now = world.rows()
    assert all(now[id_].deleted if prune == "delete" else not now[id_].enabled for id_ in gone)
    check_foreign(world, scene)
    check_unmanaged(world, scene)
    assert () == world.manager().plan(kept, prune=prune).changes


@pytest.mark.parametrize("seed", range(4))
def test_switching_touches_only_ours(world: DestinationWorld, seed: int) -> None:
    """Off, on and away, each by key."""
    scene = Scene(world, seed)
    assert world.manager().apply(scene.declared).ok
    keys = sorted(world.ours())

    world.manager().disable(*keys)
    assert not any(row.enabled for rows in world.ours().values() for row in rows)
    world.manager().enable(*keys)
    assert all(row.enabled for rows in world.ours().values() for row in rows)
    world.manager().destroy(*keys)

    assert {} == world.ours()
    check_foreign(world, scene)


@pytest.mark.parametrize("by", ["path", "id"])
def test_adoption_keeps_what_is_not_managed(world: DestinationWorld, by: str) -> None:
    """Icon, mappings and description stay; all other destinations stay as they are, at the same URL too."""
    world.begin()
    bodies = list(foreign_bodies(random.Random(5), 4))
    for body, url in zip(bodies, URLS, strict=True):
        body["inputs"]["url"]["value"] = url
        world.create({**body, "description": "by hand", "icon_url": "/x.png", "mappings": [{"name": "m"}]})
    rows = list(world.rows().values())
    hook = Webhook("Crm", key="crm", url=URLS[1], events=["signup"], headers={"X-Crm": "${env:KEY}"})

    assert world.manager().apply(hook, adopt={"crm": None if by == "path" else rows[1].id}).ok

    after = world.rows()
    adopted = after.pop(rows[1].id)
    assert {row.id: row for row in rows if row.id != adopted.id} == after
    assert ("/x.png", rows[1].mappings, rows[1].hog) == (adopted.icon_url, adopted.mappings, adopted.hog)
    assert adopted.description.startswith("by hand\n\nmanaged by posthog-events, key=crm")
    assert "Custom" in [item.get("label") for item in adopted.inputs_schema]
    assert {"secret_key"} == set(adopted.secrets)
    assert () == world.manager().plan(hook, adopt={"crm": None}).changes


# -- cuts -----------------------------------------------------------------------------------------------------------


def test_scene_that_is_cut_has_everything_in_it(world: DestinationWorld) -> None:
    """Else the cuts below would prove little."""
    scene = Scene(world, SEED, count=3)
    steps = world.manager().plan(scene.declared).steps

    assert {"create", "update"} == {step.action for step in steps}
    assert any("enabled" in step.diff.fields and len(step.diff.fields) > 1 for step in steps if step.action == "update")
    assert any(destination.secrets for destination in scene.declared)


def sweep(world: DestinationWorld, seed: int, how: str, *, count: int, step: int = 1, prune: Any = None) -> int:
    """Cut a run at every request and run it again; return how many cuts that were."""
    scene = Scene(world, seed, count=count)
    wanted = goal(world, scene) if prune is None else {}
    if prune:
        assert world.manager().apply(scene.declared, prune=prune).ok
        wanted = {key: content(*rows) for key, rows in world.ours().items()}
        scene.restore(world)
    api = world.cutting()
    assert world.manager(api).apply(scene.declared, prune=prune).ok
    for at in range(1, len(api.sent) + 1, step):
        scene.restore(world)
        try:
            report = world.manager(world.cutting(at, how)).apply(scene.declared, prune=prune, on_failure="continue")
        except (Cut, PostHogEventsError):
            pass
        else:
            assert report.ok or "cut" in str(report)
        check_sane(world, scene, wanted)
        check_foreign(world, scene)
        run(world, scene, prune=prune)
        check_converged(world, scene, wanted)
    return len(api.sent)


@pytest.mark.parametrize("how", ["before", "after", "unsent", "lost"])
def test_run_that_was_cut_anywhere_converges(world: DestinationWorld, how: str) -> None:
    """Nothing twice, nothing on that is not as declared, and the second run completes it."""
    assert sweep(world, SEED, how, count=3) > 8


@pytest.mark.parametrize("how", ["after", "lost"])
def test_pruning_that_was_cut_anywhere_converges(world: DestinationWorld, how: str) -> None:
    """What was deleted already is not in the way of the second run."""
    assert sweep(world, 7, how, count=3, prune="delete") > 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 125))
@pytest.mark.parametrize("how", ["before", "after", "unsent", "lost"])
def test_many_runs_that_were_cut_anywhere_converge(world: DestinationWorld, seed: int, how: str) -> None:
    """As above, over other sets."""
    sweep(world, seed, how, count=5, prune=(None, "disable", "delete")[seed % 3])


# -- faults of the server and the way to it -------------------------------------------------------------------------

FAULTS: dict[str, dict[str, Any]] = {
    "reset": {"kind": "reset"},
    "reset-after": {"kind": "reset-after"},
    "truncated": {"kind": "truncated"},
    "cut-json": {"kind": "cut-json"},
    "html": {"kind": "html"},
    "500": {"kind": "500"},
    "502": {"kind": "502"},
    "503": {"kind": "503"},
    "database": {"kind": "database"},
    "504": {"kind": "504"},
    "rate": {"kind": "rate"},
    "rate with Retry-After": {"kind": "rate", "retry_after": 7},
}


def endure(world: DestinationWorld, seed: int, fault: dict[str, Any], *, count: int) -> int:
    """Meet a fault at every request to hog functions, and run until all is done; return how many those were."""
    scene = Scene(world, seed, count=count)
    wanted = goal(world, scene)
    api = world.cutting()
    assert world.manager(api).apply(scene.declared).ok
    requests = sum(request.path.startswith("hog_functions/") for request in api.sent)
    for nth in range(1, requests + 1):
        scene.restore(world)
        world.served.faults.add(path="*/hog_functions/*", nth=nth, times=1, **fault)
        with suppress(PostHogEventsError):
            world.manager().apply(scene.declared, on_failure="continue")
        check_sane(world, scene, wanted)
        check_foreign(world, scene)
        world.served.faults.clear()
        run(world, scene)
        check_converged(world, scene, wanted)
    return requests


@pytest.mark.parametrize("name", FAULTS)
def test_run_that_meets_a_fault_converges(world: DestinationWorld, name: str) -> None:
    """At any request, whether PostHog carried it out or not."""
    assert endure(world, SEED, FAULTS[name], count=3) > 7


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 210))
@pytest.mark.parametrize("name", FAULTS)
def test_many_runs_that_meet_a_fault_converge(world: DestinationWorld, name: str, seed: int) -> None:
    """As above, over other sets."""
    endure(world, seed, FAULTS[name], count=4)


@pytest.mark.parametrize("seed", range(4))
def test_runs_among_faults_of_all_kinds_converge(world: DestinationWorld, seed: int) -> None:
    """A quarter of the requests fail, in all ways at once; what is there at any time is sane."""
    scene = Scene(world, 20 + seed)
    wanted = goal(world, scene)
    for kind in ("reset", "reset-after", "500", "502", "cut-json"):
        world.served.faults.add(kind, path="*/hog_functions/*", probability=0.06)
    for _ in range(60):
        try:
            if world.manager().apply(scene.declared).ok:
                break
        except PostHogEventsError:
            pass
        check_sane(world, scene, wanted)
    world.served.faults.clear()
    check_converged(world, scene, wanted)


@pytest.mark.parametrize(
    ("scopes", "lacks"),
    [
        (set(), "hog_function:read"),
        ({"hog_function:read"}, "hog_function:write"),
        ({"hog_function:write"}, "integration:read"),
    ],
    ids=["none", "reader", "no integrations"],
)
def test_key_without_rights_writes_nothing(world: DestinationWorld, scopes: set[str], lacks: str) -> None:
    """The scope is named before the first write."""
    world.begin()
    world.served.world.keys["phx_limited"] = Key("phx_limited", frozenset(scopes))
    hook = Webhook("Crm", key="crm", url=URLS[0], events=["signup"])
    slack = Slack("Chat", key="chat", channel="C0123ABCDEF", events=["signup"])
    declared = [hook, slack] if lacks == "integration:read" else [hook]

    with pytest.raises(MissingScope, match=lacks):
        world.manager(world.client("phx_limited")).apply(declared)
    assert {} == world.rows()


def test_older_server_is_found_out_before_the_first_write(world: DestinationWorld) -> None:
    """It would take the signing secret and drop it (reference, update on top)."""
    world.begin()
    world.state.rules = DeliveryRules(signing=False)
    hook = Webhook("Crm", key="crm", url=URLS[0], events=["signup"], signing_secret="${env:SIGN}")

    with pytest.raises(PostHogEventsError, match="does not sign deliveries"):
        world.manager().apply(hook)
    assert {} == world.rows()

    world.state.rules = DeliveryRules()
    assert world.manager().apply(hook).ok
    assert ["signing_secret"] == [key for row in world.rows().values() for key in row.secrets]


def test_row_of_an_older_server_is_found_out(world: DestinationWorld) -> None:
    """The server signs now, and the code of the destination is a copy of what it was."""
    world.begin()
    world.state.rules = DeliveryRules(signing=False)
    hook = Webhook("Crm", key="crm", url=URLS[0], events=["signup"])
    assert world.manager().apply(hook).ok
    world.state.rules = DeliveryRules()
    before = world.rows()

    signed = Webhook("Crm", key="crm", url=URLS[0], events=["signup"], signing_secret="${env:SIGN}")
    with pytest.raises(PostHogEventsError, match="keeps the code that it was created with"):
        world.manager().apply(signed)
    assert before == world.rows()

    assert ("crm",) == world.manager().destroy("crm")
    assert world.manager().apply(signed).ok


# -- staleness ------------------------------------------------------------------------------------------------------


def _rename(world: DestinationWorld, row: HogRow) -> None:
    world.put(row, icon_url="/static/new.png")


def _delete(world: DestinationWorld, row: HogRow) -> None:
    world.put(row, deleted=True)


def _disown(world: DestinationWorld, row: HogRow) -> None:
    world.put(row, description="mine now")


def _copy(world: DestinationWorld, row: HogRow) -> None:
    world.state.rows["copy"] = replace(row, id="copy")


EDITS = {"edited": _rename, "deleted": _delete, "disowned": _disown, "copied": _copy}


@pytest.mark.parametrize("kept_as", ["value", "file"])
@pytest.mark.parametrize("edit", EDITS)
def test_stale_plan_writes_nothing(world: DestinationWorld, tmp_path: Path, edit: str, kept_as: str) -> None:
    """A row of the plan was edited, deleted, disowned or copied since."""
    world.begin()
    hook = Webhook("Crm", key="crm", url=URLS[0], events=["signup"])
    other = Webhook("Other", key="other", url=URLS[1], events=["signup"])
    assert world.manager().apply(hook).ok
    plan: Any = world.manager().plan(replace(hook, name="New"), other)
    if kept_as == "file":
        save_plan(plan, tmp_path / "plan.json")
        plan = tmp_path / "plan.json"
    (row,) = world.rows().values()
    EDITS[edit](world, row)
    before = world.rows()

    with pytest.raises(PostHogEventsError):
        world.manager().apply_plan(plan)

    assert before == world.rows()


def test_plan_is_stale_after_a_run_of_somebody_else(world: DestinationWorld) -> None:
    """A new row, with the mark of what was to be created."""
    world.begin()
    hook = Webhook("Crm", key="crm", url=URLS[0], events=["signup"])
    plan = world.manager().plan(hook)
    assert world.manager().apply(hook).ok
    before = world.rows()

    with pytest.raises(StalePlan):
        world.manager().apply_plan(plan)
    assert before == world.rows()


def test_plan_is_stale_after_a_secret_was_rotated(world: DestinationWorld) -> None:
    """Here or in PostHog, which is seen by the mark."""
    world.begin()
    hook = Webhook("Crm", key="crm", url=URLS[0], events=["signup"], headers={"X-Crm": "${env:KEY}"})
    assert world.manager().apply(hook).ok
    plan = world.manager().plan(replace(hook, name="New"))
    before, old = world.rows(), world.environ["KEY"]
    world.environ["KEY"] = f"{old}-new"
    try:
        with pytest.raises(StalePlan):
            world.manager().apply_plan(plan)
        assert before == world.rows()
        assert ("inputs",) == tuple(
            name for name in world.manager().plan(hook).steps[0].diff.fields if name != "description"
        )
    finally:
        world.environ["KEY"] = old


def test_edit_between_reading_and_writing_is_not_overwritten(world: DestinationWorld) -> None:
    """The last moment at which a person can be first: PostHog refuses the write by what it is based on."""
    world.begin()
    hook = Webhook("Crm", key="crm", url=URLS[0], events=["signup"])
    assert world.manager().apply(hook).ok

    class Meddling:
        """Edits every row just before it would be written."""

        origin, project_id = world.api.origin, world.api.project_id

        def send(self, request: Request) -> Any:
            if request.method == "PATCH":
                for row in world.rows().values():
                    world.put(row, name="Ann's")
            return world.api.send(request)

    report = world.manager(Meddling()).apply(replace(hook, name="New"))

    assert [StalePlan] == [type(outcome.error) for outcome in report.outcomes]
    assert ["Ann's"] == [row.name for row in world.rows().values()]


# -- secrets --------------------------------------------------------------------------------------------------------


def seen(world: DestinationWorld, declared: Sequence[Destination], path: Path) -> str:
    """Return everything that a plan and its application show anywhere."""
    parts: list[str] = []
    plan = world.manager().plan(declared, prune="disable")
    save_plan(plan, path)
    parts += [str(plan), repr(plan), plan_bytes(plan).decode(), path.read_text(), markdown_of(plan)]
    parts += [repr(world.manager().secrets(declared)), repr(plan.declarations)]
    report = world.manager().apply_plan(path)
    parts += [str(report), repr(report), *(outcome.message for outcome in report.outcomes)]
    return "\n".join(parts)


@pytest.mark.parametrize("seed", range(6))
def test_no_secret_is_seen_anywhere(
    world: DestinationWorld, seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in plans, files, reports, values, logs or recordings, though they are sent."""
    scene = Scene(world, 40 + seed, count=6)
    sent = io.StringIO()
    handler = logging.StreamHandler(sent)
    logging.getLogger().addHandler(handler)
    cassette = tmp_path / "cassette.yaml"
    try:
        with caplog.at_level(logging.DEBUG), recording(cassette, label="emulator", scrub=False):
            shown = seen(world, scene.declared, tmp_path / "plan.json")
    finally:
        logging.getLogger().removeHandler(handler)

    stored = json.dumps([[row.secrets, row.inputs] for row in world.rows().values()])
    used = [value for value in world.secrets if value in stored]
    assert used
    for value in used:
        for form in {value, value.rpartition("/")[2], value.removeprefix("whsec_")}:
            assert form not in shown
            assert form not in caplog.text
            assert form not in sent.getvalue()
            assert form not in cassette.read_text()


@pytest.mark.parametrize("how", ["unsent", "lost"])
def test_no_error_holds_a_secret(world: DestinationWorld, how: str) -> None:
    """Whichever request fails."""
    scene = Scene(world, 51, count=4)
    for at in range(1, 22):
        scene.restore(world)
        try:
            report = world.manager(world.cutting(at, how)).apply(scene.declared, on_failure="continue")
            shown = f"{report} {report!r} {[vars(one.error) for one in report.outcomes if one.error]}"
        except PostHogEventsError as error:
            shown = f"{error} {error!r} {vars(error)} {error.__cause__!r} {error.__context__!r}"
        for value in world.secrets:
            assert value not in shown
