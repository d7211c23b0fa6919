"""Existing destinations as declarations: a row of PostHog's API becomes a file, or the reasons why it cannot.

What is written is proved before: the declaration is read back, and differs from the row in nothing but the mark and the
secrets; what it would change besides is said. A stored secret is not given back by PostHog, so a reference stands for
it; a secret that the row shows in plain becomes one as well, and is never written.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from posthog_events.destinations import templates
from posthog_events.destinations.diff import Change, diff, redacted
from posthog_events.destinations.lifting import lift_secrets
from posthog_events.destinations.marker import split_description
from posthog_events.destinations.model import Destination, SecretRef
from posthog_events.destinations.normalise import normalise, normalise_inputs
from posthog_events.destinations.payload import declared_body
from posthog_events.destinations.pulled_inputs import NotDeclarable, Variable, inputs_without_secrets
from posthog_events.destinations.pulled_rows import candidates, common_of, name_of, refusals
from posthog_events.destinations.reading import SUFFIXES, parse_declarations
from posthog_events.destinations.writing import yaml_of
from posthog_events.errors import ConfigError, DeclarationError
from posthog_events.frames.output import write_file

__all__ = ["PullReport", "Pulled", "Variable", "destination_of", "pull", "write_pulled"]

MAX_KEY: Final = 100

_HARMLESS = ("name", "description")
"""Fields whose spaces and blank lines a file does not keep."""

_DEFAULTS = ("inputs.method", "inputs.debug", "inputs.headers", "inputs.headers.Content-Type", "inputs.allowedMentions")
"""What every declaration says and a row may lack."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What became of one row.

    Args:
        id: The row's.
        name: The row's, or its id.
        key: The key that the declaration has or would have.
        destination: What was read back from the text that is written; None when the row cannot be declared.
        reasons: Why it cannot.
        notes: What the declaration does not say, or would change.
        variables: The secrets that have to be set before it is applied.
        declared: The mark names a declaration that exists already.
    """

    id: str
    name: str
    key: str
    destination: Destination | None = None
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    declared: bool = False


@dataclass(frozen=True, slots=True)
class PullReport:
    """What was written.

    Args:
        written: The new or replaced files.
        kept: Files that were there and were left as they are.
        left: Rows without a file of their own: they cannot be declared, or are declared in another file.
        variables: The secrets to set before the written files are applied.
    """

    written: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()
    left: tuple[Pulled, ...] = ()
    variables: tuple[Variable, ...] = ()


def pull(rows: Iterable[Mapping[str, Any]], *, taken_keys: Collection[str] = ()) -> list[Pulled]:
    """Return what becomes of each row, each with a key of its own.

    Args:
        rows: Complete rows of PostHog's API.
        taken_keys: Keys of declarations that exist; a row marked with one of them is that declaration's.
    """
    every = list(rows)
    marks = [_mark(row) for row in every]
    taken = {*taken_keys, *marks} - {None}
    seen: set[str] = set()
    found = []
    for row, mark in zip(every, marks, strict=True):
        copied = mark in seen
        key = _free(_slug(_shown(name_of(row))), taken) if mark is None or copied else mark
        taken.add(key)
        seen.add(key)
        one = destination_of(row, key=key)
        if copied:
            note = f"its mark (key={mark}) is that of another destination: this is a copy, made in PostHog"
            one = replace(one, notes=(*one.notes, note))
        found.append(replace(one, declared=key == mark and key in taken_keys))
    return found


def destination_of(row: Mapping[str, Any], *, key: str = "") -> Pulled:
    """Return the declaration of a row of PostHog's API, or why there is none.

    Args:
        row: The complete row, its inputs included.
        key: The declaration's key; that of its mark, or else made of the name, when empty.
    """
    key = key or _mark(row) or _slug(_shown(name_of(row)))
    made = Pulled(str(row.get("id") or ""), _shown(name_of(row)) or str(row.get("id") or ""), key)
    reasons = tuple(refusals(row))
    if reasons:
        return replace(made, reasons=reasons)
    try:
        plain, variables = inputs_without_secrets(row, key)
        common = common_of(row, key)
    except NotDeclarable as error:
        return replace(made, reasons=(_shown(str(error)),))
    tried: list[_Proved] = []
    for candidate in candidates(common, plain):
        tried.append(_proved(candidate, row, plain))
        if tried[-1].destination is not None and not tried[-1].changes:
            break
    best = min(tried, key=lambda one: (one.destination is None, len(one.changes)))
    if best.destination is None:
        return replace(made, reasons=tuple(map(_shown, tried[0].faults)))
    notes = (*_notes(row), *(f"applying it changes {change}" for change in best.changes))
    return replace(made, destination=best.destination, notes=tuple(map(_shown, notes)), variables=variables)


def write_pulled(pulled: Iterable[Pulled], folder: Path, *, overwrite: bool = False) -> PullReport:
    """Write one file for each declaration, named after its key; each is there as a whole or not at all.

    Args:
        overwrite: Replace files of that name; else they are kept.

    Raises:
        ConfigError: The folder or a file cannot be written.
    """
    written: list[Path] = []
    kept: list[Path] = []
    left: list[Pulled] = []
    variables: list[Variable] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in pulled:
            there = [path for suffix in SUFFIXES if os.path.lexists(path := folder / f"{one.key}{suffix}")]
            path = there[0] if there else folder / f"{one.key}{SUFFIXES[0]}"
            if one.destination is None or (one.declared and not there):
                left.append(one)
            elif _write(_text(one).encode(), path, overwrite=overwrite):
                written.append(path)
                variables += one.variables
            else:
                kept.append(path)
    except OSError as error:
        raise ConfigError(f"the declarations could not be written to {folder}: {error.strerror}") from error
    return PullReport(tuple(written), tuple(kept), tuple(left), tuple(variables))


@dataclass(frozen=True, slots=True)
class _Proved:
    """A candidate that was written and read back: the destination, and what it would change, or what is wrong."""

    destination: Destination | None
    changes: tuple[Change, ...] = ()
    faults: tuple[str, ...] = ()


def _proved(candidate: Destination, row: Mapping[str, Any], plain: Mapping[str, Any]) -> _Proved:
    """Write a candidate, read it, and compare what was read with the row."""
    try:
        (read,) = parse_declarations(yaml_of([candidate]))
    except DeclarationError as error:
        return _Proved(None, faults=tuple(fault.message for fault in error.faults))
    items = read.inputs_schema or row.get("inputs_schema") or templates.SCHEMAS.get(read.template_id) or ()
    declared = normalise(declared_body(read, ""))
    declared["inputs"] = normalise_inputs(declared["inputs"], items)
    live = normalise(row)
    live["inputs"] = normalise_inputs(_moved(candidate, plain), items)
    changes = [change for change in diff(declared, live).changes if change.path not in ("mark", "secrets")]
    wrong = [change for change in changes if not _may_change(change)]
    if wrong:
        return _Proved(None, faults=tuple(f"a declaration would change {change}" for change in wrong))
    return _Proved(read, tuple(changes))


def _moved(candidate: Destination, plain: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the row's inputs as they are once its secrets are where the candidate has them, and nothing else."""
    if candidate.kind == "template":
        moved: Mapping[str, Any] = candidate.inputs
    else:
        moved, _ = lift_secrets(plain, templates.SCHEMAS[candidate.template_id])
    return {
        name: {"secret": True} if isinstance(value, SecretRef) else {"value": value} for name, value in moved.items()
    }


