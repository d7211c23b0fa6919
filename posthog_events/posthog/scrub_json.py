"""JSON documents of PostHog's API, walked by their structure: fields, results by column, queries, addresses; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from posthog_events.hogql.tokens import Kind
from posthog_events.posthog.personal import is_person, is_personal, is_secret
from posthog_events.posthog.scrub_query import query_parts
from posthog_events.posthog.scrub_text import Texts
from posthog_events.posthog.standins import IPV4

__all__ = ["About", "Documents"]

_PERSON_DOCUMENTS = frozenset({"$set", "$set_once", "person_properties", "person.properties"})
_QUERY_TEXTS = frozenset({"hogql", "hogql_query", "clickhouse"})
_STRUCTURE = frozenset({"kind", "type", "status", "refresh", "operator", "code"})
_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)


class About(IntEnum):
    """How sure it is that a value is about a person."""

    NOTHING = 0
    PERSON = 1  # a property of one: text is replaced; numbers without a telling name say little
    IDENTITY = 2  # it names one: replaced whatever it is, and remembered


class Documents:
    """Replaces values of documents.

    Args:
        texts: What to do with texts.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._aliases: frozenset[str] = frozenset()
        self._secret_inputs: frozenset[str] = frozenset()

    def json(self, text: str, name: str = "", about: About = About.NOTHING) -> str | None:
        """Return JSON text with its document replaced; None when it is no JSON, or nested too deeply to be walked."""
        repeated = False

        def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
            nonlocal repeated
            document = dict(items)
            repeated = repeated or len(document) < len(items)
            return document

        try:
            document = json.loads(text, object_pairs_hook=pairs)
            new = self.value(document, name, about)
            # written anew when a name came twice: what its first value held is not in the document
            return json.dumps(new, ensure_ascii=False, separators=(",", ":")) if new != document or repeated else text
        except (ValueError, RecursionError):
            return None

    def value(self, value: Any, name: str = "", about: About = About.NOTHING) -> Any:
        """Return a JSON value that stands under `name`."""
        if self._texts.personal and is_personal(name):
            about = About.IDENTITY
        match value:
            case str():
                return self._text(value, name, about)
            case bool() | None:
                return value
            case int() | float():
                return self._texts.standins.number(value) if about is About.IDENTITY else value
            case list():
                return [self.value(item, name, about) for item in value]
            case dict():
                return self._object(value, name, about)
            case _:
                return value

    def column(self, name: str, *, people: bool = False) -> Callable[[Any], Any]:
        """Return what replaces the values of a column of rows.

        Args:
            name: An alias, or the expression itself.
            people: The rows are persons, so that `properties` are all about them.
        """
        about = About.NOTHING
        if self._texts.personal:
            parts = query_parts(f"SELECT {name} AS it", self._aliases, people=people)
            if is_personal(name.rpartition(".")[2]):
                about = About.IDENTITY
            elif name.lower() in self._aliases or "it" in parts.columns:
                about = About.PERSON
        return lambda value: self.value(value, "", about)

    def url(self, url: str) -> str:
        """Return an address; the parts of its path and its parameters are looked at one by one."""
        try:
            parts = urlsplit(url)
            given = parse_qsl(parts.query, keep_blank_values=True)
        except ValueError:
            return self._texts.text(url)
        query = self.parameters(given)
        segments = [unquote(segment) for segment in parts.path.split("/")]
        path = [self._texts.whole(segment) or self._texts.text(segment) for segment in segments]
        return parts._replace(
            netloc=parts.netloc.rpartition("@")[2],
            path=parts.path if path == segments else "/".join(quote(segment, safe="@:+,;=~") for segment in path),
            query=parts.query if query == given else urlencode(query),
            fragment=self._texts.text(parts.fragment),
        ).geturl()

    def parameters(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return parameters; `value=` is personal when `key=` names something that is."""
        personal = self._texts.personal and any(name == "key" and is_personal(value) for name, value in pairs)
        return [
            (name, self.value(value, name, About.IDENTITY if personal and name == "value" else About.NOTHING))
            for name, value in pairs
        ]

    def _text(self, value: str, name: str, about: About) -> str:
        texts = self._texts
        if is_secret(name):
            return texts.secret(value)
        if value[:1] in ("{", "[") and value[-1:] in ("}", "]"):
            inside = self.json(value, name, about)
            if inside is not None:
                return inside
        if about is About.IDENTITY:
            return texts.identity(value)
        if about is About.PERSON:
            return texts.standins.text(value)
        if name in _STRUCTURE:
            return texts.patterns(value)
        if name.lower().endswith("version") and IPV4.fullmatch(value):
            return value  # it only looks like an address
        if (new := texts.whole(value)) is not None:
            return new
        return self.url(value) if _ADDRESS.fullmatch(value) else texts.text(value)

    def _object(self, value: dict[str, Any], name: str, about: About) -> dict[str, Any]:
        results, columns, query = value.get("results"), value.get("columns"), value.get("query")
        if isinstance(value.get("inputs"), dict):
            self._learn_inputs(value["inputs"], value.get("inputs_schema"))
        if isinstance(results, list) and isinstance(columns, list) and all(isinstance(item, str) for item in columns):
            return self._answer(value, results, columns)
        if isinstance(query, str) and (value.get("kind") == "HogQLQuery" or "values" in value):
            return self._query(value, query)
        if self._texts.personal and "key" in value and "value" in value and about is About.NOTHING:
            return self._filter(value)
        person = is_person(value)
        return {
            self._texts.text(key): self._field(key, item, about, person=person or name == "person")
            for key, item in value.items()
        }

    def _field(self, key: str, item: Any, about: About, *, person: bool = False) -> Any:
        if self._texts.personal:
            if key == "name" and (person or about is not About.NOTHING):
                about = About.IDENTITY
            elif key in _PERSON_DOCUMENTS or (key == "properties" and person):
                about = max(about, About.PERSON)
        if key in _QUERY_TEXTS and isinstance(item, str):
            return self._query_text(item)
        if key == "inputs" and isinstance(item, dict):
            return {self._texts.text(name): self._input(name, given, about) for name, given in item.items()}
        return self.value(item, key, about)

    def _learn_inputs(self, inputs: dict[str, Any], schema: Any) -> None:
        """Remember which inputs of a destination are secret: by their schema, or by how PostHog shows them."""
        items = [item for item in schema if isinstance(item, dict)] if isinstance(schema, list) else []
        marked = {str(item.get("key")) for item in items if item.get("secret") is True}
        shown = {name for name, item in inputs.items() if isinstance(item, dict) and item.get("secret") is True}
        self._secret_inputs |= marked | shown

    def _input(self, name: str, given: Any, about: About) -> Any:
        """An input of a destination: `{"value": "whsec_..."}`. What is secret in one is not shown of any other."""
        if isinstance(given, dict) and (name in self._secret_inputs or is_secret(name)):
            return {key: self._hidden(item) if key == "value" else item for key, item in given.items()}
        return self.value(given, name, about)

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._hidden(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._hidden(item) for item in value]
        return self._texts.secret(value) if isinstance(value, str) else value

    def _filter(self, value: dict[str, Any]) -> dict[str, Any]:
        """A property filter: `{"key": "email", "operator": "exact", "value": ["ann@example.com"]}`."""
        about = About.PERSON if value.get("type") == "person" else About.NOTHING
        if isinstance(value["key"], str) and is_personal(value["key"]):
            about = About.IDENTITY
        return {key: self.value(item, key, about if key == "value" else About.NOTHING) for key, item in value.items()}

    def _query(self, value: dict[str, Any], text: str) -> dict[str, Any]:
        """A HogQL query with its values."""
        self._learn(text)
        new = {key: self.value(item, key) for key, item in value.items()} | {"query": self._query_text(text)}
        values = value.get("values")
        if self._texts.personal and isinstance(values, dict):
            personal = query_parts(text, self._aliases).placeholders
            new["values"] = {
                key: self.value(item, key, About.IDENTITY if key in personal else About.NOTHING)
                for key, item in values.items()
            }
        return new

    def _learn(self, text: str) -> bool:
        """Remember what personal columns of a query are called, and return whether it reads persons."""
        parts = query_parts(text, self._aliases)
        self._aliases |= parts.columns
        return parts.people

    def _query_text(self, text: str) -> str:
        """Replace string literals one by one, and around them only what looks like a secret or an address."""
        texts = self._texts
        parts = query_parts(text, self._aliases)
        pieces, end = [], 0
        for token in parts.tokens:
            if token.kind is Kind.STRING:
                inside = token.text[1:-1]
                personal = texts.personal and token.start in parts.literals
                new = texts.identity(inside) if personal else self.value(inside)
                pieces += [texts.patterns(text[end : token.start]), f"'{new}'"]
                end = token.end
        return "".join(pieces) + texts.patterns(text[end:])

    def _answer(self, value: dict[str, Any], results: list[Any], columns: list[str]) -> dict[str, Any]:
        """The answer of a query: rows by their columns, whose names may be expressions with literals."""
        people = self._learn(value["hogql"]) if isinstance(value.get("hogql"), str) else False
        new = {key: self._field(key, item, About.NOTHING) for key, item in value.items() if key != "results"}
        new["columns"] = [self._query_text(column) for column in columns]
        if isinstance(value.get("types"), list):
            new["types"] = [self._type(item) for item in value["types"]]
        scrub = [self.column(column, people=people) for column in columns]
        new["results"] = [
            [column(cell) for column, cell in zip(scrub, row, strict=True)]
            if isinstance(row, list) and len(row) == len(columns)
            else self.value(row)
            for row in results
        ]
        return {key: new[key] for key in value}

    def _type(self, item: Any) -> Any:
        """A column's name and type; the name as in `columns`."""
        named = isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)
        return [self._query_text(item[0]), item[1]] if named else item
