"""Carrying out a plan: each write is read back and compared, and a destination is switched on last.

A destination that is created is off until PostHog is seen to have stored it as declared. A write whose answer is lost
is looked for before anything else is sent, and the mark in the description says whose it is, so that a run that was cut
anywhere can be repeated: it finds what is there and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from posthog_events.destinations.diff import Diff
from posthog_events.destinations.live import NO_SIGNING, Live
from posthog_events.destinations.matching import key_of
from posthog_events.destinations.model import Destination
from posthog_events.destinations.payload import body_of, patch_of
from posthog_events.destinations.plan import Plan, Step, differences, holds_secret, settled
from posthog_events.destinations.secrets import Secrets
from posthog_events.errors import (
    ApiError,
    BadAnswer,
    MissingScope,
    NotAuthorised,
    NotFound,
    PostHogEventsError,
    StalePlan,
)
from posthog_events.posthog.hog_functions import create_function, get_function, list_functions, update_function
from posthog_events.posthog.http import Api
from posthog_events.posthog.rights import key_rights

__all__ = ["ApplyReport", "Outcome", "apply_plan", "check_rights", "switch"]

OnFailure = Literal["stop", "continue"]
_DONE = {"create": "created", "update": "updated", "disable": "disabled", "delete": "deleted", "unchanged": "unchanged"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one step.

    Args:
        result: What was done: `created`, `updated`, `unchanged`, `disabled` or `deleted`; `failed`; or `skipped`, as
            something before it failed.
        id: PostHog's, where there is one.
        error: Why it failed; holds no secret.
        left: How it was left, when it failed after something was sent.
    """

    step: Step
    result: str
    id: str | None = None
    error: PostHogEventsError | None = None
    left: str = ""

    @property
    def message(self) -> str:
        """Why it failed, in a sentence, and how it was left; empty when it did not."""
        return ". ".join(filter(None, (str(self.error), self.left))) if self.error else ""

    def __str__(self) -> str:
        known = f" ({self.id})" if self.id else ""
        return f"{self.result} {self.step.key}{known}" + (f": {self.message}" if self.message else "")


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """All outcomes, in the order of the plan."""

    outcomes: tuple[Outcome, ...]

    @property
    def ok(self) -> bool:
        """Whether every step was carried out."""
        return all(outcome.result not in ("failed", "skipped") for outcome in self.outcomes)

    @property
    def summary(self) -> str:
        """How many outcomes of each kind there are, in a line."""
        results = [outcome.result for outcome in self.outcomes]
        return ", ".join(f"{results.count(result)} {result}" for result in dict.fromkeys(results)) or "nothing to do"

    def __str__(self) -> str:
        return "\n".join([*(str(one) for one in self.outcomes if one.result != "unchanged"), f"{self.summary}."])


class _Mismatch(PostHogEventsError):
    """PostHog stored something else than was sent."""


def check_rights(api: Api) -> None:
    """Make sure that the key may write, as far as PostHog tells.

    Raises:
        MissingScope: It may not.
        RateLimited, ConnectionFailed, BadAnswer: As `key_rights`.
    """
    if not key_rights(api).allow("hog_function:write"):
        raise MissingScope(
            "the key lacks the scope hog_function:write, which changing destinations needs; add it to the key in "
            "PostHog's settings. Nothing was written",
            scope="hog_function:write",
            status=403,
        )


def apply_plan(
    api: Api,
    plan: Plan,
    live: Live,
    secrets: Secrets,
    *,
    on_failure: OnFailure = "stop",
    on_outcome: Callable[[Outcome], None] | None = None,
) -> ApplyReport:
    """Carry out a plan that was made of `live`.

    Args:
        on_failure: Whether the steps after one that failed are carried out; without rights none is.
        on_outcome: Told of each step when it is over.

    Returns:
        What became of each step; failures are in it and not raised.

    Raises:
        MissingScope: The key may not write; nothing was written.
    """
    if plan.changes:
        check_rights(api)
    run = _Run(api, live, secrets, {destination.key: destination for destination in plan.declarations})
    outcomes: list[Outcome] = []
    stopped = False
    for step in plan.steps:
        outcome = Outcome(step, "skipped", step.id) if stopped else run.carry_out(step)
        stopped = stopped or (outcome.result == "failed" and (on_failure == "stop" or run.refused))
        outcomes.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
    return ApplyReport(tuple(outcomes))


def switch(api: Api, row: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any] | None:
    """Change single fields (`enabled`, `deleted`) of a live destination and return it; None when it was deleted.

    Raises:
        StalePlan: It changed since `row` was read.
        BadAnswer: PostHog took the change and did not keep it.
        ApiError, ConnectionFailed: As `Api.send`.
    """
    try:
        doubt = _send_patch(api, row["id"], {**change, "base_updated_at": row["updated_at"]})
        after = get_function(api, row["id"])
    except NotFound:
        if change.get("deleted"):
            return None
        raise
    if change.get("deleted") or any(after.get(name) != value for name, value in change.items()):
        kept = f"PostHog accepted the change of {row['id']} and did not keep it; look at it in PostHog"
        raise doubt or BadAnswer(kept)
    return after