def _may_change(change: Change) -> bool:
    return change.path in _HARMLESS or (change.added and change.path in _DEFAULTS)


def _notes(row: Mapping[str, Any]) -> Iterator[str]:
    code, template = str(row.get("hog") or "").rstrip(), row.get("template") or {}
    if code and template.get("code") and code != str(template["code"]).rstrip():
        yield (
            "its code is not that of the template today: it was changed, or is older; "
            "applying keeps it, and a destination that is created anew does not have it"
        )
    if row.get("draft"):
        yield "it has a draft that is not published; this is what is live"


# -- names and texts ------------------------------------------------------------------------------------------------


def _mark(row: Mapping[str, Any]) -> str | None:
    _, marker = split_description(row.get("description"))
    return marker.key if marker else None


def _slug(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:MAX_KEY].rstrip("-") or "destination"


def _free(slug: str, taken: Collection[str | None]) -> str:
    if slug not in taken:
        return slug
    numbered = (f"{slug[: MAX_KEY - len(end)]}{end}" for end in (f"-{count}" for count in range(2, len(taken) + 3)))
    return next(key for key in numbered if key not in taken)


def _shown(text: str) -> str:
    """Return a text on one line, fit for a comment, without what looks like a secret."""
    one_line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return str(redacted(one_line))


def _text(pulled: Pulled) -> str:
    """Return the text of a file: the declaration, and above it what whoever applies it has to know."""
    assert pulled.destination is not None
    lines = [f"Pulled from PostHog: {pulled.name} ({pulled.id})."]
    if pulled.variables:
        lines += ["To be set before it is applied:", *(f"  {variable}" for variable in pulled.variables)]
    lines += [f"Note: {note}." for note in pulled.notes]
    return "".join(f"# {line}\n" for line in lines) + yaml_of([pulled.destination])


def _write(data: bytes, path: Path, *, overwrite: bool) -> bool:
    """Write a file in one step; return False when one is there that must stay."""
    if overwrite:
        write_file(data, path)
        return True
    if os.path.lexists(path):
        return False
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_file(data, part)
        # unlike a rename, a link never replaces what another process has written meanwhile
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError:
        if os.path.lexists(path) or not part.exists():
            raise
        part.replace(path)  # a file system without links
    finally:
        part.unlink(missing_ok=True)
    return True
