"""Compiles one Hog expression to a closure.

AND and OR evaluate every side; only if(), `?:`, multiIf() and `??` leave out what they do not need. So a missing global
or a failing function on either side of an OR fails the whole.

Source: PostHog/posthog:posthog/hogql/compiler/bytecode.py, common/hogvm/typescript/src/execute.ts (2026).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from posthog_events.clock import utc_now
from posthog_events.errors import HogError
from posthog_events.hog.dates import date_functions
from posthog_events.hog.functions import ELSEWHERE, FUNCTIONS, Function
from posthog_events.hog.library import contains, member
from posthog_events.hog.regex import compile_like, matches
from posthog_events.hog.values import equal, js_string, number, order, truthy, whole
from posthog_events.hogql import ast

__all__ = ["Closure", "Scope", "compile_expr", "unknown_global"]

Scope = Mapping[str, Any]
Closure = Callable[[Scope], Any]


def unknown_global(name: str, known: Sequence[str] = ()) -> HogError:
    """Return the error for a name that stands for nothing at run time."""
    better = f" Write {{event.{name}}}." if name in ("distinct_id", "properties", "timestamp", "uuid") else ""
    these = f" The globals are {', '.join(known)}." if known and not better else ""
    return HogError(
        f"there is no global `{name}`. PostHog saves this, then fails for every event, and the deliveries are lost."
        f"{better}{these}"
    )


def compile_expr(node: ast.Node, *, clock: Callable[[], datetime] = utc_now) -> Closure:
    """Compile an expression.

    Args:
        node: What the parser made of it.
        clock: Gives the moment of now().

    Returns:
        A function from globals to a Hog value; raises HogError where PostHog's run would fail.

    Raises:
        HogError: PostHog could not compile it, or it uses what cannot be evaluated here.
    """
    return _Compiler(FUNCTIONS | date_functions(clock)).compile(node)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": lambda left, right: order(left, right) == -1,
    "<=": lambda left, right: order(left, right) in (-1, 0),
    ">": lambda left, right: order(left, right) == 1,
    ">=": lambda left, right: order(left, right) in (0, 1),
    "in": lambda left, right: contains(right, left),
    "not in": lambda left, right: not contains(right, left),
    "like": lambda left, right: _like(left, right, False),
    "ilike": lambda left, right: _like(left, right, True),
    "not like": lambda left, right: not _like(left, right, False),
    "not ilike": lambda left, right: not _like(left, right, True),
    "=~": lambda left, right: _matches(left, right),
    "!~": lambda left, right: not _matches(left, right),
    "=~*": lambda left, right: _matches(left, f"(?i){js_string(right)}"),
    "!~*": lambda left, right: not _matches(left, f"(?i){js_string(right)}"),
}


def _like(value: Any, pattern: Any, ignore_case: bool) -> bool:
    return compile_like(js_string(pattern), ignore_case=ignore_case).search(js_string(value)) is not None


def _matches(value: Any, pattern: Any) -> bool:
    return truthy(value) and truthy(pattern) and matches(js_string(pattern))(js_string(value))


def _divided(left: float, right: float) -> float:
    if right != 0:
        return left / right
    return math.nan if left == 0 or left != left else math.copysign(math.inf, left) * math.copysign(1, right)


def _remainder(left: float, right: float) -> float:
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
    "%": _remainder,
}


class _Compiler:
    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = functions

    def compile(self, node: ast.Node) -> Closure:
        match node:
            case ast.Constant(value=value):
                return lambda scope: value
            case ast.Field(chain=chain):
                return _field(chain)
            case ast.And(exprs=exprs):
                every = self._all(exprs)
                return lambda scope: False not in [truthy(one(scope)) for one in every]
            case ast.Or(exprs=exprs):
                every = self._all(exprs)
                return lambda scope: True in [truthy(one(scope)) for one in every]
            case ast.Not(expr=expr):
                inner = self.compile(expr)
                return lambda scope: not truthy(inner(scope))
            case ast.CompareOperation(op=op):
                return self._comparison(op, node.left, node.right)
            case ast.BetweenExpr(expr=expr, low=low, high=high, negated=negated):
                value, least, most = self._all((expr, low, high))
                return lambda scope: _between(value(scope), least(scope), most(scope)) is not negated
            case ast.ArithmeticOperation(op=op):
                return self._arithmetic(op, node.left, node.right)
            case ast.ArrayAccess(array=array, property=key):
                value, index = self._all((array, key))
                if isinstance(key, ast.Constant) and key.value == 0 and isinstance(key.value, int | float):
                    raise HogError("lists start from index 1")
                return lambda scope: member(value(scope), index(scope))
            case ast.TupleAccess(tuple=value_node, index=place):
                value = self.compile(value_node)
                return lambda scope: member(value(scope), place)
            case ast.Array(exprs=exprs):
                every = self._all(exprs)
                return lambda scope: [one(scope) for one in every]
            case ast.Tuple(exprs=exprs):
                every = self._all(exprs)
                return lambda scope: tuple([one(scope) for one in every])
            case ast.Dict(items=items):
                pairs = [self._all(pair) for pair in items]
                return lambda scope: {js_string(key(scope)): item(scope) for key, item in pairs}
            case ast.Lambda(args=names, expr=expr):
                body = self.compile(expr)
                return lambda scope: lambda *values: body({**scope, **dict(zip(names, values, strict=False))})
            case ast.Call():
                return self._call(node)
            case ast.Placeholder():
                raise HogError("double braces are not Hog: write {event.event}, with one pair of braces")
            case ast.SelectQuery() | ast.SelectSetQuery():
                raise HogError("a SELECT cannot run inside a destination")
        raise HogError(f"Hog has no {_shown(node)} here")

    def _all(self, nodes: Sequence[ast.Node]) -> list[Closure]:
        return [self.compile(node) for node in nodes]

    def _comparison(self, op: str, left: ast.Node, right: ast.Node) -> Closure:
        if op in ("in cohort", "not in cohort"):
            raise HogError("cohorts do not work in destinations; inline the person properties that make the cohort")
        compare = _COMPARISONS.get(op)
        if compare is None:
            raise HogError(f"Hog has no operator {op}")
        first, second = self._all((left, right))
        return lambda scope: compare(first(scope), second(scope))

    def _arithmetic(self, op: str, left: ast.Node, right: ast.Node) -> Closure:
        apply = _ARITHMETIC[op]
        first, second = self._all((left, right))

        def compute(scope: Scope) -> float | int:
            try:
                return whole(float(apply(number(first(scope)), number(second(scope)))))
            except OverflowError:
                return math.inf

        return compute

    def _call(self, node: ast.Call) -> Closure:
        name = node.name
        if node.distinct or node.order_by or node.filter_expr or node.within_group or node.params is not None:
            raise HogError(f"{name}() is written as an aggregate, and Hog has no aggregates")
        if name == "if" and 2 <= len(node.args) <= 3:
            return self._choice(node.args)
        if name == "multiIf" and len(node.args) >= 2:
            return self._choice(node.args)
        args = self._all(node.args)
        if name == "ifNull" and len(args) == 2:
            first, second = args
            return lambda scope: second(scope) if (value := first(scope)) is None else value
        function = self._functions.get(name)
        if function is None:
            known = "PostHog has it, but it cannot be evaluated here" if name in ELSEWHERE else "PostHog has none such"
            raise HogError(f"unknown Hog function {name}(): {known}. Names are case-sensitive")
        if len(args) < function.least or (function.most is not None and len(args) > function.most):
            wanted = str(function.least) if function.least == function.most else f"{function.least} or more"
            raise HogError(f"{name}() takes {wanted} arguments, not {len(args)}")
        call = function.call
        return lambda scope: call(*[arg(scope) for arg in args])

    def _choice(self, nodes: Sequence[ast.Node]) -> Closure:
        """Compile if(condition, value, ..., otherwise): the first true condition decides, and no more is evaluated."""
        every = self._all(nodes)
        pairs = list(zip(every[::2], every[1::2], strict=False))
        otherwise = every[-1] if len(every) % 2 else None

        def choose(scope: Scope) -> Any:
            for condition, value in pairs:
                if truthy(condition(scope)):
                    return value(scope)
            return otherwise(scope) if otherwise else None

        return choose


def _between(value: Any, low: Any, high: Any) -> bool:
    return order(value, low) in (0, 1) and order(value, high) in (-1, 0)


def _field(chain: Sequence[str | int]) -> Closure:
    root, *path = chain
    if chain[-1] == "*" or not isinstance(root, str):
        raise HogError("Hog has no `*` here")

    def read(scope: Scope) -> Any:
        try:
            value = scope[root]
        except KeyError:
            raise unknown_global(root, tuple(scope)) from None
        for key in path:
            # only plain field access knows the length of a text
            value = len(value) if key == "length" and isinstance(value, str) else member(value, key)
        return value

    return read


def _shown(node: ast.Node) -> str:
    return {"TypeCast": "type cast", "ExprCall": "call of a value", "HogQLXTag": "tag"}.get(
        type(node).__name__, type(node).__name__
    )
