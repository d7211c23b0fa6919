"""What scripts and the command line call: plan, apply, ensure, enable, disable, destroy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_events.destinations import Destination, SecretRef, Secrets, Slack, Webhook, yaml_of
from posthog_events.destinations.manager import Destinations, destinations_of
from posthog_events.destinations.plan_file import save_plan
from posthog_events.errors import (
    ApiError,
    ConfigError,
    DeclarationError,
    MissingScope,
    PostHogEventsError,
    StalePlan,
)
from posthog_events.posthog.http import Request
from tests.helpers.fake_destinations import FakeProject, row_of

AT = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOOK = Webhook("Crm", key="crm", url="https://crm.example.com/hooks/posthog", events=["e"])
OTHER = Webhook("Other", key="other", url="https://other.example.com/x", events=["e"])
KEYED = Webhook("Keyed", key="keyed", url="https://a.example.com/x", headers={"X-Crm": "${env:KEY}"}, events=["e"])
KEY = Secrets({SecretRef("env", "KEY"): "correct horse"})
SLACK = Slack("Chat", key="chat", channel="C0123ABCDEF", events=["e"])


def project(*rows: dict[str, Any], **options: Any) -> FakeProject:
    """Return a project with these destinations."""
    return FakeProject({row["id"]: row for row in rows}, **options)


def manager(api: FakeProject, *, clock: Any = lambda: AT, **environ: str) -> Destinations:
    """Return the destinations of a project."""
    return Destinations(api, clock=clock, environ=environ, keyring=lambda _: None)


# -- declared -------------------------------------------------------------------------------------------------------


def test_values_files_folders_and_lists_are_declarations(tmp_path: Path) -> None:
    """In any mixture; those made in Python come first."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.yaml").write_text(yaml_of([HOOK]))
    (tmp_path / "b.yaml").write_text(yaml_of([OTHER]))

    assert (KEYED, HOOK, OTHER) == destinations_of([folder, [str(tmp_path / "b.yaml"), KEYED]])
    assert () == destinations_of([])