def _send_patch(api: Api, id_: str, body: Mapping[str, Any]) -> PostHogEventsError | None:
    """Send a change; return the failure that leaves open whether it arrived, which is seen by reading it back."""
    try:
        update_function(api, id_, body)
    except PostHogEventsError as error:
        if isinstance(error, ApiError) and error.status == 409:
            # also when it was ours that came first, by a request that had to be sent again
            return StalePlan(
                f"{id_} was changed in PostHog since it was read; what was changed there is untouched. Plan again"
            )
        if not _in_doubt(error):
            raise
        return error
    return None


def _in_doubt(error: PostHogEventsError) -> bool:
    """Whether what was sent may have been carried out; an answer that cannot be read says nothing about that."""
    return isinstance(error, BadAnswer) or bool(getattr(error, "ambiguous", False))


class _Run:
    """One run over a plan."""

    def __init__(self, api: Api, live: Live, secrets: Secrets, declared: Mapping[str, Destination]) -> None:
        self._api, self._secrets, self._declared = api, secrets, declared
        self._workspace = live.slack_workspace
        self._rows = {str(row["id"]): row for row in live.rows}
        self._left = ""
        self.refused = False

    def carry_out(self, step: Step) -> Outcome:
        """Return what became of a step."""
        id_, self._left = step.id, ""
        try:
            if step.action == "create":
                id_ = str(self._create(step)["id"])
                self._finish(step, id_)
            elif step.action == "update":
                self._update(step, self._rows[str(id_)])
            elif step.action != "unchanged":
                change = {"enabled": False} if step.action == "disable" else {"deleted": True}
                switch(self._api, self._rows[str(id_)], change)
        except PostHogEventsError as error:
            self.refused = isinstance(error, NotAuthorised)
            return Outcome(step, "failed", id_, self._safe(error), self._left)
        return Outcome(step, _DONE[step.action], id_)

    def _create(self, step: Step) -> Mapping[str, Any]:
        destination = self._declared[step.key]
        body = body_of(destination, self._secrets, slack_workspace=self._workspace)
        try:
            return create_function(self._api, {**body, "enabled": False})
        except PostHogEventsError as error:
            if not _in_doubt(error):
                raise
            self._left = "If it was created all the same, it is switched off, and the next run goes on with it"
            found = [row for row in list_functions(self._api) if key_of(row) == step.key]
            if len(found) != 1:
                raise
            return found[0]

    def _finish(self, step: Step, id_: str) -> None:
        """Compare a destination that was created, and switch it on."""
        self._left = "It stays switched off"
        row = self._compare(step, id_, enabled=False)
        if self._declared[step.key].enabled:
            self._enable(step, row)

    def _update(self, step: Step, row: Mapping[str, Any]) -> None:
        destination = self._declared[step.key]
        # on last: what is off now must not fire before all of it is right
        later = "enabled" in step.diff.fields and destination.enabled
        fields = [name for name in step.diff.fields if not (later and name == "enabled")]
        if fields:
            wanted = settled(destination, row)
            patch = patch_of(wanted, self._secrets, fields, row, slack_workspace=self._workspace)
            doubt = _send_patch(self._api, row["id"], {**patch, "base_updated_at": step.base})
            enabled = bool(row.get("enabled")) if later else destination.enabled
            self._left = "" if isinstance(doubt, StalePlan) else "It may have been changed already; plan again"
            row = self._compare(step, row["id"], doubt, enabled=enabled)
        if later:
            self._left = "It stays switched off"
            self._enable(step, row)

    def _enable(self, step: Step, row: Mapping[str, Any]) -> None:
        doubt = _send_patch(self._api, row["id"], {"enabled": True, "base_updated_at": row["updated_at"]})
        if not isinstance(doubt, StalePlan):
            self._left = "It may be switched on already"
        self._compare(step, row["id"], doubt, enabled=True)

    def _compare(
        self, step: Step, id_: str, doubt: PostHogEventsError | None = None, *, enabled: bool
    ) -> Mapping[str, Any]:
        """Read a destination back.

        Raises:
            PostHogEventsError: It is not what was sent; `doubt`, if it is not known that it arrived.
        """
        row = get_function(self._api, id_)
        destination = replace(self._declared[step.key], enabled=enabled)
        difference = differences(
            destination, row, self._secrets, slack_workspace=self._workspace, fingerprint=step.fingerprint
        )
        if difference:
            raise doubt or _Mismatch(_mismatch(difference, row))
        return row

    def _safe(self, error: PostHogEventsError) -> PostHogEventsError:
        """Return an error that holds no secret, even if PostHog's answer repeats what was sent."""
        if not holds_secret(f"{error} {error!r} {vars(error)}", self._secrets):
            return error
        return PostHogEventsError(f"PostHog refused it ({type(error).__name__}), and its answer repeats a secret")


def _mismatch(difference: Diff, row: Mapping[str, Any]) -> str:
    if row.get("draft"):
        return "PostHog kept the change as a draft, which is not live; publish it there, or use a personal API key"
    if any(change.path.startswith("inputs.signing_secret") for change in difference.changes):
        return NO_SIGNING
    changes = "; ".join(str(change) for change in difference.changes)
    return f"PostHog did not store what was sent (live -> declared): {changes}"
