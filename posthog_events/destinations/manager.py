"""The destinations of one PostHog project, as scripts and the command line hold them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posthog_events.clock import utc_now
from posthog_events.destinations.apply import ApplyReport, OnFailure, Outcome, apply_plan, check_rights, switch
from posthog_events.destinations.live import Live, live_faults, read_live
from posthog_events.destinations.matching import key_of, match
from posthog_events.destinations.model import Destination
from posthog_events.destinations.plan import Plan, Prune, make_plan
from posthog_events.destinations.plan_file import load_plan
from posthog_events.destinations.reading import read_declarations
from posthog_events.destinations.secrets import Secrets
from posthog_events.errors import ConfigError, DeclarationError, StalePlan
from posthog_events.posthog.hog_functions import list_functions
from posthog_events.posthog.http import Api

if TYPE_CHECKING:
    from posthog_events.destinations.surroundings import Surroundings
    from posthog_events.destinations.trial import Trial

__all__ = ["Declared", "Destinations", "Ensured", "destinations_of"]

Declared = Destination | str | Path | Iterable[Destination | str | Path]
"""Destinations made in Python, and files or folders of declarations."""


@dataclass(frozen=True, slots=True)
class Ensured:
    """What `ensure` did.

    Args:
        result: `created`, `updated` or `unchanged`.
        fields: The fields of PostHog's API that changed.
    """

    key: str
    result: str
    id: str
    fields: tuple[str, ...] = ()


class Destinations:
    """Destinations of a project; `connect("posthog://...").destinations`.

    Args:
        environ: Where `${env:NAME}` is looked up; the environment unless said otherwise.
        keyring: Where `${keyring:NAME}` is looked up; the system's keyring unless said otherwise.
    """

    def __init__(
        self,
        api: Api,
        *,
        clock: Callable[[], datetime] = utc_now,
        environ: Mapping[str, str] | None = None,
        keyring: Callable[[str], str | None] | None = None,
    ) -> None:
        self.api = api
        self._clock, self._keyring = clock, keyring
        self._environ = os.environ if environ is None else environ

    def rows(self) -> list[dict[str, Any]]:
        """Return every destination of the project, ours or not, as PostHog's API shows it.

        Raises:
            ApiError, ConnectionFailed: PostHog could not be asked.
        """
        return list_functions(self.api)

    def plan(
        self, *declared: Declared, adopt: Mapping[str, str | None] | None = None, prune: Prune | None = None
    ) -> Plan:
        """Say what applying the declarations would do; nothing is written.

        Args:
            adopt: Keys that shall take over a destination which is not managed: its id, or None for the one that sends
                to the same URL path.
            prune: Disable or delete destinations that are managed and no longer declared; None leaves them alone.

        Raises:
            DeclarationError: Lists everything that is wrong in them, that is missing, or that PostHog would not take.
            ApiError, ConnectionFailed: PostHog could not be asked.
        """
        plan, _, _ = self._plan(destinations_of(declared), adopt, prune)
        return plan

    def apply(
        self,
        *declared: Declared,
        adopt: Mapping[str, str | None] | None = None,
        prune: Prune | None = None,
        on_failure: OnFailure = "stop",
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> ApplyReport:
        """Bring the project to what is declared; a second call finds nothing to do.

        Args:
            adopt: As for `plan`.
            prune: As for `plan`.
            on_failure: Whether to go on after a step that failed.
            on_outcome: Told of each step when it is over.

        Returns:
            What became of each destination. A step that failed is in the report and does not raise.

        Raises:
            DeclarationError, MissingScope, ApiError, ConnectionFailed: Nothing was written.
        """
        plan, live, secrets = self._plan(destinations_of(declared), adopt, prune)
        return apply_plan(self.api, plan, live, secrets, on_failure=on_failure, on_outcome=on_outcome)

    def apply_plan(
        self,
        plan: Plan | str | Path,
        *,
        on_failure: OnFailure = "stop",
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> ApplyReport:
        """Carry out a plan that was made before, or saved, if it would come out the same now.

        Raises:
            StalePlan: Something has changed since, here or in PostHog; nothing was written.
            DeclarationError, MissingScope, ApiError, ConnectionFailed: Nothing was written.
        """
        made = plan if isinstance(plan, Plan) else load_plan(Path(plan))
        if (made.origin, made.project_id) != (self.api.origin, self.api.project_id):
            raise StalePlan(
                f"the plan is for {made.origin}, project {made.project_id}, and this is {self.api.origin}, "
                f"project {self.api.project_id}; nothing was written"
            )
        now, live, secrets = self._plan(made.declarations, made.adopt, made.prune)
        if keys := made.differs(now):
            raise StalePlan(
                f"the plan of {made.made_at:%Y-%m-%d %H:%M} UTC no longer holds for {', '.join(keys)}: what is in "
                "PostHog, or a secret, has changed since. Nothing was written; plan again"
            )
        return apply_plan(self.api, made, live, secrets, on_failure=on_failure, on_outcome=on_outcome)

    def ensure(self, destination: Destination, *, adopt: bool | str = False) -> Ensured:
        """Create or update one destination; any number of calls leave one.

        Args:
            adopt: Take over the unmanaged destination that sends to the same URL path, or the one with this id.

        Raises:
            DeclarationError: Something is wrong in it, missing, or not taken by PostHog.
            PostHogEventsError: It could not be written, or PostHog stored something else.
        """
        wanted = {destination.key: adopt if isinstance(adopt, str) else None} if adopt else None
        plan, live, secrets = self._plan((destination,), wanted, None)
        (outcome,) = apply_plan(self.api, plan, live, secrets).outcomes
        if outcome.error is not None:
            raise outcome.error
        fields = () if outcome.result == "created" else outcome.step.diff.fields
        return Ensured(destination.key, outcome.result, str(outcome.id), fields)

    def test(
        self,
        *declared: Declared,
        event: Mapping[str, Any] | None = None,
        send: bool = False,
        around: Surroundings | None = None,
    ) -> Iterator[Trial]:
        """Let PostHog run declarations on one event, as they would run live; they need not be applied.

        Nothing is sent before all of them are known to be sound.

        Args:
            event: What templates see, as `{"event": {...}, "person": {...}}`; None: a sample that fits each of them.
            send: Send for real. Otherwise PostHog only says what it would send.
            around: What is known of the project already; None: it is asked.

        Raises:
            DeclarationError: Something is wrong in them, missing, or not taken by PostHog.
            ApiError, ConnectionFailed: PostHog could not be asked, or refused.
        """
        from posthog_events.destinations.sample import sample_globals
        from posthog_events.destinations.surroundings import read_surroundings
        from posthog_events.destinations.trial import try_destination

        destinations = destinations_of(declared)
        secrets = self.secrets(destinations)
        live = read_live(self.api, destinations)
        if faults := live_faults(destinations, live, secrets):
            raise DeclarationError(faults)
        known = around or read_surroundings(self.api, destinations)
        rows = {found.destination.key: found.row for found in match(destinations, live.rows).matches}
        for destination in destinations:
            sample = sample_globals(
                destination,
                now=self._clock(),
                project_url=known.project["url"],
                actions=known.actions,
                test_account_filters=known.test_account_filters,
            )
            trial = try_destination(
                self.api,
                destination,
                secrets,
                globals_=event or sample.globals,
                row=rows[destination.key],
                mock=not send,
                slack_workspace=live.slack_workspace,
            )
            doubt = (f"{sample.misfit}; give an event that fires it",) if sample.misfit and not event else ()
            yield replace(trial, notes=(*doubt, *trial.notes))

    def enable(self, *keys: str) -> tuple[str, ...]:
        """Switch managed destinations on; return the keys of those that were off.

        Raises:
            ConfigError: A key is not that of a managed destination; nothing was written.
            StalePlan, ApiError, ConnectionFailed: As `switch`; those before it are switched.
        """
        return self._switch(keys, {"enabled": True})

    def disable(self, *keys: str) -> tuple[str, ...]:
        """Switch managed destinations off until `enable` or the next `apply`; return the keys of those that were on.

        Raises:
            ConfigError, StalePlan, ApiError, ConnectionFailed: As `enable`.
        """
        return self._switch(keys, {"enabled": False})

    def destroy(self, *keys: str) -> tuple[str, ...]:
        """Delete managed destinations and return their keys. PostHog keeps them hidden, with their history.

        Raises:
            ConfigError, StalePlan, ApiError, ConnectionFailed: As `enable`.
        """
        return self._switch(keys, {"deleted": True})

    def managed(self, *keys: str) -> list[dict[str, Any]]:
        """Return the managed destinations with these keys, all without any, as PostHog's API shows them.

        Raises:
            ConfigError: There is none with one of the keys, or more than one.
        """
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows():
            if (key := key_of(row)) is not None:
                rows.setdefault(key, []).append(row)
        if unknown := [key for key in keys if key not in rows]:
            known = ", ".join(sorted(rows)) or "none yet"
            raise ConfigError(f"no managed destination has the key {', '.join(unknown)}; there are: {known}")
        if twice := [key for key in keys if len(rows[key]) > 1]:
            ids = ", ".join(row["id"] for row in rows[twice[0]])
            raise ConfigError(
                f"several destinations carry the mark of {twice[0]}: {ids}; delete the last line of the description "
                "of those that are copies"
            )
        return [row for key in keys or sorted(rows) for row in rows[key]]

    def _switch(self, keys: Sequence[str], change: Mapping[str, Any]) -> tuple[str, ...]:
        if not keys:
            return ()
        keys = tuple(dict.fromkeys(keys))
        todo = [
            (key, row)
            for key, row in zip(keys, self.managed(*keys), strict=True)
            if any(row.get(name) != value for name, value in change.items())
        ]
        if todo:
            check_rights(self.api)
        for _, row in todo:
            switch(self.api, row, change)
        return tuple(key for key, _ in todo)

    def secrets(self, destinations: Iterable[Destination]) -> Secrets:
        """Look up the secrets that destinations name.

        Raises:
            DeclarationError: Lists those that are missing or cannot be used.
        """
        return Secrets.find(destinations, environ=self._environ, keyring=self._keyring)

    def _plan(
        self, declared: Sequence[Destination], adopt: Mapping[str, str | None] | None, prune: Prune | None
    ) -> tuple[Plan, Live, Secrets]:
        secrets = self.secrets(declared)
        live = read_live(self.api, declared)
        return make_plan(declared, live, secrets, made_at=self._clock(), adopt=adopt, prune=prune), live, secrets


def destinations_of(declared: Iterable[Declared]) -> tuple[Destination, ...]:
    """Return destinations made in Python and those of files, in order.

    Raises:
        DeclarationError: Lists every fault in all files.
    """
    values: list[Destination] = []
    paths: list[str | Path] = []
    for one in declared:
        many = [one] if isinstance(one, Destination | str | Path) else list(one)
        values += [part for part in many if isinstance(part, Destination)]
        paths += [part for part in many if not isinstance(part, Destination)]
    return (*values, *(read_declarations(paths) if paths else ()))
