"""Carrying out a plan: what is sent, in which order, and what is said of what fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from posthog_events.destinations import Destination, SecretRef, Secrets, Webhook
from posthog_events.destinations.apply import ApplyReport, Outcome, apply_plan, switch
from posthog_events.destinations.live import NO_SIGNING, read_live
from posthog_events.destinations.plan import make_plan
from posthog_events.errors import (
    ApiError,
    AuthenticationFailed,
    BadAnswer,
    ConnectionFailed,
    MissingScope,
    NotFound,
    PostHogEventsError,
    RateLimited,
    ServerFailed,
    StalePlan,
)
from posthog_events.posthog.http import Request
from tests.helpers.fake_destinations import FakeProject, row_of

AT = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOOK = Webhook("Crm", key="crm", url="https://crm.example.com/hooks/posthog", events=["e"])
OTHER = Webhook("Other", key="other", url="https://other.example.com/x", events=["e"])
OFF = replace(HOOK, enabled=False)
KEYED = Webhook("Crm", key="crm", url="https://a.example.com/x", headers={"X-Crm": "${env:KEY}"}, events=["e"])
SECRET = "correct horse battery"
KEY = Secrets({SecretRef("env", "KEY"): SECRET})
SIGNED = Webhook("Signed", key="signed", url="https://a.example.com/x", events=["e"], signing_secret="${env:SIGN}")
SIGNING = Secrets({SecretRef("env", "SIGN"): "whsec_c2VjcmV0"})
NONE = Secrets({})
LOST = ConnectionFailed("reset", ambiguous=True)


def apply(api: FakeProject, *declared: Destination, secrets: Secrets = NONE, **options: Any) -> ApplyReport:
    """Plan and apply."""
    plan_options = {name: options.pop(name) for name in ("adopt", "prune") if name in options}
    live = read_live(api, declared)
    made = make_plan(declared, live, secrets, made_at=AT, **plan_options)
    api.sent.clear()
    return apply_plan(api, made, live, secrets, **options)


def project(*rows: dict[str, Any], **options: Any) -> FakeProject:
    """Return a project with these destinations."""
    return FakeProject({row["id"]: row for row in rows}, **options)


def once(error: Exception, method: str, *, nth: int = 1) -> Any:
    """Return a hook that raises at the nth request of a method."""
    seen = []

    def hook(request: Request) -> None:
        if request.method == method:
            seen.append(request)
            if len(seen) == nth:
                raise error

    return hook


def bodies(api: FakeProject, method: str) -> list[dict[str, Any]]:
    """Return what was sent."""
    return [request.json for request in api.sent if request.method == method]


# -- the order of things --------------------------------------------------------------------------------------------


def test_what_is_created_is_off_until_it_was_read_back() -> None:
    """Switching on is the last write, and is read back as well."""
    api = project()

    report = apply(api, HOOK)

    assert ["created crm (new-1)", "1 created."] == str(report).splitlines()
    assert report.ok
    assert ["GET", "POST", "GET", "PATCH", "GET"] == [request.method for request in api.sent]
    assert [False] == [body["enabled"] for body in bodies(api, "POST")]
    assert [{"enabled": True, "base_updated_at": "2026-09-01T00:00:00.000002Z"}] == bodies(api, "PATCH")


def test_what_is_declared_off_stays_off() -> None:
    """It is created, compared and left."""
    api = project()

    assert apply(api, OFF).ok
    assert ["POST hog_functions/"] == api.writes


def test_what_was_off_is_switched_on_after_it_was_changed() -> None:
    """Two writes: at no moment does it fire with what it had before."""
    api = project(row_of(HOOK, enabled=False, name="Old"))

    assert apply(api, HOOK).ok
    first, second = bodies(api, "PATCH")
    assert {"name": "Crm", "base_updated_at": "2026-08-20T00:00:00.000001Z"} == first
    assert ["enabled", "base_updated_at"] == list(second)
    assert second["base_updated_at"] > first["base_updated_at"]


def test_what_is_switched_off_is_so_in_the_same_write() -> None:
    """It must not fire with what is new either."""
    api = project(row_of(HOOK, name="Old"))

    assert apply(api, OFF).ok
    assert [{"name": "Crm", "enabled": False, "base_updated_at": "2026-08-20T00:00:00.000001Z"}] == bodies(api, "PATCH")


def test_nothing_to_do_sends_nothing() -> None:
    """Not even a question about the key's rights."""
    api = project(row_of(HOOK))

    assert "1 unchanged." == str(apply(api, HOOK))
    assert [] == api.sent


def test_only_changed_fields_are_sent() -> None:
    """Others may have been changed by people meanwhile."""
    api = project(row_of(HOOK, masking={"hash": "all", "ttl": 60, "threshold": None}, icon_url="/cat.png"))

    assert apply(api, HOOK).ok
    assert [["masking", "base_updated_at"]] == [list(body) for body in bodies(api, "PATCH")]
    assert "/cat.png" == api.rows["row-1"]["icon_url"]


