"""Takes secrets, and what is about persons, out of recorded requests and replies; pure.

Everything keeps its place and shape: the same value gets the same stand-in wherever it occurs, so joins, filters, and
later requests that repeat what an earlier reply held, stay equal. JSON is walked by its structure, JSON text inside
strings too, and rows of query results by their columns; anything else is searched for what looks like a secret.

What identifies a person (a distinct id, an address, a name) is remembered and also replaced where nothing around it
says what it is: in a query's values, a path, an error message. So go over everything twice, and keep the second result.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from posthog_events.posthog.personal import is_personal, is_secret
from posthog_events.posthog.scrub_json import About, Documents
from posthog_events.posthog.scrub_text import Texts
from posthog_events.posthog.standins import StandIns

__all__ = ["Exchange", "Scrubber", "header"]

_ADDRESSES = frozenset({"location", "content-location", "referer"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its reply; header names map to their values, bodies are decompressed."""

    method: str
    url: str
    headers: Mapping[str, Sequence[str]]
    body: bytes
    status: int
    reason: str
    reply_headers: Mapping[str, Sequence[str]]
    reply: bytes


class Scrubber:
    """Replaces secrets, and what is about persons, by stand-ins.

    Args:
        salt: See `StandIns`.
        personal: False replaces secrets only.
        secrets: Values that are secrets wherever they occur.
    """

    def __init__(self, salt: bytes, *, personal: bool = True, secrets: Iterable[str] = ()) -> None:
        self._texts = Texts(StandIns(salt), personal=personal, secrets=secrets)
        self._documents = Documents(self._texts)

    @property
    def secrets(self) -> frozenset[str]:
        """The secrets that were given and found."""
        return frozenset(self._texts.secrets)

    def exchange(self, exchange: Exchange) -> Exchange:
        """Return a request and its reply without secrets and personal data."""
        parts = urlsplit(exchange.url)
        values_of = dict(parse_qsl(parts.query)).get("key", "") if parts.path.endswith("/values/") else ""
        personal = self._texts.personal and is_personal(values_of)
        return replace(
            exchange,
            url=self.url(exchange.url),
            headers=self.headers(exchange.headers),
            body=self.body(exchange.body, header(exchange.headers, "content-type")),
            reply_headers=self.headers(exchange.reply_headers),
            reply=self.body(
                exchange.reply,
                header(exchange.reply_headers, "content-type"),
                about=About.IDENTITY if personal else About.NOTHING,
            ),
        )

    def headers(self, headers: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Return headers; those that hold a secret keep the scheme in front of it."""
        return {name: [self._header(name.lower(), value) for value in values] for name, values in headers.items()}

    def url(self, url: str) -> str:
        """Return an address."""
        return self._documents.url(url)

    def text(self, text: str) -> str:
        """Return a sentence, or any other text that is no document."""
        return self._texts.text(text)

    def value(self, value: Any, name: str = "") -> Any:
        """Return a JSON value that stands under `name`."""
        return self._documents.value(value, name)

    def body(self, body: bytes, kind: str = "", *, about: About = About.NOTHING) -> bytes:
        """Return a body: JSON, JSON Lines, CSV, form, Parquet, any of them in gzip, or text of any kind.

        Args:
            kind: Its Content-Type.
            about: How sure it is that the texts in it are about persons.
        """
        if body[:2] == b"\x1f\x8b":
            try:
                inside = gzip.decompress(body)
            except (OSError, EOFError, zlib.error):
                return self._bytes(body)
            new = self.body(inside, kind, about=about)
            return body if new == inside else gzip.compress(new, mtime=0)
        if body[:4] == b"PAR1" == body[-4:]:
            from posthog_events.posthog.scrub_parquet import scrub_parquet

            return scrub_parquet(body, self._documents.column) or self._bytes(body)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return self._bytes(body)
        new_text = self._document(text, kind, about)
        return body if new_text == text else new_text.encode("utf-8", "backslashreplace")

    def _header(self, name: str, value: str) -> str:
        if name in _ADDRESSES:
            return self.url(value)
        if not is_secret(name):
            return self.text(value)
        scheme, _, rest = value.partition(" ")
        secret = self._texts.secret
        return f"{scheme} {secret(rest)}" if rest and scheme.lower() in ("bearer", "basic") else secret(value)

    def _bytes(self, body: bytes) -> bytes:
        return self.text(body.decode("latin-1")).encode("latin-1", "replace")

    def _document(self, text: str, kind: str, about: About) -> str:
        documents = self._documents
        whole = documents.json(text, about=about)
        if whole is not None:
            return whole
        if text.startswith("{"):
            lines = [documents.json(line, about=about) for line in text.splitlines()]
            if len(lines) > 1 and None not in lines:
                return "".join(f"{line}\n" for line in lines)
        if "csv" in kind:
            return self._csv(text)
        if "x-www-form-urlencoded" in kind:
            given = parse_qsl(text, keep_blank_values=True)
            new = documents.parameters(given)
            return text if new == given else urlencode(new)
        return self.text(text)

    def _csv(self, text: str) -> str:
        try:
            head, *rows = csv.reader(io.StringIO(text, newline=""))
        except (csv.Error, ValueError):
            return self.text(text)
        scrub = [self._documents.column(name) for name in head]
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow(head)
        for row in rows:
            known = [column(cell) for column, cell in zip(scrub, row, strict=False)]
            writer.writerow(known + [self.text(cell) for cell in row[len(scrub) :]])
        return out.getvalue()


def header(headers: Mapping[str, Sequence[str]], name: str) -> str:
    """Return the first value of a header, in lower case; empty when there is none."""
    return next((values[0].lower() for key, values in headers.items() if key.lower() == name and values), "")
