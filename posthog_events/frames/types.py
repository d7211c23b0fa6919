"""ClickHouse type names and the polars dtypes they mean.

======================================  ==========================================================================
ClickHouse                              polars
======================================  ==========================================================================
Int8..64, UInt8..64, Float32, Float64   the same; a comparison is UInt8, as in PostHog's JSON
Int128, UInt128                         the same
Bool                                    Boolean
String, UUID, IPv4, IPv6                String (UUID in lower case, with hyphens)
FixedString(n)                          Binary: exactly n bytes, padding included; hashes are not text
Date, Date32                            Date
DateTime, DateTime64(0..6)              Datetime("us", zone); the zone is the type's own, or UTC
DateTime64(7..9)                        Datetime("ns", zone)
IntervalNanosecond                      Duration("ns")
IntervalMicrosecond..IntervalWeek       Duration("us")
Decimal(1..38, s)                       Decimal(p, s)
Enum8, Enum16                           Enum, its categories in the order of their numbers
Array(T), Nested(...)                   List
Tuple(...)                              Struct; fields without a name are called "1", "2", ...
Map(K, V)                               Map
Nothing                                 Null
Nullable(T), LowCardinality(T)          T
SimpleAggregateFunction(f, T)           T
======================================  ==========================================================================

Microseconds, because that is the resolution of PostHog's events. A key twice in one Map keeps its last value.
Anything else raises UnknownColumnType: 256-bit numbers, calendar intervals (a month has no length), Time (ClickHouse's
may be negative), aggregate states, JSON, Dynamic, Variant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import polars as pl

from posthog_events.errors import UnknownColumnType

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

__all__ = ["ColumnType", "instance", "parse_type", "polars_dtype"]


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A ClickHouse type without its Nullable, LowCardinality and SimpleAggregateFunction wrappers.

    Args:
        family: `DateTime64`, `Array`, ...
        inner: Element types of Array (1), Map (2), Tuple and Nested (one per field).
        names: Field names of Tuple and Nested; category names of an Enum.
        numbers: Precision and scale, length, or the categories' numbers.
        zone: Time zone of DateTime and DateTime64; None when the type names none.
        nullable: Whether NULL can occur in this place; polars does not need it.
        text: The type as ClickHouse wrote it, for messages.
    """

    family: str
    inner: tuple[ColumnType, ...] = ()
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    zone: str | None = None
    nullable: bool = False
    text: str = field(default="", compare=False)


_SIMPLE: dict[str, type[pl.DataType]] = {
    "Int8": pl.Int8,
    "Int16": pl.Int16,
    "Int32": pl.Int32,
    "Int64": pl.Int64,
    "Int128": pl.Int128,
    "UInt8": pl.UInt8,
    "UInt16": pl.UInt16,
    "UInt32": pl.UInt32,
    "UInt64": pl.UInt64,
    "UInt128": pl.UInt128,
    "Float32": pl.Float32,
    "Float64": pl.Float64,
    "Bool": pl.Boolean,
    "String": pl.String,
    "UUID": pl.String,
    "IPv4": pl.String,
    "IPv6": pl.String,
    "FixedString": pl.Binary,
    "Date": pl.Date,
    "Date32": pl.Date,
    "Nothing": pl.Null,
}
_INTERVALS = frozenset({"Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour", "Day", "Week"})
MAX_DECIMAL_DIGITS = 38


def polars_dtype(kind: ColumnType, *, column: str = "?") -> pl.DataType:
    """Return the exact dtype of a type; `column` is for the message.

    Raises:
        UnknownColumnType: There is none.
    """
    inner = [polars_dtype(part, column=column) for part in kind.inner]
    match kind.family:
        case family if family in _SIMPLE:
            return _SIMPLE[family]()
        case "DateTime" | "DateTime64":
            unit = "ns" if kind.numbers and kind.numbers[0] > 6 else "us"
            return pl.Datetime(unit, kind.zone or "UTC")  # type: ignore[arg-type]  # a literal of two
        case "Decimal" if kind.numbers[0] <= MAX_DECIMAL_DIGITS:
            return pl.Decimal(*kind.numbers)
        case "Enum8" | "Enum16":
            return pl.Enum(kind.names)
        case "Array":
            return pl.List(inner[0])
        case "Map" if kind.inner[0].family != "Nothing":
            return pl.Map(inner[0], inner[1])
        case "Tuple":
            return _struct(kind, inner)
        case "Nested":
            return pl.List(_struct(kind, inner))
        case family if family.removeprefix("Interval") in _INTERVALS:
            return pl.Duration("ns" if family == "IntervalNanosecond" else "us")
    raise UnknownColumnType(column, kind.text)


def _struct(kind: ColumnType, inner: list[pl.DataType]) -> pl.Struct:
    return pl.Struct([pl.Field(name, dtype) for name, dtype in zip(kind.names, inner, strict=True)])


def instance(dtype: PolarsDataType) -> pl.DataType:
    """Return `dtype` as an instance; nested dtypes hold `pl.Int8` where elsewhere polars says `pl.Int8()`."""
    return dtype() if isinstance(dtype, type) else dtype


def parse_type(text: str, *, column: str = "?") -> ColumnType:
    """Read a type as DESCRIBE writes it, pretty-printed or not.

    >>> parse_type("DateTime64(6, 'Europe/Berlin')").zone
    'Europe/Berlin'

    Raises:
        UnknownColumnType: The text is not a type.
    """
    return _Parser(text, column).parse()


