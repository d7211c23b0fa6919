"""Filters as a HogQL expression over the events table that gives exactly the evaluator's answer.

PostHog's queries and its destinations read a property differently: a query takes it as text of one declared type, the
virtual machine of destinations sees the JSON value. So the expression looks at the JSON of the value itself
(`JSONExtractRaw`), whose first character tells its type, and treats each type as the evaluator does (`hog/operators`).
What SQL cannot decide alike (text that may be a number to JavaScript, letters beyond ASCII where case does not count,
lists as text, ...) makes the event *unsure*: a second expression finds these events, and the evaluator decides them.

Known difference: a key that stands twice in one JSON object. Here the first counts, to the evaluator the last; PostHog
stores no such object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from posthog_events.errors import HogError
from posthog_events.hog.filters import Verdict
from posthog_events.hog.operators import Test, operator_test
from posthog_events.hog.properties import complete
from posthog_events.hog.values import number
from posthog_events.hogql.guard import parse_cost_ms
from posthog_events.hogql.tokens import tokenize
from posthog_events.result import Value

__all__ = ["Pushdown", "event_names", "necessary", "pushed_down"]

_EXACT = 2**53
"""Below it every whole number is exact in a double."""

MAX_PARSE_MS: Final = 5_000
"""Filters that would take longer to parse are left to the evaluator; `hogql/guard` lets twice as much pass."""

_MATCHED: Final = Verdict("matched", "")
_PRINTABLE = re.compile(r"[ -~]*")
# what RE2 and Python read alike, on printable ASCII: no classes, counts, groups with `?`, and only harmless escapes
_PLAIN_PATTERN = re.compile(
    r"(?:\(\?i\))?(?:[A-Za-z0-9 @_:/,;=%&#!'<>~^$|).*+-]|\((?!\?)|\\[dws.+*?()|^$/-]|(?<![(])\?)+"
)
_FIELDS = ("event", "distinct_id")


@dataclass(frozen=True, slots=True)
class Pushdown:
    """Filters as HogQL.

    Args:
        matches: Whether the event triggers the destination; right for events that are not unsure.
        unsure: Whether only the evaluator can tell.
        verdict: The place in `verdicts` of what becomes of the event; right for events that are not unsure.
        verdicts: What the evaluator's `matches` would return.
        possible: Whether the event may match: never false for one that does.
        values: What the `{placeholders}` of all these are bound to.
    """

    matches: str
    unsure: str
    verdict: str
    verdicts: tuple[Verdict, ...]
    possible: str
    values: Mapping[str, Value]

    @property
    def exact(self) -> bool:
        """Whether the query alone decides every event."""
        return self.unsure == "false"


def event_names(filters: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the names of which an event must have one to match; None when any name will do."""
    events = filters.get("events") or ()
    if not events or filters.get("actions") or filters.get("source", "events") not in ("events", "internal-events"):
        return None
    ids = [entry.get("id", ...) for entry in events]
    return None if None in ids else frozenset(one for one in ids if isinstance(one, str))


def necessary(
    filters: Mapping[str, Any],
    *,
    test_account_filters: Sequence[Any] = (),
    boolean_properties: Collection[tuple[str, str]] = (),
) -> tuple[str, Mapping[str, Value]]:
    """Return a HogQL condition that every matching event fulfils, and its values."""
    found = pushed_down(filters, test_account_filters=test_account_filters, boolean_properties=boolean_properties)
    return found.possible, found.values


def pushed_down(
    filters: Mapping[str, Any],
    *,
    test_account_filters: Sequence[Any] = (),
    boolean_properties: Collection[tuple[str, str]] = (),
    saved_at: datetime | None = None,
) -> Pushdown:
    """Return filters, which must compile, as HogQL.

    Args:
        filters: In PostHog's own JSON form.
        test_account_filters: The project's property items; used when `filter_test_accounts` is set.
        boolean_properties: As for `compile_filters`.
        saved_at: As for `compile_filters`.
    """
    build = _Builder(frozenset(boolean_properties), saved_at)
    return build.filters(filters, test_account_filters if filters.get("filter_test_accounts") else ())


@dataclass(frozen=True, slots=True)
class _Piece:
    """A condition: whether it holds, and whether only the evaluator can tell."""

    path: str
    holds: str
    unsure: str = "false"

    @property
    def possible(self) -> str:
        return _or(self.holds, self.unsure)


class _Undecided(Exception):  # caught within the module
    """The condition is left to the evaluator."""