def test_description_of_people_survives_adoption() -> None:
    """The mark goes below it."""
    api = project(row_of(HOOK, description="By Ann.", name="By hand"))

    assert apply(api, HOOK, adopt={"crm": "row-1"}).ok
    assert "By Ann.\n\nmanaged by posthog-events, key=crm" == api.rows["row-1"]["description"]


def test_items_that_people_added_to_a_schema_stay() -> None:
    """A schema that has to be sent, here for a new secret, is the live one with what is needed."""
    row = row_of(replace(KEYED, inputs=HOOK.inputs, inputs_schema=None))
    row["inputs_schema"] = [{**row["inputs_schema"][0], "label": "Where to"}, {"key": "x", "type": "string"}]
    api = project(row)

    assert apply(api, KEYED, secrets=KEY).ok
    (schema,) = [body["inputs_schema"] for body in bodies(api, "PATCH")]
    assert {"key": "x", "type": "string"} in schema
    assert "Where to" == next(item["label"] for item in schema if item["key"] == "url")
    assert {"url", "x", "method", "body", "headers", "debug", "secret_key"} == {item["key"] for item in schema}


@pytest.mark.parametrize(
    ("prune", "body", "result"),
    [("disable", {"enabled": False}, "disabled"), ("delete", {"deleted": True}, "deleted")],
)
def test_prune_is_one_write_over_what_was_planned(prune: str, body: dict[str, Any], result: str) -> None:
    """Refused by PostHog when the destination changed since."""
    api = project(row_of(OTHER))

    assert [result] == [outcome.result for outcome in apply(api, prune=prune).outcomes]
    assert [{**body, "base_updated_at": "2026-08-20T00:00:00.000001Z"}] == bodies(api, "PATCH")


# -- rights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scopes", [[], ["hog_function:read", "query:read"]], ids=["none", "reader"])
def test_key_that_may_not_write_is_refused_before_the_first_write(scopes: list[str]) -> None:
    """With the name of the scope."""
    api = project(scopes=scopes)

    with pytest.raises(MissingScope, match="hog_function:write") as caught:
        apply(api, HOOK)

    assert ("hog_function:write", 4) == (caught.value.scope, caught.value.exit_code)
    assert [] == api.writes


@pytest.mark.parametrize("scopes", [["*"], ["hog_function:write"], None], ids=["all", "write", "unknown"])
def test_key_that_may_write_writes(scopes: list[str] | None) -> None:
    """PostHog that does not list scopes is asked by trying."""
    assert apply(project(scopes=scopes), HOOK).ok


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_posthog_that_does_not_tell_the_rights_is_asked_by_trying(status: int) -> None:
    """OAuth tokens are refused at that page, with 401 too, and write all the same."""
    error = AuthenticationFailed if status == 401 else ApiError
    api = project(refuse=lambda request: _refuse(request, "/api/personal", error("no", status=status)))

    assert apply(api, HOOK).ok


def test_rate_limit_before_the_first_write_is_raised() -> None:
    """Whoever has to wait there would have to wait at each write."""
    api = project(refuse=lambda request: _refuse(request, "/api/personal", RateLimited("wait", status=429)))

    with pytest.raises(RateLimited):
        apply(api, HOOK)
    assert [] == api.writes


def _refuse(request: Request, path: str, error: Exception) -> None:
    if request.path.startswith(path):
        raise error


def test_no_rights_while_writing_stops_everything() -> None:
    """Each further write would be refused as well, also when the rest was to go on."""
    api = project(refuse=once(MissingScope("no scope", status=403), "POST"))

    report = apply(api, HOOK, OTHER, on_failure="continue")

    assert ["failed", "skipped"] == [outcome.result for outcome in report.outcomes]
    assert ["POST hog_functions/"] == api.writes


# -- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("on_failure", "results"), [("stop", "failed skipped"), ("continue", "failed created")])
def test_failure_stops_or_not(on_failure: Any, results: str) -> None:
    """As the caller says; each step is told when it is over."""
    api = project(refuse=once(ApiError("Invalid template: x", status=400, attr="inputs__url"), "POST"))
    told: list[Outcome] = []

    report = apply(api, HOOK, OTHER, on_failure=on_failure, on_outcome=told.append)

    assert results == " ".join(outcome.result for outcome in report.outcomes)
    assert not report.ok
    assert told == list(report.outcomes)
    assert "failed crm: Invalid template: x" == str(report).splitlines()[0]


