"""Property items of filters, compiled to closures over the globals of an event.

Source: PostHog/posthog:posthog/hogql/property.py, posthog/models/property/property.py,
nodejs/src/cdp/utils/hog-function-filtering.ts, August 2026; reference 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from posthog_events.clock import utc_now
from posthog_events.errors import HogError, HogQLError
from posthog_events.hog.elements import chain_href, chain_texts, selector_test, tag_test
from posthog_events.hog.evaluate import Scope, compile_expr
from posthog_events.hog.operators import operator_test
from posthog_events.hog.scope import ROOTS, chain_text, filter_globals, getter
from posthog_events.hog.values import text, truthy
from posthog_events.hogql.parser import parse_expr

__all__ = ["COHORTS", "Check", "Context", "always", "complete", "joined", "property_check"]

COHORTS = ("cohort", "static-cohort", "precalculated-cohort", "dynamic-cohort")
_NOT_REALTIME = {"session", "recording", "log_entry", "data_warehouse", "data_warehouse_person_property", "behavioral"}
_NOT_COMPILED = {"flag"}
_PLAIN = {"event", "person", "group", "event_metadata", "feature"}
_KNOWN = _PLAIN | {"element", "hogql", *COHORTS} | _NOT_REALTIME | _NOT_COMPILED


@dataclass(frozen=True, slots=True)
class Check:
    """One condition on an event.

    Attributes:
        path: Where it stands in the filters, such as `events[0].properties[1]`.
        run: From globals to a Hog value.
        boolean: `run` gives True or False, never anything else.
        can_fail: `run` may raise HogError.
        vanishes: PostHog compiled the item to the number 1.
    """

    path: str
    run: Callable[[Scope], Any]
    boolean: bool = True
    can_fail: bool = False
    vanishes: bool = False

    @property
    def truth(self) -> Callable[[Scope], bool]:
        """The check as AND and OR see it."""
        run = self.run
        return run if self.boolean else lambda scope: truthy(run(scope))


@dataclass(frozen=True, slots=True)
class Context:
    """What compiling a property needs to know beside the item; see `compile_filters`."""

    boolean_properties: Collection[tuple[str, str]] = ()
    saved_at: datetime | None = None
    timezone: tzinfo = field(default=UTC)
    clock: Callable[[], datetime] = utc_now


def always(path: str) -> Check:
    """Return the check that PostHog compiles to `true`."""
    return Check(path, lambda scope: True)


def _vanished(path: str) -> Check:
    return Check(path, lambda scope: 1, boolean=False, vanishes=True)


def joined(checks: Sequence[Check], path: str, *, every: bool) -> Check:
    """Join checks by AND or OR; when one can fail, none is skipped, as in PostHog."""
    if len(checks) == 1:
        return checks[0]
    truths = [check.truth for check in checks]
    decide = all if every else any
    if not any(check.can_fail for check in checks):
        return Check(path, lambda scope: decide(truth(scope) for truth in truths))
    return Check(path, lambda scope: decide([truth(scope) for truth in truths]), can_fail=True)


def complete(item: Mapping[str, Any]) -> bool:
    """Return whether an item counts: PostHog lets incomplete ones, and those of unknown types, pass everything."""
    kind = item.get("type") or "event"
    if kind not in _KNOWN or item.get("key") is None:
        return False
    if item.get("value") is None and item.get("operator") not in ("is_set", "is_not_set") and kind != "hogql":
        return False
    return kind != "group" or item.get("group_type_index") is not None


def property_check(item: Any, path: str, context: Context, *, nested: bool = False) -> Check:
    """Compile one property item.

    Args:
        item: As it stands in the filters.
        path: Where it stands.
        context: See `Context`.
        nested: Dots in event keys lead into objects, as for `$activity_log_entry_created`.

    Raises:
        HogError: PostHog could not compile it.
    """
    if not isinstance(item, Mapping):
        raise HogError(f"a property filter is an object, not {type(item).__name__}", where=path)
    kind, key = item.get("type") or "event", item.get("key")
    try:
        if not complete(item):
            return _vanished(path)
        if not isinstance(key, str):
            raise HogError(f"the key of a property filter is text, not {type(key).__name__}")
        if kind in COHORTS:
            raise HogError(
                "cohorts do not work in destinations: PostHog refuses to enable the function. "
                "Inline the person properties that make the cohort"
            )
        if kind in _NOT_COMPILED:
            raise HogError(f"properties of type {kind!r} do not work in destinations")
        if kind == "hogql":
            return _expression(key, path, context.clock)
        if kind == "element":
            return _element(key, item, path, context)
        if kind in _NOT_REALTIME:
            return Check(path, _failing(kind), can_fail=True)
        return _plain(kind, key, item, path, context, nested)
    except HogError as error:
        raise HogError(error.message, where=error.where or path) from error


def _plain(kind: str, key: str, item: Mapping[str, Any], path: str, context: Context, nested: bool) -> Check:
    test = operator_test(
        item.get("operator") or "exact",
        item.get("value"),
        is_boolean=(kind, key) in context.boolean_properties,
        saved_at=context.saved_at,
        timezone=context.timezone,
    )
    if test.one:
        return _vanished(path)
    get, run = getter(kind, key, item.get("group_type_index"), nested), test.run
    can_fail = test.can_fail or (kind == "event_metadata" and key not in ROOTS)
    return Check(path, lambda scope: run(get(scope)), can_fail=can_fail)


def _failing(kind: str) -> Callable[[Scope], Any]:
    def fail(scope: Scope) -> Any:
        raise HogError(f"properties of type {kind!r} do not work in destinations: they fail for every event")

    return fail


# -- elements and expressions --------------------------------------------------------------------------------------


def _element(key: str, item: Mapping[str, Any], path: str, context: Context) -> Check:
    operator, value = item.get("operator") or "exact", item.get("value")
    if isinstance(value, list) and len(value) != 1:
        negative = operator in ("is_not", "not_icontains", "not_regex")
        if not value:
            # an OR of nothing is false, an AND of nothing is true
            return Check(path, lambda scope: negative)
        checks = [_element(key, {**item, "value": one}, path, context) for one in value]
        return joined(checks, path, every=negative)
    value = value[0] if isinstance(value, list) else value
    if key in ("selector", "tag_name"):
        if operator not in ("exact", "is_not"):
            raise HogError(f"an element's {key} takes the operators exact and is_not, not {operator}")
        test = (selector_test if key == "selector" else tag_test)(text(value))
        wanted = operator == "exact"
        return Check(path, lambda scope: test(chain_text(scope)) is wanted)
    if key not in ("href", "text"):
        raise HogError(f"elements have selector, tag_name, href and text, not {key!r}")
    found = operator_test(operator, value, saved_at=context.saved_at, timezone=context.timezone)
    run = found.run
    if key == "href":
        return Check(path, lambda scope: run(chain_href(chain_text(scope))), can_fail=found.can_fail)
    return Check(path, lambda scope: any(run(one) for one in chain_texts(chain_text(scope))), can_fail=found.can_fail)


def _expression(source: str, path: str, clock: Callable[[], datetime]) -> Check:
    try:
        run = compile_expr(parse_expr(source), clock=clock)
    except HogQLError as error:
        raise HogError(f"`{source[:80]}` is no expression: {error.message}") from error
    return Check(path, lambda scope: run(filter_globals(scope)), boolean=False, can_fail=True)