class _Builder:
    def __init__(self, booleans: frozenset[tuple[str, str]], saved_at: datetime | None) -> None:
        self._booleans, self._saved_at = booleans, saved_at
        self._names: dict[tuple[type, str], str] = {}
        self.values: dict[str, Value] = {}

    def bind(self, value: Value) -> str:
        """Return the placeholder of a value."""
        # 1, 1.0 and True are one key to a dict
        name = self._names.setdefault((type(value), repr(value)), f"v{len(self._names)}")
        self.values[name] = value
        return f"{{{name}}}"

    # -- the whole ------------------------------------------------------------------------------------------------

    def filters(self, filters: Mapping[str, Any], tests: Sequence[Any]) -> Pushdown:
        events = filters.get("events") or []
        if filters.get("actions") or filters.get("source", "events") not in ("events", "internal-events"):
            return self._undecided("true")
        names = event_names(filters)
        fits = "true" if names is None else self._named(sorted(names))
        ids = [entry.get("id") for entry in events]
        if any(one is not None and not isinstance(one, str) for one in ids):
            return self._undecided(fits)
        nested = bool(events) and all(one == "$activity_log_entry_created" for one in ids)
        common = [self._property(item, f"test_accounts[{at}]") for at, item in enumerate(tests)]
        common += [
            self._property(item, f"properties[{at}]", nested=nested)
            for at, item in enumerate(filters.get("properties") or ())
        ]
        entries = [self._entry(entry, f"events[{at}]") for at, entry in enumerate(events)]
        no_entry = Verdict("rejected", "events" if events else "")
        unsure = _or(*(piece.unsure for piece in common), *(piece.unsure for _, found in entries for piece in found))
        matched = [(Verdict("matched", f"events[{at}]"), entry) for at, entry in enumerate(entries)]
        cases: list[tuple[str, Verdict]] = [] if names is None else [(_not(fits), no_entry)]
        cases += [(_not(piece.holds), Verdict("rejected", piece.path)) for piece in common]
        if events:
            cases += [(_and(name, *(piece.holds for piece in found)), verdict) for verdict, (name, found) in matched]
            # the first entry whose name fits says at which of its properties it failed
            cases += [
                (
                    _and(name, *(before.holds for before in found[:at]), _not(piece.holds)),
                    Verdict("rejected", piece.path),
                )
                for name, found in entries
                for at, piece in enumerate(found)
            ]
        any_entry = _or(*(_and(name, *(piece.holds for piece in found)) for name, found in entries))
        any_possible = _or(*(_and(name, *(piece.possible for piece in found)) for name, found in entries))
        verdict, verdicts = _choice(cases, no_entry if events else _MATCHED)
        found = Pushdown(
            matches=_and(fits, *(piece.holds for piece in common), any_entry if events else "true"),
            unsure=_and(fits, unsure),
            verdict=verdict,
            verdicts=verdicts,
            possible=_and(fits, *(piece.possible for piece in common), any_possible if events else "true"),
            values=self.values,
        )
        together = ", ".join((found.matches, found.unsure, found.verdict, found.possible))
        return found if parse_cost_ms(tokenize(together)) <= MAX_PARSE_MS else self._undecided(fits)

    def _undecided(self, fits: str) -> Pushdown:
        verdicts = (Verdict("rejected", "events"),)
        return Pushdown("false", fits, "0", verdicts, fits, self.values)

    def _named(self, names: Sequence[str]) -> str:
        return f"event IN {self.bind(list(names))}" if names else "false"

    def _entry(self, entry: Mapping[str, Any], path: str) -> tuple[str, list[_Piece]]:
        """Return the test of an entry's name, and its properties."""
        name = entry.get("id")
        fits = "true" if name is None or entry.get("type") != "events" else f"event = {self.bind(name)}"
        nested = name == "$activity_log_entry_created"
        return fits, [
            self._property(item, f"{path}.properties[{at}]", nested=nested)
            for at, item in enumerate(entry.get("properties") or ())
        ]

    # -- one property ---------------------------------------------------------------------------------------------

    def _property(self, item: Mapping[str, Any], path: str, *, nested: bool = False) -> _Piece:
        try:
            return self._piece(item, path, nested)
        except _Undecided:
            return _Piece(path, "false", "true")

    def _piece(self, item: Mapping[str, Any], path: str, nested: bool) -> _Piece:
        kind, key, value = item.get("type") or "event", item.get("key"), item.get("value")
        operator = item.get("operator") or "exact"
        if not complete(item) or not isinstance(key, str) or not _is_text(key):
            raise _Undecided
        is_boolean = (kind, key) in self._booleans
        try:
            test = operator_test(operator, value, is_boolean=is_boolean, saved_at=self._saved_at)
        except HogError as error:
            raise _Undecided from error
        if test.one or test.can_fail:
            raise _Undecided
        operand = self._operand(kind, key, nested)
        return _decided(path, operand, test, *_Operator(self, operand, test, operator, value, is_boolean).cases())

    def _operand(self, kind: str, key: str, nested: bool) -> _Operand:
        if kind == "event_metadata" and key in _FIELDS:
            return _Operand("", "", key)
        if kind in ("event", "feature") and key != "$elements_chain" and not (nested and "." in key):
            return _json_operand("properties", self.bind(key))
        if kind == "person" and key != "distinct_id":
            return _json_operand("person.properties", self.bind(key))
        raise _Undecided


