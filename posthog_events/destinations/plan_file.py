"""A plan as a file: kept for review, applied later if nothing has changed by then. It holds no secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from posthog_events.destinations.diff import Change, Diff
from posthog_events.destinations.model import Destination
from posthog_events.destinations.plan import Action, Plan, Prune, Step
from posthog_events.destinations.reading import parse_declarations
from posthog_events.destinations.writing import yaml_of
from posthog_events.errors import ConfigError, DeclarationError

__all__ = ["load_plan", "markdown_of", "plan_bytes", "save_plan"]

FORMAT: Final = 1


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    before: Any = None
    after: Any = None
    added: bool = False
    removed: bool = False


class _Diff(msgspec.Struct, forbid_unknown_fields=True):
    changes: list[_Change]
    fields: list[str]


class _Step(msgspec.Struct, forbid_unknown_fields=True):
    action: Action
    key: str
    name: str
    id: str | None
    diff: _Diff
    base: str | None
    fingerprint: str
    notes: list[str]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    origin: str
    project_id: int
    made_at: datetime
    adopt: dict[str, str | None] | None
    prune: Prune | None
    steps: list[_Step]
    orphans: list[tuple[str, str, str]]
    declarations: list[str]


def plan_bytes(plan: Plan) -> bytes:
    """Return a plan as JSON."""
    document = {
        "format": FORMAT,
        "origin": plan.origin,
        "project_id": plan.project_id,
        "made_at": plan.made_at,
        "adopt": plan.adopt,
        "prune": plan.prune,
        "steps": [asdict(step) for step in plan.steps],
        "orphans": plan.orphans,
        "declarations": [yaml_of([destination]) for destination in plan.declarations],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def save_plan(plan: Plan, path: Path) -> None:
    """Write a plan to a file.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        path.write_bytes(plan_bytes(plan))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def load_plan(path: Path) -> Plan:
    """Read a plan that was saved.

    Raises:
        ConfigError: The file cannot be read, or is no plan of this version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    try:
        if (version := msgspec.json.decode(data, type=dict[str, Any]).get("format")) != FORMAT:
            raise ConfigError(f"{path} is a plan of another version ({version}); make it again")
        read = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a plan that `destinations plan --output` wrote ({error})") from error
    return Plan(
        origin=read.origin,
        project_id=read.project_id,
        made_at=read.made_at,
        steps=tuple(_step(step) for step in read.steps),
        declarations=_declarations(read.declarations, path),
        orphans=tuple(read.orphans),
        adopt=read.adopt,
        prune=read.prune,
    )


def markdown_of(plan: Plan) -> str:
    """Return a plan as Markdown, for a comment on a pull request."""
    lines = [f"### Destinations of project {plan.project_id}: {plan.summary}"]
    if plan.changes:
        lines += ["", "| | destination | change |", "|---|---|---|"]
        for step in plan.changes:
            changes = "<br>".join(_cell(str(change)) for change in step.diff.changes) or "&nbsp;"
            notes = "".join(f"<br>**Note:** {_cell(note)}" for note in step.notes)
            lines.append(f"| {step.action} | {_code(step.key)} {_cell(step.name)} | {changes}{notes} |")
    lines += [f"\nNot declared, left alone: {_code(key)} ({id_})" for id_, key, _ in plan.orphans]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    return f"`{text}`"


def _cell(text: str) -> str:
    """Return a text that a table of Markdown shows as it is."""
    for char, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\n", " "), ("\r", " ")):
        text = text.replace(char, shown)
    return "".join(f"\\{char}" if char in "\\`*_{}[]|~@#" else char for char in text)


def _step(read: _Step) -> Step:
    changes = tuple(Change(one.path, one.before, one.after, one.added, one.removed) for one in read.diff.changes)
    difference = Diff(changes, tuple(read.diff.fields))
    return Step(read.action, read.key, read.name, read.id, difference, read.base, read.fingerprint, tuple(read.notes))


def _declarations(texts: Sequence[str], path: Path) -> tuple[Destination, ...]:
    try:
        return tuple(destination for text in texts for destination in parse_declarations(text))
    except DeclarationError as error:
        # lines of the texts inside the plan would mislead
        raise ConfigError(f"{path}: the declarations in this plan cannot be used; make it again ({error})") from error
