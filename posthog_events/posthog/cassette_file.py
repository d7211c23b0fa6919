"""The file of a recording: YAML that people can read, in vcrpy's format, with a label that says what was recorded."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from posthog_events.errors import ConfigError
from posthog_events.posthog.host import origin_of
from posthog_events.posthog.scrub import Exchange
from posthog_events.version import __version__

__all__ = ["ORIGIN", "Recorded", "check_target", "moved", "neutral", "read_recording", "write_recording"]

ORIGIN: Final = "https://posthog.invalid"
"""PostHog's address in a recording, in place of that of a region, a company's host or a port of this machine."""

FIRST_LINE: Final = "# A recording by posthog-events"
FORMAT: Final = 1
_PROJECT = re.compile(r"/api/projects/(\d+)/")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The label of a recording.

    Args:
        against: What answered: `emulator`, or a region or host of PostHog.
        at: When, in ISO 8601.
        version: Of this package.
        scrubbed: What was about persons is replaced by stand-ins.
        project: The first project that was asked; None when there was none.
    """

    against: str
    at: str
    version: str
    scrubbed: bool
    project: int | None

    @classmethod
    def of(cls, label: str, exchanges: Sequence[Exchange], *, scrubbed: bool, at: datetime) -> Recorded:
        """Return the label of what was recorded now."""
        found = (_PROJECT.search(urlsplit(exchange.url).path) for exchange in exchanges)
        project = next((int(one[1]) for one in found if one), None)
        return cls(label, at.isoformat(timespec="seconds"), __version__, scrubbed, project)


def check_target(path: Path) -> None:
    """Refuse, before anything is sent, a file that cannot be written, or that is not a recording but something else.

    Raises:
        ConfigError: It is one.
    """
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"the recording cannot be written to {path}: its folder is missing or cannot be written to")
    if path.exists() and path.stat().st_size and not _text(path).startswith(FIRST_LINE):
        raise ConfigError(f"{path} is not a recording, and will not be overwritten; choose another file")


def write_recording(path: Path, exchanges: Sequence[Exchange], recorded: Recorded) -> None:
    """Write the file, whole or not at all; only its owner can read it.

    Raises:
        ConfigError: It cannot be written.
    """
    from vcr.serializers import yamlserializer

    document = {
        "version": FORMAT,
        "recorded": asdict(recorded),
        "interactions": [_interaction(exchange) for exchange in exchanges],
    }
    text = f"{FIRST_LINE}, against: {recorded.against}\n{yamlserializer.serialize(document)}"
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise ConfigError(f"the recording could not be written to {path}: {exc.strerror}") from exc


def read_recording(path: Path) -> tuple[Recorded, list[Exchange]]:
    """Return what a file holds.

    Raises:
        ConfigError: It is missing, damaged, or no recording.
    """
    import yaml  # type: ignore[import-untyped]
    from vcr.serializers import yamlserializer

    text = _text(path)
    if not text.startswith(FIRST_LINE):
        raise ConfigError(f"{path} is not a recording by posthog-events; make one with --record")
    try:
        document = yamlserializer.deserialize(text)
        label = document["recorded"]
        recorded = Recorded(
            str(label["against"]), str(label["at"]), str(label["version"]), bool(label["scrubbed"]), label["project"]
        )
        newer = document["version"] != FORMAT
        exchanges = [] if newer else [_exchange(item) for item in document["interactions"]]
    except (yaml.YAMLError, ValueError, TypeError, KeyError, IndexError, AttributeError) as exc:
        raise ConfigError(f"the recording {path} is damaged; make it again") from exc
    if newer:
        raise ConfigError(f"the recording {path} is of another version of posthog-events ({recorded.version})")
    return recorded, exchanges


def neutral(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Put `ORIGIN` in place of PostHog's own address: where the first request to its API went."""
    asked = [exchange for exchange in exchanges if urlsplit(exchange.url).path.startswith("/api/")] or exchanges
    if not asked:
        return []
    home = origin_of(asked[0].url)
    return [
        replace(
            exchange,
            url=moved(exchange.url, home, ORIGIN),
            body=_moved_body(exchange.body, home, ORIGIN),
            reply_headers=moved_headers(exchange.reply_headers, home, ORIGIN),
            reply=_moved_body(exchange.reply, home, ORIGIN),
        )
        for exchange in exchanges
    ]


def at_home(exchange: Exchange, origin: str) -> Exchange:
    """Return a recorded exchange whose reply leads to where PostHog is for this client."""
    return replace(
        exchange,
        reply_headers=moved_headers(exchange.reply_headers, ORIGIN, origin),
        reply=_moved_body(exchange.reply, ORIGIN, origin),
    )


def moved(text: str, old: str, new: str) -> str:
    """Return text with one origin in place of another, in parameters too."""
    if not old:
        return text
    for form in (str, lambda origin: quote(origin, safe="")):
        # not the beginning of a longer name or port
        text = re.sub(rf"{re.escape(form(old))}(?![\w:-]|\.\w)", form(new), text)
    return text


def moved_headers(headers: Mapping[str, Sequence[str]], old: str, new: str) -> dict[str, list[str]]:
    """Return headers with one origin in place of another."""
    return {name: [moved(value, old, new) for value in values] for name, values in headers.items()}


def _moved_body(body: bytes, old: str, new: str) -> bytes:
    try:
        return moved(body.decode(), old, new).encode()
    except UnicodeDecodeError:
        return body


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise ConfigError(f"there is no recording at {path}") from exc
    except OSError as exc:
        raise ConfigError(f"the recording {path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError:
        return ""


def _interaction(exchange: Exchange) -> dict[str, Any]:
    """Return an exchange as vcrpy writes it; bodies are text where they can be."""
    return {
        "request": {
            "method": exchange.method,
            "uri": exchange.url,
            "body": _shown(exchange.body),
            "headers": {name: list(values) for name, values in exchange.headers.items()},
        },
        "response": {
            "status": {"code": exchange.status, "message": exchange.reason},
            "headers": {name: list(values) for name, values in exchange.reply_headers.items()},
            "body": {"string": _shown(exchange.reply)},
        },
    }


def _exchange(item: Mapping[str, Any]) -> Exchange:
    request, response = item["request"], item["response"]
    return Exchange(
        str(request["method"]),
        str(request["uri"]),
        dict(request["headers"]),
        _raw(request["body"]),
        int(response["status"]["code"]),
        str(response["status"]["message"]),
        {str(name): [str(value) for value in values] for name, values in response["headers"].items()},
        _raw(response["body"]["string"]),
    )


def _shown(body: bytes) -> str | bytes:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _raw(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)
