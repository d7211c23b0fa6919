"""One example call or more for every function, read from `tests/fixtures/functions`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from posthog_events.clickhouse.functions import Function, Role, render
from posthog_events.clickhouse.functions.lookup import FUNCTIONS
from posthog_events.clickhouse.sqltype import Kind, SqlType

__all__ = ["ROWS", "Example", "examples"]

ROWS = (
    "(SELECT toInt64(number + 1) AS n, toString(n) AS s, n > 2 AS c, [n, 10 * n] AS xs, map('k', n) AS m, "
    "toDateTime('2024-01-01 00:00:00', 'UTC') + n AS t FROM numbers(4))"
)
"""What aggregate and window examples are computed over."""

_FIXTURES = Path(__file__).parent.parent / "fixtures" / "functions"
_HEAD = re.compile(r"(?P<name>\w+)(\((?P<params>.*)\))?(?P<whole>!)?$")
_LAMBDA_TYPE = re.compile(r"(?P<code>.*->.*) :(?P<kind>\w+)$")


@dataclass(frozen=True, slots=True)
class Example:
    """A call in ClickHouse's terms.

    Args:
        sql: The whole call.
        args: SQL text of every argument; none for a function that the compiler translates itself.
        lambda_types: The type of the body of a lambda argument, by its place.
        want: The value in TabSeparated notation; None when only execution is checked.
    """

    function: Function
    sql: str
    args: tuple[str, ...]
    params: tuple[str, ...]
    lambda_types: dict[int, SqlType]
    want: str | None

    @property
    def key(self) -> str:
        """What tells examples apart: two functions can become the same SQL."""
        return f"{self.function.name}: {self.sql}"

    @property
    def over_rows(self) -> bool:
        """Whether the call needs the rows of ROWS."""
        return self.function.role is not Role.SCALAR

    def with_nullable_argument(self, place: int) -> str:
        """Return the call with one argument made nullable."""
        args = [f"toNullable({arg})" if index == place else arg for index, arg in enumerate(self.args)]
        return _sql(self.function, args, self.params)

    def with_nullable_elements(self, place: int) -> str:
        """Return the call with the elements of one array argument made nullable."""
        args = [
            f"arrayMap(element -> toNullable(element), {arg})" if index == place else arg
            for index, arg in enumerate(self.args)
        ]
        return _sql(self.function, args, self.params)


def examples() -> list[Example]:
    """Return every example: those of the files, and generated ones for chains of combinators."""
    written = [example for path in sorted(_FIXTURES.glob("*.txt")) for example in _read(path)]
    return [*written, *_combinators({example.function.name for example in written})]


def _read(path: Path) -> Iterator[Example]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        head, _, rest = line.partition(" | ") if " | " in line else line.partition(" |")
        call, arrow, want = rest.partition("=> ")
        match = _HEAD.match(head)
        assert match is not None, line
        function = FUNCTIONS[match["name"]]
        if match["whole"]:
            yield Example(function, call.strip(), (), (), {}, want if arrow else None)
            continue
        args: list[str] = []
        lambda_types: dict[int, SqlType] = {}
        for place, text in enumerate(part.strip() for part in call.split(" ; ") if part.strip()):
            typed = _LAMBDA_TYPE.match(text)
            args.append(typed["code"] if typed else text)
            if typed:
                lambda_types[place] = SqlType(Kind(typed["kind"]))
        params = tuple(match["params"].split(", ")) if match["params"] else ()
        sql = _sql(function, args, params)
        yield Example(function, sql, tuple(args), params, lambda_types, want if arrow else None)


def _sql(function: Function, args: Sequence[str], params: Sequence[str]) -> str:
    sql = render(function, args, params, tz="UTC")
    return f"{sql} OVER (ORDER BY n DESC)" if function.role is Role.WINDOW else sql


_SUFFIXES = "If|Array|Map|State|Merge|ForEach|OrDefault|OrNull|ArgMin|ArgMax"
_CHAIN = re.compile(rf"(?P<base>avg|sum|min|max|countDistinct|count|median)(?P<chain>({_SUFFIXES})*)")


def _combinators(written: set[str]) -> Iterator[Example]:
    """Yield an example for each function not yet `written` that is a base with a chain of suffixes."""
    for name, function in FUNCTIONS.items():
        match = _CHAIN.fullmatch(name)
        if match is None or name in written:
            continue
        base, suffixes = match["base"], re.findall(_SUFFIXES, match["chain"])
        args = ["n"]
        for suffix in suffixes:
            match suffix:
                case "Array" | "ForEach":
                    args = ["xs"]
                case "Map":
                    args = ["m"]
                case "Merge":
                    # sumMergeOrNull merges states of sumOrNull, but not so countMergeOrNull or sumMergeOrNullIf
                    of_null = suffixes == ["Merge", "OrNull"] and not base.startswith("count")
                    args = [f"arrayReduce('{base}{'OrNull' * of_null}State', [n])"]
                case "ArgMin" | "ArgMax":
                    args.append("n")
                case "If":
                    args.append("c")
        yield Example(function, _sql(function, args, ()), tuple(args), (), {}, None)