def test_two_files_for_one_destination_are_refused(tmp_path: Path) -> None:
    """With both places, before PostHog is asked anything."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(yaml_of([HOOK]))
    api = project()

    with pytest.raises(DeclarationError) as caught:
        manager(api).plan(tmp_path)

    assert "the key `crm` is taken by" in str(caught.value)
    assert "a.yaml:1" in str(caught.value)
    assert [] == api.sent


def test_file_and_value_for_one_destination_are_refused(tmp_path: Path) -> None:
    """One key, one declaration."""
    (tmp_path / "a.yaml").write_text(yaml_of([HOOK]))

    with pytest.raises(DeclarationError, match="the key `crm` is declared 2 times"):
        manager(project()).plan(tmp_path, replace(OTHER, key="crm"))


def test_missing_secrets_are_listed_before_posthog_is_asked() -> None:
    """All of them, by their names."""
    api = project()
    second = Webhook("S", key="s", url="https://a.example.com", signing_secret="${keyring:sign}", events=["e"])

    with pytest.raises(DeclarationError) as caught:
        manager(api, KEY="").apply(KEYED, second)

    first, last = (str(fault) for fault in caught.value.faults)
    assert first.startswith("keyed: the secret ${env:KEY} is missing")
    assert last.startswith("s: the secret ${keyring:sign} is missing")
    assert [] == api.sent


def test_key_without_the_right_to_see_integrations_is_named() -> None:
    """Only when a workspace has to be found."""

    def refuse(request: Request) -> None:
        if request.path.startswith("integrations/"):
            raise MissingScope("the key lacks the scope integration:read", scope="integration:read", status=403)

    api = project(refuse=refuse)

    with pytest.raises(MissingScope, match="integration:read"):
        manager(api).apply(SLACK)
    assert [] == api.writes
    assert manager(api).apply(replace(SLACK, inputs={**SLACK.inputs, "slack_workspace": 3})).ok


def test_plan_only_reads() -> None:
    """And asks three things at most: destinations, a template, workspaces."""
    api = project(row_of(OTHER), workspaces=[{"id": 7, "kind": "slack", "display_name": "Main"}])
    signed = Webhook("S", key="s", url="https://a.example.com/x", signing_secret="${env:SIGN}", events=["e"])

    manager(api, SIGN="whsec_c2VjcmV0").plan(HOOK, SLACK, signed, prune="delete")

    assert ["hog_functions/", "hog_function_templates/template-webhook/", "integrations/"] == [
        request.path for request in api.sent
    ]
    assert {"GET"} == {request.method for request in api.sent}


# -- plans that were made before ------------------------------------------------------------------------------------


def test_plan_is_carried_out_as_it_was_made(tmp_path: Path) -> None:
    """From memory or from a file, later."""
    for at in ("memory", "file"):
        api = project(row_of(HOOK, name="Old"))
        plan: Any = manager(api).plan(HOOK, OTHER)
        if at == "file":
            save_plan(plan, tmp_path / "plan.json")
            plan = tmp_path / "plan.json"

        report = manager(api, clock=lambda: AT + timedelta(days=3)).apply_plan(plan)

        assert ["updated", "created"] == [outcome.result for outcome in report.outcomes]
        assert () == manager(api).plan(HOOK, OTHER).changes


def edit(row: dict[str, Any]) -> None:
    row.update(icon_url="/cat.png", updated_at="2026-09-02T00:00:00Z")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda api: edit(api.rows["row-1"]), "crm"),
        (lambda api: api.rows["row-1"].update(deleted=True), "crm"),
        (lambda api: api.rows["row-1"].update(description=""), "crm"),
        (lambda api: api.rows.update(b=row_of(OTHER, id_="b")), "other"),
        (lambda api: api.rows.update(b=row_of(replace(HOOK, key="more"), id_="b")), "more"),
        (lambda api: api.rows.update(b=row_of(OTHER, id_="b", description="")), "other"),
    ],
    ids=["edited", "deleted", "unmarked", "made by another run", "more to prune", "twin"],
)
def test_stale_plan_is_refused_and_writes_nothing(change: Any, key: str) -> None:
    """Whatever happened, and whose doing it was."""
    api = project(row_of(HOOK, name="Old"))
    plan = manager(api).plan(HOOK, OTHER, prune="disable")
    change(api)

    with pytest.raises(StalePlan) as caught:
        manager(api).apply_plan(plan)

    assert f"the plan of 2026-09-01 12:00 UTC no longer holds for {key}" in str(caught.value)
    assert [] == api.writes


def test_copy_of_a_planned_destination_is_refused() -> None:
    """Two with one mark: the plan cannot be made again."""
    api = project(row_of(HOOK, name="Old"))
    plan = manager(api).plan(HOOK)
    api.rows["b"] = row_of(HOOK, id_="b")

    with pytest.raises(DeclarationError, match="several destinations in PostHog carry its mark"):
        manager(api).apply_plan(plan)
    assert [] == api.writes


@pytest.mark.parametrize("row", [None, row_of(KEYED, KEY), row_of(KEYED, KEY, name="Old")], ids=["new", "same", "old"])
def test_plan_is_stale_when_a_secret_changed(row: Any) -> None:
    """Also that of a destination that was to stay as it is."""
    api = project(*([row] if row else []))
    plan = manager(api, KEY="correct horse").plan(KEYED)

    with pytest.raises(StalePlan, match="no longer holds for keyed"):
        manager(api, KEY="another horse").apply_plan(plan)
    assert [] == api.writes
    assert manager(api, KEY="correct horse").apply_plan(plan).ok


@pytest.mark.parametrize("other", [{"project_id": 8}, {"origin": "https://us.posthog.com"}], ids=["project", "region"])
def test_plan_of_another_project_is_refused_before_anything_is_asked(other: dict[str, Any]) -> None:
    """Its ids would mean something else there."""
    plan = manager(project()).plan(HOOK)
    api = project(**other)

    with pytest.raises(StalePlan, match=r"the plan is for .*, project 7, and this is"):
        manager(api).apply_plan(plan)
    assert [] == api.sent


def test_plan_cannot_be_carried_out_twice() -> None:
    """What it was to do is done."""
    api = project()
    plan = manager(api).plan(HOOK)
    manager(api).apply_plan(plan)
    api.sent.clear()

    with pytest.raises(StalePlan, match="crm"):
        manager(api).apply_plan(plan)
    assert [] == api.writes


# -- ensure ---------------------------------------------------------------------------------------------------------


def test_ensure_creates_then_leaves_then_updates() -> None:
    """And says which, with the fields that changed."""
    api = project()
    created = manager(api).ensure(HOOK)
    unchanged = manager(api).ensure(HOOK)
    updated = manager(api).ensure(replace(HOOK, name="New", description="More."))

    assert ("created", "new-1", ()) == (created.result, created.id, created.fields)
    assert ("unchanged", "new-1", ()) == (unchanged.result, unchanged.id, unchanged.fields)
    assert ("updated", "new-1", ("name", "description")) == (updated.result, updated.id, updated.fields)
    assert 1 == len(api.rows)


def test_ensure_leaves_other_destinations_alone() -> None:
    """One call is about one destination, declared or not."""
    api = project(row_of(OTHER, id_="b"))

    manager(api).ensure(HOOK)

    assert row_of(OTHER, id_="b") == api.rows["b"]


@pytest.mark.parametrize("adopt", [True, "a"], ids=["path", "id"])
def test_ensure_adopts_when_asked_to(adopt: Any) -> None:
    """By path or by id; the second call finds it ours."""
    api = project(row_of(HOOK, id_="a", description="by hand"))

    results = [manager(api).ensure(HOOK, adopt=adopt) for _ in range(2)]

    assert [("updated", "a"), ("unchanged", "a")] == [(one.result, one.id) for one in results]
    assert ["a"] == list(api.rows)


def test_ensure_raises_what_went_wrong() -> None:
    """A script has no report to look at."""

    def refuse(request: Request) -> None:
        if request.method == "POST":
            raise ApiError("Invalid template", status=400)

    with pytest.raises(ApiError, match="Invalid template"):
        manager(project(refuse=refuse)).ensure(HOOK)
    with pytest.raises(PostHogEventsError, match="did not store what was sent"):
        manager(project(change=lambda _, row: {**row, "filters": {}})).ensure(HOOK)


# -- enable, disable, destroy ---------------------------------------------------------------------------------------


def test_switching_is_about_ours_by_key() -> None:
    """Those that are in that state already are not written."""
    api = project(row_of(HOOK), row_of(OTHER, id_="b", enabled=False))

    assert ("crm",) == manager(api).disable("crm", "other")
    assert ["PATCH hog_functions/row-1/"] == api.writes
    assert ("other", "crm") == manager(api).enable("other", "crm")
    assert [True, True] == [row["enabled"] for row in api.rows.values()]


def test_key_given_twice_counts_once() -> None:
    """The second time it would be stale."""
    api = project(row_of(HOOK))

    assert ("crm",) == manager(api).disable("crm", "crm")
    assert ("crm",) == manager(api).destroy("crm", "crm")


def test_destroy_deletes_ours_only() -> None:
    """What is not managed has no key."""
    api = project(row_of(HOOK), row_of(HOOK, id_="a", description="by hand"))

    assert ("crm",) == manager(api).destroy("crm")
    assert {"row-1": True, "a": None} == {id_: row.get("deleted") for id_, row in api.rows.items()}


@pytest.mark.parametrize("verb", ["enable", "disable", "destroy"])
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row_of(OTHER)], "no managed destination has the key crm; there are: other"),
        ([row_of(HOOK, description="")], "no managed destination has the key crm; there are: none yet"),
        ([row_of(HOOK), row_of(HOOK, id_="b")], "several destinations carry the mark of crm: row-1, b"),
    ],
    ids=["unknown", "not ours", "copied"],
)
def test_switching_what_is_not_certain_is_refused(verb: str, rows: list[Any], said: str) -> None:
    """Nothing is written, not even for the other keys."""
    api = project(*rows, row_of(replace(OTHER, key="fine"), id_="f"))

    with pytest.raises(ConfigError) as caught:
        getattr(manager(api), verb)("fine", "crm")

    assert str(caught.value).startswith(said.partition(";")[0])
    assert [] == api.writes


@pytest.mark.parametrize("verb", ["enable", "disable", "destroy"])
def test_switching_needs_the_right(verb: str) -> None:
    """It is asked before the first write, and only when there is one."""
    api = project(row_of(HOOK), row_of(OTHER, id_="b", enabled=False), scopes=["hog_function:read"])

    with pytest.raises(MissingScope):
        getattr(manager(api), verb)("crm", "other")
    assert [] == api.writes


def test_switching_nothing_does_nothing() -> None:
    """Without a key none is meant, not all."""
    api = project(row_of(HOOK))

    assert ((), (), ()) == (manager(api).enable(), manager(api).disable(), manager(api).destroy())
    assert [] == api.sent


def test_managed_are_those_with_a_mark() -> None:
    """All of them, by key, or those that are asked for, in their order."""
    api = project(row_of(OTHER, id_="b"), row_of(HOOK, id_="a"), row_of(HOOK, id_="c", description=""))

    assert ["a", "b"] == [row["id"] for row in manager(api).managed()]
    assert ["b", "a"] == [row["id"] for row in manager(api).managed("other", "crm")]
    assert 3 == len(manager(api).rows())


def test_order_of_the_declarations_is_that_of_the_report() -> None:
    """Whatever PostHog lists first."""
    api = project(row_of(OTHER, id_="b"), row_of(HOOK, id_="a"))
    declared: list[Destination] = [HOOK, OTHER]

    assert ["crm", "other"] == [outcome.step.key for outcome in manager(api).apply(declared).outcomes]
