"""The one place where the text of a parameter becomes structure: a step's `where`, and parameters of type `where`.

The argument that this is safe:

1. The text is parsed by PostHog's own parser as *one expression*; what follows it, or a comment, cannot be part of it.
2. Every node of its tree must be of a kind in `_ALLOWED`: constants, columns, operators, plain function calls. So it
   holds no subquery (reads no other table), no alias (which would rename a column for the rest of the query), no
   placeholder (which would read another parameter), no asterisk, window, aggregate or `arrayJoin` (which would change
   the number of rows).
3. The query receives the *print* of that tree, in parentheses, and only when parsing the print gives the same tree
   again. The text as written never reaches the query.

So such a value can choose *which rows of the events in scope* a condition holds for, and nothing else. All other
parameters are bound values or a single checked name.
"""

from __future__ import annotations

import re

from posthog_events.errors import Fault, HogQLError, ParameterError
from posthog_events.hogql import ast
from posthog_events.hogql.tree import walk
from posthog_events.queryfiles.model import Condition

__all__ = ["condition_text", "is_aggregate", "parse_condition"]

_ALLOWED = (
    ast.And,
    ast.ArithmeticOperation,
    ast.Array,
    ast.ArrayAccess,
    ast.ArraySlice,
    ast.BetweenExpr,
    ast.Call,
    ast.CompareOperation,
    ast.Constant,
    ast.Field,
    ast.IsDistinctFrom,
    ast.Lambda,
    ast.Not,
    ast.Or,
    ast.TryCast,
    ast.Tuple,
    ast.TupleAccess,
    ast.TypeCast,
)
_REFUSED = {
    ast.SelectQuery: "a subquery",
    ast.SelectSetQuery: "a subquery",
    ast.Placeholder: "a {placeholder}",
    ast.Alias: "an alias (AS)",
    ast.WindowFunction: "a window function",
    ast.ColumnsExpr: "COLUMNS(...)",
}
_AGGREGATE = re.compile(
    r"(count|countDistinct|sum|avg|min|max|any|anyLast|anyHeavy|argMin|argMax|uniq\w*?|group(Array|Uniq|Bit|Concat)\w*?"
    r"|quantiles?\w*?|median\w*?|std(dev|dev_)\w+?|var(Pop|Samp|_)\w*?|covar\w+?|corr|topK|deltaSum\w*?|entropy"
    r"|windowFunnel|retention|sequence\w+?|(sum|min|max|avg)Map|array_agg|string_agg|json_agg|every|simpleLinearRegression)"
    r"(If|Array|Map|Distinct|State|Merge|ForEach|OrDefault|OrNull|ArgMin|ArgMax)*",
    re.ASCII,
)
_CASELESS = {"count", "min", "max", "sum", "avg"}
"""Aggregates that HogQL finds in any case. Source: posthog/hogql/functions."""


def is_aggregate(name: str) -> bool:
    """Whether HogQL knows `name` as an aggregate function.

    By name pattern, not by the engine's table: that table is a layer above. The engine refuses what slips through.
    """
    return bool(_AGGREGATE.fullmatch(name)) or name.lower() in _CASELESS


def parse_condition(text: str) -> Condition:
    """Read one boolean HogQL expression.

    Raises:
        ParameterError: It does not parse, or holds something that could change more than which rows match.
    """
    from posthog_events.hogql.parser import parse_expr

    try:
        expr = parse_expr(text)
    except HogQLError as error:
        column = f" at column {error.column}" if error.column else ""
        raise ParameterError([Fault(f"{_short(text)} is not a HogQL expression{column}: {error.message}")]) from error
    refused = [(node, reason) for node in walk(expr) if (reason := _refusal(node))]
    if refused:
        # what is no expression (a join, a frame) is inside something that is refused by its own name
        reasons = sorted({reason for node, reason in refused if isinstance(node, ast.Expr)})
        found = " and ".join(reasons or [refused[0][1]])
        message = f"{_short(text)} holds {found}; a condition compares columns and values of one event"
        raise ParameterError([Fault(message)])
    return Condition(expr)


def condition_text(condition: Condition) -> str:
    """Return the condition as HogQL in parentheses, proven to read back as the same expression."""
    from posthog_events.hogql.parser import parse_expr
    from posthog_events.hogql.printer import print_hogql

    text = f"({print_hogql(condition.expr)})"
    if parse_expr(text) != condition.expr:
        raise ParameterError([Fault(f"{_short(text)} cannot be written back exactly; simplify the condition")])
    return text


def _refusal(node: ast.Node) -> str | None:
    if isinstance(node, ast.Call):
        if node.name.lower() == "arrayjoin":
            return "arrayJoin"
        plain = not (node.params or node.distinct or node.order_by or node.filter_expr or node.within_group)
        return None if plain and not is_aggregate(node.name) else f"the aggregate {node.name}()"
    if isinstance(node, ast.Field):
        return "an asterisk" if "*" in node.chain else None
    if isinstance(node, _ALLOWED):
        return None
    return _REFUSED.get(type(node), type(node).__name__)


def _short(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:77]!r}..."