def test_created_destination_whose_answer_was_lost_is_found_by_its_mark() -> None:
    """It is not created twice."""
    api = project(lose=once(LOST, "POST"))

    assert ["created"] == [outcome.result for outcome in apply(api, HOOK).outcomes]
    assert ["POST hog_functions/", "PATCH hog_functions/new-1/"] == api.writes
    assert [True] == [row["enabled"] for row in api.rows.values()]


def test_created_destination_whose_answer_cannot_be_read_is_found_by_its_mark() -> None:
    """A proxy's page in the place of the answer says nothing about whether it was created."""
    api = project(lose=once(BadAnswer("a web page"), "POST"))

    assert apply(api, HOOK).ok
    assert 1 == len(api.rows)


def test_lost_create_that_was_not_carried_out_fails_and_is_not_sent_again() -> None:
    """It may still be on its way; the next run finds out."""
    api = project(refuse=once(LOST, "POST"))

    (outcome,) = apply(api, HOOK).outcomes

    assert ("failed", None, LOST) == (outcome.result, outcome.id, outcome.error)
    assert "If it was created all the same, it is switched off" in outcome.message
    assert {} == api.rows


@pytest.mark.parametrize(
    "error",
    [LOST, ServerFailed("500", status=500, ambiguous=True), BadAnswer("a web page")],
    ids=["lost", "500", "page"],
)
@pytest.mark.parametrize("row", [row_of(HOOK, name="Old"), row_of(HOOK, enabled=False)], ids=["change", "switch"])
def test_change_whose_answer_was_lost_is_seen_by_reading_it_back(row: dict[str, Any], error: Exception) -> None:
    """And is not sent again."""
    api = project(row, lose=once(error, "PATCH"))

    assert ["updated"] == [outcome.result for outcome in apply(api, HOOK).outcomes]
    assert 1 == len(api.writes)


def test_change_that_did_not_arrive_fails_with_its_own_reason() -> None:
    """Not with a difference that nobody caused."""
    api = project(row_of(HOOK, name="Old"), refuse=once(LOST, "PATCH"))

    (outcome,) = apply(api, HOOK).outcomes

    assert LOST is outcome.error


def test_write_of_somebody_else_wins() -> None:
    """409: what was changed in PostHog is untouched, and the sentence says so."""
    api = project(row_of(HOOK, name="Old"))

    def edit(request: Request) -> None:
        if request.method == "PATCH":
            api.rows["row-1"] |= {"name": "Ann's", "updated_at": "2026-09-02T00:00:00Z"}

    api.refuse = edit
    (outcome,) = apply(api, HOOK).outcomes

    assert isinstance(outcome.error, StalePlan)
    assert "Ann's" == api.rows["row-1"]["name"]
    assert "what was changed there is untouched. Plan again" in outcome.message


def test_409_to_what_is_ours_already_is_no_failure() -> None:
    """A gateway answered 503, the change had been made, and the request was sent again."""
    api = project(row_of(HOOK, name="Old"))

    def edit(request: Request) -> None:
        if request.method == "PATCH":
            api.rows["row-1"] |= {"name": "Crm", "updated_at": "2026-09-02T00:00:00Z"}

    api.refuse = edit

    assert apply(api, HOOK).ok


def test_destination_that_was_deleted_meanwhile_fails() -> None:
    """Creating it anew is for the next plan."""
    api = project(row_of(HOOK, name="Old"))
    api.refuse = lambda request: api.rows["row-1"].update(deleted=True) if request.method == "PATCH" else None

    (outcome,) = apply(api, HOOK).outcomes

    assert isinstance(outcome.error, NotFound)


@pytest.mark.parametrize("prune", ["delete", "disable"])
def test_orphan_that_was_deleted_meanwhile_is_gone(prune: str) -> None:
    """Which is what was wanted when it was to be deleted."""
    api = project(row_of(OTHER))
    api.refuse = lambda request: api.rows["row-1"].update(deleted=True) if request.method == "PATCH" else None

    (outcome,) = apply(api, prune=prune).outcomes

    assert {"delete": "deleted", "disable": "failed"}[prune] == outcome.result


def test_destination_that_was_deleted_before_it_was_switched_on_is_told() -> None:
    """404 at the reading back."""
    api = project()
    api.lose = lambda request: api.rows["new-1"].update(deleted=True) if request.method == "POST" else None

    (outcome,) = apply(api, HOOK).outcomes

    assert ("failed", "new-1") == (outcome.result, outcome.id)


# -- what PostHog did not keep --------------------------------------------------------------------------------------


def test_input_that_was_dropped_keeps_a_new_destination_off() -> None:
    """PostHog answers 201 and stores less."""

    def drop(_: Request, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "inputs": {name: item for name, item in row["inputs"].items() if name != "headers"}}

    api = project(change=drop)
    (outcome,) = apply(api, HOOK).outcomes

    assert ("failed", "new-1") == (outcome.result, outcome.id)
    assert outcome.message.startswith("PostHog did not store what was sent (live -> declared): + inputs.headers")
    assert outcome.message.endswith("It stays switched off")
    assert [False] == [row["enabled"] for row in api.rows.values()]