@dataclass(frozen=True, slots=True)
class _Operand:
    """Where a value is found.

    Args:
        document: HogQL of the JSON that it stands in; empty when the value is a text of its own.
        raw: HogQL of its JSON, empty text when it is missing.
        text: HogQL of the value, where it is a text.
    """

    document: str
    raw: str
    text: str

    @property
    def figure(self) -> str:
        """HogQL of the value, where it is a number."""
        return f"JSONExtractFloat({self.raw})"

    def begins(self, char: str) -> str:
        return f"startsWith({self.raw}, '{char}')"


def _json_operand(document: str, key: str) -> _Operand:
    raw = f"JSONExtractRaw({document}, {key})"
    return _Operand(document, raw, f"JSONExtractString({raw})")


@dataclass(frozen=True, slots=True)
class _Case:
    """What a test says of the values of one type: whether it holds, and for which of them that is not known."""

    holds: str
    unsure: str = "false"


def _decided(path: str, operand: _Operand, test: Test, text: _Case, figure: _Case, composite: _Case) -> _Piece:
    """Join the cases of all types; those that have but a few values are asked of the test itself."""
    if not operand.document:
        return _Piece(path, text.holds, text.unsure)
    raw = operand.raw
    types = [
        (operand.begins('"'), text),
        (f"match({raw}, '^-?[0-9]')", figure),
        (f"({operand.begins('[')} OR {operand.begins('{')})", composite),
    ]
    few = [(f"{raw} IN ('', 'null')", None), (f"{raw} = 'true'", True), (f"{raw} = 'false'", False)]
    holds = [_and(is_type, case.holds) for is_type, case in types]
    holds += [is_value for is_value, value in few if test.run(value)]
    unsure = [_and(is_type, case.unsure) for is_type, case in types]
    # a document that ClickHouse cannot read looks like one without the key; whole numbers of more than 64 bits are
    # texts to some versions
    unsure.append(f"({raw} = '' AND {operand.document} != '' AND JSONType({operand.document}) != 'Object')")
    unsure.append(f"(length({raw}) > 20 AND match({raw}, '^\"-?[0-9]+\"$'))")
    return _Piece(path, _or(*holds), _or(*unsure))


