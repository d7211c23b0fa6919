"""What applying some declarations would do: decided without writing anything, and without secrets in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from posthog_events.destinations.diff import Change, Diff, diff
from posthog_events.destinations.live import Live, live_faults
from posthog_events.destinations.marker import split_description
from posthog_events.destinations.matching import Match, key_of, match, named, said_twice
from posthog_events.destinations.model import Destination
from posthog_events.destinations.normalise import normalise
from posthog_events.destinations.payload import declared_body
from posthog_events.destinations.secrets import Secrets
from posthog_events.destinations.templates import SCHEMAS, honours_signing
from posthog_events.errors import DeclarationError, Fault

__all__ = ["Action", "Plan", "Prune", "Step", "differences", "holds_secret", "make_plan", "settled"]

Action = Literal["create", "update", "unchanged", "disable", "delete"]
Prune = Literal["disable", "delete"]

SIGNS: Final[Mapping[Action, str]] = {"create": "+", "update": "~", "unchanged": "=", "disable": "~", "delete": "-"}
DONE: Final[Mapping[Action, str]] = {
    "create": "to create",
    "update": "to update",
    "unchanged": "unchanged",
    "disable": "to disable",
    "delete": "to delete",
}

SHORT_SECRET: Final = 6
"""Characters below which a secret is looked for only as a whole text: it is part of too many words."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one destination.

    Args:
        id: PostHog's; None: there is none yet.
        diff: What changes, safe to show.
        base: When the live destination changed last, as PostHog says; a later change makes the plan stale.
        fingerprint: That of the secrets that will be sent.
        notes: What people should know before they agree.
    """

    action: Action
    key: str
    name: str
    id: str | None = None
    diff: Diff = field(default_factory=Diff)
    base: str | None = None
    fingerprint: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        known = f" ({self.id})" if self.id else ""
        lines = [f"{SIGNS[self.action]} {self.action} {self.key}{known}"]
        lines += [f"    {change}" for change in self.diff.changes]
        return "\n".join([*lines, *(f"    ! {note}" for note in self.notes)])


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they are applied.

    Args:
        origin: The PostHog that it is for.
        declarations: What the steps are to bring about; secrets are in it by reference only.
        orphans: Ours, not declared, and left alone: id, key and name.
    """

    origin: str
    project_id: int
    made_at: datetime
    steps: tuple[Step, ...]
    declarations: tuple[Destination, ...]
    orphans: tuple[tuple[str, str, str], ...] = ()
    adopt: Mapping[str, str | None] | None = None
    prune: Prune | None = None

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that write."""
        return tuple(step for step in self.steps if step.action != "unchanged")

    @property
    def summary(self) -> str:
        """How many steps of each kind there are, in a line."""
        counts = Counter(step.action for step in self.steps)
        return ", ".join(f"{counts[action]} {DONE[action]}" for action in SIGNS if counts[action]) or "nothing declared"

    def __str__(self) -> str:
        shown = [str(step) for step in self.steps if step.action != "unchanged" or step.notes]
        left = [
            f"  {key} ({id_}) is managed and not declared; it is left alone (--prune disable, or --prune delete)"
            for id_, key, _ in self.orphans
        ]
        return "\n".join([*shown, *left, f"Plan for {self.origin}, project {self.project_id}: {self.summary}."])

    def differs(self, other: Plan) -> tuple[str, ...]:
        """Return the keys of what another plan for the same declarations would do differently."""
        if (self.origin, self.project_id) != (other.origin, other.project_id):
            return ("(another project)",)
        steps, others = ({step.key: step for step in plan.steps} for plan in (self, other))
        return tuple(key for key in dict.fromkeys((*steps, *others)) if steps.get(key) != others.get(key))


def make_plan(
    destinations: Iterable[Destination],
    live: Live,
    secrets: Secrets,
    *,
    made_at: datetime,
    adopt: Mapping[str, str | None] | None = None,
    prune: Prune | None = None,
) -> Plan:
    """Compare declarations with a project.

    Args:
        adopt: See `match`.
        prune: What becomes of destinations of ours that are not declared; None leaves them alone.

    Raises:
        DeclarationError: Lists everything that the project could not take, and every match that is not certain.
    """
    declared = tuple(destinations)
    faults = [*_same_keys(declared), *live_faults(declared, live, secrets)]
    try:
        matching = match(declared, live.rows, adopt=adopt)
    except DeclarationError as error:
        raise DeclarationError([*faults, *error.faults]) from None
    faults += [
        Fault(f"{found.destination.key}: {message}", found.destination.path, found.destination.line)
        for found in matching.matches
        for message in _obstacles(found)
    ]
    faults += _copied(matching.orphans) if prune else []
    if faults:
        raise DeclarationError(faults)
    steps = [_step(found, live, secrets) for found in matching.matches]
    orphans = matching.orphans
    pruned = [_pruned(row, prune) for row in orphans] if prune else []
    return Plan(
        origin=live.origin,
        project_id=live.project_id,
        made_at=made_at,
        steps=(*steps, *(step for step in pruned if step is not None)),
        declarations=declared,
        orphans=() if prune else tuple((row["id"], key_of(row) or "", row.get("name") or "") for row in orphans),
        adopt=dict(adopt) if adopt else None,
        prune=prune,
    )


def settled(destination: Destination, row: Mapping[str, Any]) -> Destination:
    """Return a declaration with what it leaves to people: one without a description keeps that of the live one."""
    if destination.description:
        return destination
    return replace(destination, description=split_description(row.get("description"))[0])


def differences(
    destination: Destination,
    row: Mapping[str, Any],
    secrets: Secrets,
    *,
    slack_workspace: int | None,
    fingerprint: str | None = None,
) -> Diff:
    """Return what differs between a declaration and a live destination; `{}` for none yet. It holds no secret.

    Args:
        fingerprint: That of the secrets that were sent; of `secrets` by default.
    """
    mark = secrets.fingerprint(destination) if fingerprint is None else fingerprint
    body = declared_body(settled(destination, row), mark, slack_workspace=slack_workspace)
    wanted = normalise(body, schema=SCHEMAS.get(destination.template_id))
    for item in row.get("inputs_schema") or ():
        # what the server would fill in by itself is left out of the live one too
        if (
            item.get("required")
            and "default" in item
            and wanted["inputs"].get(item["key"]) == {"value": item["default"]}
        ):
            del wanted["inputs"][item["key"]]
    found = diff(wanted, normalise(row))
    changes = (
        replace(change, before=_hidden(change.before, secrets), after=_hidden(change.after, secrets))
        for change in found.changes
    )
    return Diff(tuple(changes), found.fields)


def holds_secret(text: str, secrets: Secrets) -> bool:
    """Return whether one of the secrets can be read in a text, such as a header that holds it in plain."""
    return any(value == text or (len(value) >= SHORT_SECRET and value in text) for value in secrets.values())


def _hidden(value: Any, secrets: Secrets) -> Any:
    if isinstance(value, Mapping):
        return {key: _hidden(part, secrets) for key, part in value.items()}
    if isinstance(value, list):
        return [_hidden(part, secrets) for part in value]
    return "(secret)" if isinstance(value, str) and holds_secret(value, secrets) else value


def _step(found: Match, live: Live, secrets: Secrets) -> Step:
    destination, row = found.destination, found.row
    fingerprint = secrets.fingerprint(destination)
    difference = differences(destination, row or {}, secrets, slack_workspace=live.slack_workspace)
    if row is None:
        notes = tuple(
            f"{named([twin])} sends to the same URL and is not managed: both would deliver. "
            f"To take it over: --adopt {destination.key}={twin['id']}"
            for twin in found.twins
        )
        added = tuple(replace(change, before=None, added=True, removed=False) for change in difference.changes)
        new = Diff(tuple(change for change in added if change.path not in ("mark", "secrets")), difference.fields)
        return Step("create", destination.key, destination.name, diff=new, fingerprint=fingerprint, notes=notes)
    notes = (f"takes over {row.get('name')!r}, which was not managed",) if found.adopted else ()
    if row.get("mappings"):
        notes += ("has mappings in PostHog, which are left as they are and deliver besides",)
    if row.get("draft"):
        notes += ("has a draft in PostHog that is not live; applying does not publish it",)
    if not difference:
        return Step("unchanged", destination.key, destination.name, str(row["id"]), notes=notes)
    base = row.get("updated_at")
    return Step("update", destination.key, destination.name, str(row["id"]), difference, base, fingerprint, notes)


def _obstacles(found: Match) -> Iterator[str]:
    """Yield why a live destination cannot become what is declared."""
    if found.row is None:
        return
    destination, row = found.destination, found.row
    if found.adopted:
        what, way_out = str(row["id"]), "so it cannot be adopted"
    else:
        what = "the live one"
        way_out = f"destroy it (destinations destroy {destination.key}) and apply again"
    declared = declared_body(destination, "", slack_workspace=0)
    kind, template = row.get("type") or "destination", (row.get("template") or {}).get("id")
    fixed = [] if kind == declared["type"] else [f"the type {kind}"]
    if template != declared["template_id"]:
        fixed.append(f"the template {template}" if template else "no template")
    if fixed:
        yield f"{what} has {' and '.join(fixed)}, which PostHog cannot change; {way_out}"
    elif "signing_secret" in destination.inputs and not honours_signing(row):
        yield f"{what} keeps the code that it was created with, which does not sign its deliveries; {way_out}"


def _copied(orphans: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Refuse to remove destinations of which one may be a copy that somebody made for a purpose."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in orphans:
        rows.setdefault(key_of(row) or "", []).append(row)
    return [Fault(f"--prune: {key}: {said_twice(found)}") for key, found in rows.items() if len(found) > 1]


def _pruned(row: Mapping[str, Any], prune: Prune) -> Step | None:
    if prune == "disable" and not row.get("enabled"):
        return None
    off = Diff((Change("enabled", True, False),), ("enabled",)) if prune == "disable" else Diff()
    return Step(prune, key_of(row) or "", row.get("name") or "", str(row["id"]), off, row.get("updated_at"))


def _same_keys(destinations: Sequence[Destination]) -> list[Fault]:
    counts = Counter(destination.key for destination in destinations)
    return [
        Fault(f"the key `{one.key}` is declared {count} times; each destination has its own", one.path, one.line)
        for one in {one.key: one for one in destinations}.values()
        if (count := counts[one.key]) > 1
    ]
