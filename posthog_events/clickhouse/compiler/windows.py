"""Window functions. Source: reference chapter 2.9, from posthog/hogql/printer/base.py."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from posthog_events.clickhouse.compiler.value import Sql
from posthog_events.clickhouse.functions.model import Role, Special, check_arity, render, return_type
from posthog_events.clickhouse.quoting import identifier
from posthog_events.hogql import ast

if TYPE_CHECKING:
    from posthog_events.clickhouse.compiler.expressions import Expressions

__all__ = ["window_call", "window_text"]

_WHOLE_PARTITION = ast.WindowFrameExpr(frame_type="PRECEDING"), ast.WindowFrameExpr(frame_type="FOLLOWING")


def window_call(expressions: Expressions, node: ast.WindowFunction) -> Sql:
    """Compile `f(args) OVER ...`."""
    context = expressions.context
    function = expressions.calls.find(node.name, node)
    if function.role is Role.SCALAR:
        raise context.error(f"{node.name}(...) is not an aggregate or window function, so OVER cannot follow it", node)
    # with parameters the parser puts them into `exprs`, and the arguments into `args`
    param_nodes, arg_nodes = (node.exprs or (), node.args) if node.args else ((), node.exprs or ())
    if function.name == "count" and len(arg_nodes) == 1 and arg_nodes[0] == ast.Field(chain=("*",)):
        arg_nodes = ()
    if fault := check_arity(function, len(arg_nodes), len(param_nodes)):
        raise context.error(fault, node)
    outer, expressions.inside_aggregate = expressions.inside_aggregate, None
    args, params = expressions.compile_all(arg_nodes), expressions.compile_all(param_nodes)
    expressions.inside_aggregate = outer
    type_ = return_type(function, [arg.type for arg in args])
    if function.special is Special.LAG_LEAD:
        window = _lag_window(expressions, node, arg_nodes[0])
        texts = [f"toNullable({args[0].text})", *(arg.text for arg in args[1:])]
        name = f"{function.name}InFrame"
        return Sql(f"{name}({', '.join(texts)}) OVER ({window_text(expressions, window)})", type_.with_nullable(True))
    text = render(function, [arg.text for arg in args], [param.text for param in params], tz=expressions.timezone)
    if node.over_identifier is not None:
        _named_window(expressions, node)
        return Sql(f"{text} OVER {identifier(node.over_identifier)}", type_)
    return Sql(f"{text} OVER ({window_text(expressions, node.over_expr or ast.WindowExpr())})", type_)


def _named_window(expressions: Expressions, node: ast.WindowFunction) -> ast.WindowExpr:
    window = expressions.scope.windows.get(node.over_identifier or "")
    if window is None:
        raise expressions.context.unresolved(f"There is no WINDOW called {node.over_identifier!r}", node)
    return window


def _lag_window(expressions: Expressions, node: ast.WindowFunction, value: ast.Expr) -> ast.WindowExpr:
    """Return the window of lag or lead: its own, over the whole partition, ordered by the value when empty."""
    window = _named_window(expressions, node) if node.over_identifier else node.over_expr or ast.WindowExpr()
    if not window.partition_by and not window.order_by:
        window = replace(window, order_by=(ast.OrderExpr(expr=value),))
    if window.order_by and window.frame_method is None:
        start, end = _WHOLE_PARTITION
        window = replace(window, frame_method="ROWS", frame_start=start, frame_end=end)
    return window


def window_text(expressions: Expressions, window: ast.WindowExpr) -> str:
    """Return what stands between the parentheses of OVER or WINDOW."""
    parts = []
    if window.partition_by:
        parts.append(f"PARTITION BY {', '.join(item.text for item in expressions.compile_all(window.partition_by))}")
    if window.order_by:
        terms = [f"{expressions.compile(term.expr).text} {term.order}" for term in window.order_by]
        parts.append(f"ORDER BY {', '.join(terms)}")
    if window.frame_method and window.frame_start:
        bounds = [_frame_bound(window.frame_start)]
        if window.frame_end:
            bounds.append(_frame_bound(window.frame_end))
            parts.append(f"{window.frame_method} BETWEEN {bounds[0]} AND {bounds[1]}")
        else:
            parts.append(f"{window.frame_method} {bounds[0]}")
    return " ".join(parts)


def _frame_bound(bound: ast.WindowFrameExpr) -> str:
    if bound.frame_type == "CURRENT ROW":
        return "CURRENT ROW"
    return f"{'UNBOUNDED' if bound.frame_value is None else bound.frame_value} {bound.frame_type}"
