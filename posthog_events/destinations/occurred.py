"""One event that happened, as the templates of a destination see it: from a file, or from the project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posthog_events.destinations.simulate.scope import Row, ScopeBuilder
from posthog_events.destinations.simulate.sources import COLUMNS
from posthog_events.errors import ConfigError, Fault, ParameterError
from posthog_events.posthog.events import get_event

if TYPE_CHECKING:
    from posthog_events.destinations.surroundings import Surroundings
    from posthog_events.posthog.http import Api

__all__ = ["globals_of_file", "globals_of_uuid"]


def globals_of_uuid(api: Api, uuid: str, around: Surroundings) -> dict[str, Any]:
    """Return the globals of an event of the project, with its person as it is now.

    Raises:
        ParameterError: `uuid` is not one.
        NotFound: There is no such event.
    """
    event = get_event(api, uuid).row(0, named=True)
    person = json.loads(event["person"] or "{}") or {}
    known = json.dumps(person["properties"]) if person.get("properties") is not None else None
    return _globals(
        (
            event["uuid"],
            event["event"],
            _time(event["timestamp"]),
            event["distinct_id"],
            event["properties"],
            event["elements_chain"] or None,
            person.get("id") or person.get("uuid"),
            known,
        ),
        around,
    )


def globals_of_file(path: Path, around: Surroundings) -> dict[str, Any]:
    """Return the globals that a JSON file holds, or those of the one event in a file.

    A file of globals is `{"event": {"event": ..., "properties": ...}, "person": ..., "groups": ...}`; an event is what
    `simulate --events` takes.

    Raises:
        ConfigError: The file cannot be read.
        ImportFailed: It holds no event.
        ParameterError: It holds several.
    """
    from posthog_events.destinations.simulate.files import events_of_file

    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ValueError:
        document = None  # JSON Lines, CSV, Parquet
    if isinstance(document, dict) and isinstance(document.get("event"), dict):
        return {name: document[name] for name in ("event", "person", "groups") if name in document}
    with events_of_file(path) as events:
        since, until = events.range(None, None)
        rows = [row for frame in events.frames(since, until, None) for row in frame.select(COLUMNS).iter_rows()]
    if len(rows) != 1:
        raise ParameterError([Fault(f"{path} holds {len(rows):,} events, and a test is of one")])
    uuid, name, at, user, properties, chain, person, known = rows[0]
    return _globals((uuid, name, _time(at), user, properties, chain, person, known), around)


def _globals(row: Row, around: Surroundings) -> dict[str, Any]:
    types: Mapping[str, int] = around.group_types or {}

    def group(kind: str, key: str) -> Mapping[str, Any] | None:
        return {"index": types[kind], "properties": {}} if kind in types else None

    builder = ScopeBuilder(around.project, group, around.display_names)
    seen = builder.for_templates(row, builder.for_filters(row))
    return {name: seen[name] for name in ("event", "person", "groups")}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