def test_dropped_signing_secret_is_named() -> None:
    """The template said that it signs, and the server did not keep the secret."""

    def drop(_: Request, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "inputs": {name: item for name, item in row["inputs"].items() if name != "signing_secret"}}

    (outcome,) = apply(project(change=drop), SIGNED, secrets=SIGNING).outcomes

    assert f"{NO_SIGNING}. It stays switched off" == outcome.message


def test_change_kept_as_a_draft_is_named() -> None:
    """PostHog does so for agents (reference 1.4): it answers 200 and nothing is live."""
    row = row_of(HOOK, name="Old")
    api = project(
        row, change=lambda request, _: {**row, "draft": {"name": "Crm"}, "updated_at": "2026-09-02T00:00:00Z"}
    )

    (outcome,) = apply(api, HOOK).outcomes

    assert outcome.message.startswith("PostHog kept the change as a draft, which is not live")


def test_draft_that_was_there_is_left_alone() -> None:
    """A change of what is live succeeds beside it."""
    api = project(row_of(HOOK, name="Old", draft={"inputs": {"url": {}}}))

    assert apply(api, HOOK).ok
    assert {"inputs": {"url": {}}} == api.rows["row-1"]["draft"]


def test_failure_after_switching_on_does_not_say_that_it_is_off() -> None:
    """The last reading fails, and by then it fires."""
    api = project(refuse=once(ConnectionFailed("gone"), "GET", nth=4))

    (outcome,) = apply(api, HOOK).outcomes

    assert [True] == [row["enabled"] for row in api.rows.values()]
    assert "gone. It may be switched on already" == outcome.message


def test_switching_on_that_posthog_refuses_leaves_it_off() -> None:
    """For example over a filter that cannot be compiled."""
    api = project(refuse=once(ApiError("Invalid filter configuration", status=400), "PATCH"))

    (outcome,) = apply(api, HOOK).outcomes

    assert "Invalid filter configuration. It stays switched off" == outcome.message


# -- secrets --------------------------------------------------------------------------------------------------------


def test_no_outcome_holds_a_secret() -> None:
    """Neither when PostHog stored it in plain, nor when its answer repeats what was sent."""

    def expose(request: Request, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "inputs": {**row["inputs"], "headers": {"value": {"X-Crm": SECRET}}}}

    def repeat(request: Request) -> None:
        if request.method == "POST":
            raise ApiError(f"cannot take {request.json}", status=400, detail=f"{request.json}")

    for api in (project(change=expose), project(refuse=repeat)):
        report = apply(api, KEYED, secrets=KEY)

        assert not report.ok
        assert SECRET not in f"{report} {report!r} {report.outcomes[0].error} {vars(report.outcomes[0].error)}"


# -- switch ---------------------------------------------------------------------------------------------------------


def test_switch_that_posthog_did_not_keep_is_told() -> None:
    """It answers 200, and nothing changed."""
    row = row_of(HOOK)
    api = project(row, change=lambda request, _: dict(row))

    with pytest.raises(BadAnswer, match="did not keep it"):
        switch(api, row, {"enabled": False})
    with pytest.raises(BadAnswer, match="did not keep it"):
        switch(api, row, {"deleted": True})


@pytest.mark.parametrize("change", [{"enabled": False}, {"deleted": True}], ids=["disable", "delete"])
def test_switch_whose_answer_was_lost_is_looked_at(change: dict[str, Any]) -> None:
    """Carried out: done. Not carried out: the failure."""
    row = row_of(HOOK)

    after = switch(project(row, lose=once(LOST, "PATCH")), row, change)
    assert (None if "deleted" in change else False) == (after and after["enabled"])
    with pytest.raises(ConnectionFailed):
        switch(project(row, refuse=once(LOST, "PATCH")), row, change)


@pytest.mark.parametrize("change", [{"enabled": False}, {"deleted": True}], ids=["disable", "delete"])
def test_switch_of_what_was_edited_since_is_refused(change: dict[str, Any]) -> None:
    """Whoever edited it did not expect that."""
    row = row_of(HOOK)
    api = project({**row, "updated_at": "2026-09-02T00:00:00Z"})

    with pytest.raises(StalePlan):
        switch(api, row, change)
    assert row["enabled"] == api.rows["row-1"]["enabled"]


def test_errors_are_ours() -> None:
    """A step that fails is in the report; what is a defect is not hidden in it."""
    with pytest.raises(ZeroDivisionError):
        apply(project(refuse=once(ZeroDivisionError(), "POST")), HOOK)
    (outcome,) = apply(project(refuse=once(PostHogEventsError("x"), "POST")), HOOK).outcomes
    assert "failed" == outcome.result
