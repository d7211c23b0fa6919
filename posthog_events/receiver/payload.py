"""The event in the body of a delivery."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, overload

from posthog_events.errors import DeliveryRejected
from posthog_events.receiver.json_body import decode_body
from posthog_events.receiver.shape import DEFAULT, Path, Shape, at, without
from posthog_events.receiver.verify import MAX_BODY_BYTES

__all__ = ["MAX_TEXT", "Person", "ReceivedEvent", "parse_payload"]

MAX_TEXT: Final = 1_000
"""Code points of a name, an id or a uuid; PostHog's own columns hold 400 and less."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)
_PERSON_PARTS = (("id", str), ("name", str), ("url", str), ("properties", dict))
_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Person:
    """Who did it, as PostHog knew them when the event was processed.

    Args:
        name: What PostHog calls them: email, name or username, or else the distinct id.
        url: Of their page in PostHog.
    """

    id: str | None
    name: str | None = field(repr=False)
    url: str | None = field(repr=False)
    properties: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event, whatever the body was that brought it.

    Args:
        uuid: Of the event, in lower case; what repeated deliveries have in common.
        timestamp: When it happened, in UTC. A time without a zone is taken as UTC.
        url: Of its page in PostHog.
        person: None for an event without one, and for bodies that do not say.
        groups: By the name of the group type.
        project: `id`, `name` and `url`, where the body has them.
        source: `name` and `url` of the destination, where the body has them.
        raw: The whole body.
        taken: Where in the body the parts above are.
    """

    name: str
    uuid: str | None
    distinct_id: str | None
    properties: Mapping[str, Any] = field(repr=False)
    timestamp: datetime | None
    url: str | None
    person: Person | None = field(repr=False)
    groups: Mapping[str, Any] = field(repr=False)
    project: Mapping[str, Any] | None = field(repr=False)
    source: Mapping[str, Any] | None = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)
    taken: Sequence[Path] = field(repr=False)

    @property
    def extra(self) -> Mapping[str, Any]:
        """The body without the parts: what is not known here is still there, where it was."""
        return without(self.raw, self.taken)


@overload
def parse_payload(body: bytes, *, shape: Shape = DEFAULT, max_bytes: int = MAX_BODY_BYTES) -> ReceivedEvent: ...
@overload
def parse_payload(body: bytes, *, shape: None, max_bytes: int = MAX_BODY_BYTES) -> None: ...
@overload
def parse_payload(body: bytes, *, shape: Shape | None, max_bytes: int = MAX_BODY_BYTES) -> ReceivedEvent | None: ...
def parse_payload(
    body: bytes, *, shape: Shape | None = DEFAULT, max_bytes: int = MAX_BODY_BYTES
) -> ReceivedEvent | None:
    """Return the event in a body.

    The name must be there. A uuid, distinct id, timestamp or properties of another type than theirs are refused; of
    the other parts, what is not of its type stays in `extra`.

    Args:
        shape: Where the parts are. None is for bodies that hold no event, such as a text for Slack: any is taken, and
            None is returned.

    Raises:
        DeliveryRejected: `too_large` (413), what `decode_body` refuses, `not_an_event`, `no_event_name`, or
            `bad_field`, where the reason names the path (400).
    """
    if len(body) > max_bytes:
        raise DeliveryRejected(f"the body has more than {max_bytes:,} bytes", status=413, code="too_large")
    if shape is None:
        return None
    document = decode_body(body)
    if not isinstance(document, dict):
        raise _rejected("not_an_event", f"the body is {_kind(document)}, not an object with an event")
    return _Reader(document, shape).event()


class _Reader:
    """Reads one document, and remembers what it has read."""

    def __init__(self, document: dict[str, Any], shape: Shape) -> None:
        self._document, self._shape, self._paths = document, shape, shape.paths
        self._root = _root(document, shape)
        self._inner: dict[str, Any] = at(document, self._root)
        self._taken: list[Path] = []

    def event(self) -> ReceivedEvent:
        name = self._text("name")
        if name is None:
            raise _no_name(self._shape)
        return ReceivedEvent(
            name=name,
            uuid=_canonical(self._text("uuid")),
            distinct_id=self._text("distinct_id", number=True),
            properties=self._properties(),
            timestamp=self._moment(),
            url=self._optional("url", str),
            person=self._person(),
            groups=self._optional("groups", dict) or {},
            project=self._optional("project", dict),
            source=self._optional("source", dict),
            raw=self._document,
            taken=tuple(self._taken),
        )

    def _find(self, part: str) -> tuple[Path, Any]:
        """Return path and value of a part; None for neither."""
        for path in self._paths[part]:
            value: Any = self._inner
            # `at`, without the call: this is done a dozen times for each delivery
            for key in path:
                value = value.get(key) if type(value) is dict else None
            if value is not None:
                return path, value
        return (), None

    def _take(self, *path: str) -> None:
        self._taken.append((*self._root, *path) if self._root else path)

    def _text(self, part: str, *, number: bool = False) -> str | None:
        path, value = self._find(part)
        if value is None:
            return None
        if number and type(value) is int:
            value = str(value)
        if not isinstance(value, str):
            raise _bad(path, f"{_kind(value)}, not a text")
        if not value or len(value) > MAX_TEXT or "\0" in value:
            raise _bad(path, f"empty, longer than {MAX_TEXT:,} characters, or has a NUL in it")
        self._take(*path)
        return value

    def _properties(self) -> dict[str, Any]:
        path, value = self._find("properties")
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _bad(path, f"{_kind(value)}, not an object")
        self._take(*path)
        return value

    def _moment(self) -> datetime | None:
        path, value = self._find("timestamp")
        if value is None:
            return None
        moment = _parse_moment(value) if isinstance(value, str) else None
        if moment is None:
            raise _bad(path, "not a time such as 2026-08-20T10:15:30.123Z")
        self._take(*path)
        return moment

    def _optional(self, part: str, kind: type) -> Any:
        path, value = self._find(part)
        if not isinstance(value, kind):
            return None
        self._take(*path)
        return value

    def _person(self) -> Person | None:
        path, value = self._find("person")
        if not isinstance(value, dict):
            return None
        known = {part: value[part] for part, kind in _PERSON_PARTS if isinstance(value.get(part), kind)}
        if not known:
            return None
        for part in known:
            self._take(*path, part)
        return Person(known.get("id"), known.get("name"), known.get("url"), known.get("properties", {}))


def _root(document: dict[str, Any], shape: Shape) -> Path:
    """Return the path of the object that the event's parts are in."""
    if shape.root is not None:
        (path,) = shape.paths["root"]
        if not isinstance(at(document, path), dict):
            raise _rejected("not_an_event", f"{shape.root} in the body is not an object")
        return path
    names = shape.paths["name"]
    if _named(document, names):
        return ()
    inside = [key for key, value in document.items() if _named(value, names)]
    if len(inside) > 1:
        raise _rejected("not_an_event", f"{len(inside)} objects in the body have the name of an event; give the root")
    if not inside:
        raise _no_name(shape)
    return (inside[0],)


def _named(value: Any, names: Sequence[Path]) -> bool:
    for path in names:  # noqa: SIM110 - `any` would make a generator
        if isinstance(at(value, path), str):
            return True
    return False


def _canonical(uuid: str | None) -> str | None:
    return uuid.lower() if uuid is not None and _UUID.fullmatch(uuid) else uuid


def _parse_moment(text: str) -> datetime | None:
    if not _MOMENT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")


def _no_name(shape: Shape) -> DeliveryRejected:
    tried = " or ".join(".".join(path) for path in shape.paths["name"])
    return _rejected("no_event_name", f"the body names no event: there is no text at {tried}")


def _bad(path: Path, why: str) -> DeliveryRejected:
    return _rejected("bad_field", f"{'.'.join(path)} in the body is {why}")


def _rejected(code: str, reason: str) -> DeliveryRejected:
    return DeliveryRejected(reason, status=400, code=code)