# Source: ClickHouse's ParserDataType.cpp; Enum names and zones are string literals, field names may be back-quoted.
_TOKEN = re.compile(
    r"""\s*(?:(?P<word>\w+)|'(?P<string>(?:[^'\\]|\\.|'')*)'|`(?P<name>(?:[^`\\]|\\.|``)*)`|(?P<mark>.))""", re.DOTALL
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)|''|``", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "0": "\0", "a": "\a", "v": "\v", "e": "\x1b"}
_OPAQUE = frozenset({"AggregateFunction", "JSON", "Object", "Dynamic", "Variant", "QBit", "Geometry"})
_TRANSPARENT = frozenset({"Nullable", "LowCardinality", "SimpleAggregateFunction"})


def _unescape(quoted: str) -> str:
    def one(found: re.Match[str]) -> str:
        escape = found[1]
        if escape is None:
            return found[0][0]
        if len(escape) == 3:
            return chr(int(escape[1:], 16))
        return _ESCAPED.get(escape, escape)

    return _ESCAPE.sub(one, quoted)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    value: str
    start: int
    end: int


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text.strip()):
        kind = found.lastgroup or ""
        value = found[kind]
        yield _Token(kind, _unescape(value) if kind in ("string", "name") else value, found.start(kind), found.end())


class _Parser:
    """Recursive descent over a handful of tokens."""

    def __init__(self, text: str, column: str) -> None:
        self._text, self._column = text.strip(), column
        self._tokens = [*_tokens(text), _Token("end", "", len(self._text), len(self._text))]
        self._at = 0

    def parse(self) -> ColumnType:
        kind = self._type()
        if self._peek().kind != "end":
            self._fail()
        return kind

    def _type(self) -> ColumnType:
        start = self._peek().start
        family = self._take("word").value
        if family in _OPAQUE:
            self._skip_arguments()
            return ColumnType(family, text=self._text[start : self._end()])
        inner: list[ColumnType] = []
        names: list[str] = []
        numbers: list[int] = []
        strings: list[str] = []
        if self._accept("(") and not self._accept(")"):
            self._argument(inner, names, numbers, strings)
            while self._accept(","):
                self._argument(inner, names, numbers, strings)
            self._take("mark", ")")
        text = self._text[start : self._end()]
        if family in _TRANSPARENT:
            if not inner:
                self._fail()
            wrapped = inner[-1]
            nullable = wrapped.nullable or family == "Nullable"
            return ColumnType(
                wrapped.family, wrapped.inner, wrapped.names, wrapped.numbers, wrapped.zone, nullable, wrapped.text
            )
        return self._checked(family, inner, names, numbers, strings, text)

    def _checked(
        self, family: str, inner: list[ColumnType], names: list[str], numbers: list[int], strings: list[str], text: str
    ) -> ColumnType:
        """Refuse arguments that do not fit, so that nothing later has to look again."""
        expected = {"Array": 1, "Map": 2, "Tuple": len(inner), "Nested": len(inner)}.get(family, 0)
        if len(inner) != expected or (family == "Decimal" and len(numbers) != 2):
            self._fail()
        if family in ("Tuple", "Nested"):
            names = names if any(names) else [str(n) for n in range(1, len(inner) + 1)]
        elif family.startswith("Enum"):
            if not strings or len(strings) != len(numbers):
                self._fail()
            ordered = sorted(zip(numbers, strings, strict=True))
            numbers, names = [n for n, _ in ordered], [name for _, name in ordered]
        else:
            names = []
        zone = strings[0] if strings and family in ("DateTime", "DateTime64") else None
        return ColumnType(family, tuple(inner), tuple(names), tuple(numbers), zone, text=text)

    def _argument(self, inner: list[ColumnType], names: list[str], numbers: list[int], strings: list[str]) -> None:
        token = self._peek()
        if token.kind == "string":
            strings.append(self._take("string").value)
            if self._accept("="):
                numbers.append(self._number())
        elif token.kind == "word" and token.value.isdigit():
            numbers.append(self._number())
        elif token.kind == "name" or self._peek(1).kind in ("word", "name"):
            self._at += 1
            names.append(token.value)
            inner.append(self._type())
        else:
            names.append("")
            inner.append(self._type())

    def _number(self) -> int:
        sign = -1 if self._accept("-") else 1
        value = self._take("word").value
        if not value.isdigit():
            self._fail()
        return sign * int(value)

    def _skip_arguments(self) -> None:
        depth = 0
        while self._peek().value == "(" or depth:
            token = self._peek()
            if token.kind == "end":
                self._fail()
            depth += {"(": 1, ")": -1}.get(token.value if token.kind == "mark" else "", 0)
            self._at += 1

    def _peek(self, ahead: int = 0) -> _Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _take(self, kind: str, value: str | None = None) -> _Token:
        token = self._peek()
        if token.kind != kind or (value is not None and token.value != value):
            self._fail()
        self._at += 1
        return token

    def _accept(self, mark: str) -> bool:
        token = self._peek()
        if token.kind == "mark" and token.value == mark:
            self._at += 1
            return True
        return False

    def _end(self) -> int:
        return self._tokens[self._at - 1].end

    def _fail(self) -> NoReturn:
        raise UnknownColumnType(self._column, self._text)
