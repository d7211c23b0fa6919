"""HogQL to ClickHouse SQL: one typed pass over the syntax tree."""

from __future__ import annotations

from dataclasses import replace

from posthog_events.clickhouse.catalog import Catalog
from posthog_events.clickhouse.compiler.context import Compiled, CompileSettings, Context
from posthog_events.clickhouse.compiler.select import SubqueryCompiler, share_ctes
from posthog_events.hogql import ast
from posthog_events.hogql.source import Source

__all__ = ["CompileSettings", "Compiled", "compile_query"]

# What changes results in PostHog's own settings (reference 2.7), and the zone that PostHog's servers run in.
_SETTINGS: dict[str, str | int] = {
    "transform_null_in": 1,
    "optimize_min_equality_disjunction_chain_length": 4294967295,
    "session_timezone": "UTC",
}


def compile_query(
    node: ast.SelectQuery | ast.SelectSetQuery,
    *,
    catalog: Catalog,
    settings: CompileSettings | None = None,
    source: Source | None = None,
) -> Compiled:
    """Compile a query whose placeholders are bound.

    Args:
        source: The text that the spans of `node` point into, for error messages.

    Raises:
        HogQLError: The query names something unknown, or something this engine cannot do.
    """
    context = Context(catalog, settings or CompileSettings(), source or Source())
    subqueries = SubqueryCompiler(context)
    limited, row_cap, clamped, branches = _with_limits(node, context)
    compiled = subqueries.query(limited, {})
    return Compiled(
        sql=compiled.sql,
        settings=_SETTINGS,
        row_cap=row_cap,
        clamped=clamped,
        branches=tuple((subqueries.query(branch, {}).sql, cap) for branch, cap in branches),
    )


def _with_limits(
    node: ast.SelectQuery | ast.SelectSetQuery, context: Context
) -> tuple[ast.SelectQuery | ast.SelectSetQuery, int | None, bool, list[tuple[ast.SelectQuery, int]]]:
    """Apply the default and the maximum LIMIT, asking for one row more than they allow. Source: reference 2.7."""
    limits = context.settings.row_limits
    if isinstance(node, ast.SelectSetQuery):
        return _set_with_limits(node, context)
    if not isinstance(node, ast.SelectQuery):
        return node, None, False, []  # a value bound where a query should stand; refused when it is compiled
    if node.limit is None:
        if limits.default is None or node.limit_percent:
            return node, None, False, []
        return replace(node, limit=ast.Constant(value=limits.default + 1)), limits.default, False, []
    if limits.maximum is None:
        return node, None, False, []
    asked = node.limit.value if isinstance(node.limit, ast.Constant) else None
    if isinstance(asked, int) and not isinstance(asked, bool):
        if asked <= limits.maximum:
            return node, None, False, []
        return replace(node, limit=ast.Constant(value=limits.maximum + 1)), limits.maximum, True, []
    cap = ast.Call(name="least", args=(ast.Constant(value=limits.maximum + 1), node.limit), span=node.limit.span)
    return replace(node, limit=cap), limits.maximum, True, []


def _set_with_limits(
    node: ast.SelectSetQuery, context: Context
) -> tuple[ast.SelectSetQuery, int | None, bool, list[tuple[ast.SelectQuery, int]]]:
    """Every branch has limits of its own; nothing limits the whole."""
    node = share_ctes(node)
    probes: list[tuple[ast.SelectQuery, int]] = []

    def limited(branch: ast.SelectQuery | ast.SelectSetQuery) -> ast.SelectQuery | ast.SelectSetQuery:
        new, cap, _, inner = _with_limits(branch, context)
        probes.extend(inner)
        if cap is not None and isinstance(new, ast.SelectQuery):
            probes.append((new, cap))
            new = replace(new, limit=ast.Constant(value=cap))
        return new

    first = limited(node.initial_select_query)
    rest = tuple(replace(part, select_query=limited(part.select_query)) for part in node.subsequent_select_queries)
    return replace(node, initial_select_query=first, subsequent_select_queries=rest), None, False, probes