@dataclass(frozen=True, slots=True)
class _Operator:
    """An operator with its value, as cases of the types of what it is applied to."""

    build: _Builder
    operand: _Operand
    test: Test
    name: str
    value: Any
    is_boolean: bool

    def cases(self) -> tuple[_Case, _Case, _Case]:
        """Return what it says of texts, of numbers, and of lists and objects."""
        value = self.value
        match self.name:
            case "is_set" | "is_not_set":
                always = self._always(0)
                return always, always, always
            case "icontains" | "not_icontains":
                return self._as_text(self._contains)
            case "regex" | "not_regex":
                return self._as_text(self._matches)
            case "between" | "not_between":
                return self._between(*value)
        if isinstance(value, list) and len(value) > 1 and self.name in ("exact", "is_not", "in", "not_in"):
            return self._member(value)
        if isinstance(value, list):
            if len(value) != 1:
                raise _Undecided
            value = value[0]
        if self.name in ("exact", "is_not"):
            return self._equal(value)
        signs = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "min": ">=", "max": "<="}
        if self.name not in signs:
            raise _Undecided
        figure = _Case(f"{self.operand.figure} {signs[self.name]} {self._figure(value)}")
        return self._no_number(), figure, _Case("false", "true")

    # -- numbers and equality -------------------------------------------------------------------------------------

    def _always(self, example: Any) -> _Case:
        """Return the case of a type all of whose values fare like `example`."""
        return _Case("true" if self.test.run(example) else "false")

    def _figure(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _EXACT:
            raise _Undecided
        return self.build.bind(value)

    def _no_number(self) -> _Case:
        """Return the case of texts against a number: sure for those that no rule of JavaScript makes a number of."""
        text = self.operand.text
        sure = f"match({text}, '[A-Za-z]') AND NOT match({text}, '[0-9]|Infinity')"
        return _Case(self._always("x").holds, f"NOT ({sure})")

    def _between(self, low: Any, high: Any) -> tuple[_Case, _Case, _Case]:
        inside = f"({self.operand.figure} >= {self._figure(low)} AND {self.operand.figure} <= {self._figure(high)})"
        figure = _Case(inside if self.name == "between" else f"NOT {inside}")
        return self._no_number(), figure, _Case("false", "true")

    def _equal(self, value: Any) -> tuple[_Case, _Case, _Case]:
        composite = self._always([])
        wanted = self.name == "exact"
        if isinstance(value, bool):
            value = "true" if value else "false"
        if self.is_boolean and value in ("true", "false"):
            is_true = f"{self.operand.text} = 'true'"
            same = f"{self.operand.figure} = {self.build.bind(int(value == 'true'))}"
            return _Case(_iff(is_true, wanted is (value == "true"))), _Case(_iff(same, wanted)), composite
        if not isinstance(value, str):
            return self._no_number(), _Case(_iff(f"{self.operand.figure} = {self._figure(value)}", wanted)), composite
        if not _is_text(value):
            raise _Undecided
        figure, known = number(value), _Case("false", "true")
        if figure != figure:
            known = self._always(1)
        elif abs(figure) < _EXACT:
            known = _Case(_iff(f"{self.operand.figure} = {self.build.bind(figure)}", wanted))
        return _Case(_iff(f"{self.operand.text} = {self.build.bind(value)}", wanted)), known, composite

    def _member(self, values: Sequence[Any]) -> tuple[_Case, _Case, _Case]:
        if any(value is None or (isinstance(value, str) and not _is_text(value)) for value in values):
            raise _Undecided
        wanted = self.name in ("exact", "in")
        texts = [self.build.bind(value) for value in values if isinstance(value, str)]
        figures = [self._figure(value) for value in values if not isinstance(value, str | bool)]
        text = _or(*(f"{self.operand.text} = {one}" for one in texts))
        figure = _or(*(f"{self.operand.figure} = {one}" for one in figures))
        return _Case(_iff(text, wanted)), _Case(_iff(figure, wanted)), self._always([])

    # -- text -----------------------------------------------------------------------------------------------------

    def _as_text(self, holds: Callable[[str], str]) -> tuple[_Case, _Case, _Case]:
        """Return the cases of an operator that looks at the value's text: printable ASCII, and plain whole numbers."""
        text = _Case(holds(self.operand.text), f"match({self.operand.text}, '[^ -~]')")
        if not self.operand.document:
            return text, text, text
        raw = self.operand.raw
        return text, _Case(holds(raw), f"NOT match({raw}, '^(0|-?[1-9][0-9]{{0,14}})$')"), _Case("false", "true")

    def _contains(self, text: str) -> str:
        wanted = self.name == "icontains"
        values = self.value if isinstance(self.value, list) else [self.value]
        if not values or not all(_PRINTABLE.fullmatch(str(value)) for value in values):
            raise _Undecided
        if len(values) > 1:
            parts = (self.build.bind(str(value).lower()) for value in values)
            return _iff(_or(*(f"positionCaseInsensitive({text}, {part}) > 0" for part in parts)), wanted)
        pattern = f"%{values[0]}%".replace("\\", "\\\\")
        return _iff(f"{text} ILIKE {self.build.bind(pattern)}", wanted)

    def _matches(self, text: str) -> str:
        patterns = self.value if isinstance(self.value, list) else [self.value]
        if not all(isinstance(one, str) and _PLAIN_PATTERN.fullmatch(one) for one in patterns):
            raise _Undecided
        # Hog finds nothing in an empty text, whatever the pattern
        found = _and(f"{text} != ''", _or(*(f"match({text}, {self.build.bind(one)})" for one in patterns)))
        return _iff(found, self.name == "regex")


def _is_text(value: str) -> bool:
    """Whether a text can be sent: half of a surrogate pair cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


# -- logic, with the constants taken out ------------------------------------------------------------------------------


def _and(*terms: str) -> str:
    kept = list(dict.fromkeys(term for term in terms if term != "true"))
    if "false" in kept:
        return "false"
    return f"({' AND '.join(kept)})" if len(kept) > 1 else kept[0] if kept else "true"


def _or(*terms: str) -> str:
    kept = list(dict.fromkeys(term for term in terms if term != "false"))
    if "true" in kept:
        return "true"
    return f"({' OR '.join(kept)})" if len(kept) > 1 else kept[0] if kept else "false"


def _not(term: str) -> str:
    return {"true": "false", "false": "true"}.get(term) or f"NOT ({term})"


def _iff(term: str, wanted: bool) -> str:
    return term if wanted else _not(term)


def _choice(cases: Sequence[tuple[str, Verdict]], otherwise: Verdict) -> tuple[str, tuple[Verdict, ...]]:
    """Return HogQL of the place of the first verdict whose condition holds, and the verdicts."""
    kept = [case for case in cases if case[0] != "false"]
    verdicts = tuple(dict.fromkeys([*(verdict for _, verdict in kept), otherwise]))
    parts = [f"{condition}, {verdicts.index(verdict)}" for condition, verdict in kept]
    last = verdicts.index(otherwise)
    return (f"multiIf({', '.join(parts)}, {last})" if parts else str(last)), verdicts
