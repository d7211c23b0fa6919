"""The operators of a property filter, as they really evaluate once PostHog has compiled them.

The table in tests/unit/hog/test_hog_operators.py states every operator against every type of value.

Source: PostHog/posthog:posthog/hogql/property.py (property_to_expr, _expr_to_compare_op), August 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from posthog_events.errors import HogError, ParameterError
from posthog_events.hog.library import contains
from posthog_events.hog.regex import compile_like, compile_regex, matches
from posthog_events.hog.values import number, order, parse_moment, text
from posthog_events.hogql.when import resolve_when

__all__ = ["OPERATORS", "RELATIVE", "Test", "operator_test"]

RELATIVE = re.compile(r"-?[0-9]+[hdwmqysHDWMQY]")
"""A relative date, which PostHog resolves when the filter is saved."""


@dataclass(frozen=True, slots=True)
class Test:
    """What a filter asks of a property.

    Attributes:
        run: From the property's value (None when it is missing) to the result.
        can_fail: `run` may raise HogError.
        one: It is no test: PostHog compiled it to the number 1, which counts as true only beside other tests.
    """

    run: Callable[[Any], bool]
    can_fail: bool = False
    one: bool = False


def operator_test(
    operator: str,
    value: Any,
    *,
    is_boolean: bool = False,
    saved_at: datetime | None = None,
    timezone: tzinfo = UTC,
) -> Test:
    """Return the test of an operator.

    Args:
        operator: PostHog's name of it.
        value: What the property is compared with, as it stands in the filter.
        is_boolean: PostHog knows the property as a Boolean.
        saved_at: The moment at which relative dates are resolved; None is now.
        timezone: The project's zone, for relative dates.

    Raises:
        HogError: PostHog could not compile it.
    """
    if operator not in OPERATORS:
        known = "it does not work in destinations" if operator in _UNUSABLE else "there is no such operator"
        raise HogError(f"operator {operator!r}: {known}. Use one of {', '.join(OPERATORS)}")
    if operator in ("between", "not_between"):
        return _between(operator, value)
    if isinstance(value, list) and operator not in ("icontains", "not_icontains"):
        if not value:
            return Test(lambda found: True, one=True)
        if len(value) > 1:
            if operator in ("exact", "is_not", "in", "not_in"):
                return _membership([_constant(item) for item in value], operator in ("exact", "in"))
            tests = [
                operator_test(operator, item, is_boolean=is_boolean, saved_at=saved_at, timezone=timezone)
                for item in value
            ]
            return _combined(tests, every=operator == "not_regex")
        value = value[0]
    return _single(operator, value, is_boolean, saved_at, timezone)


OPERATORS = (
    *("exact", "is_not", "icontains", "not_icontains", "icontains_multi", "not_icontains_multi", "regex", "not_regex"),
    *("gt", "gte", "lt", "lte", "min", "max", "between", "not_between", "in", "not_in", "is_set", "is_not_set"),
    *("is_date_exact", "is_date_before", "is_date_after"),
)
_UNUSABLE = (
    *("semver_eq", "semver_neq", "semver_gt", "semver_gte", "semver_lt", "semver_lte", "semver_tilde", "semver_caret"),
    *("semver_wildcard", "is_cleaned_path_exact", "flag_evaluates_to"),
)


def _single(operator: str, value: Any, is_boolean: bool, saved_at: datetime | None, timezone: tzinfo) -> Test:
    match operator:
        case "is_set":
            return Test(lambda found: found is not None)
        case "is_not_set":
            return Test(lambda found: found is None)
        case "exact":
            return Test(_equal_to(_constant(value), is_boolean))
        case "is_not":
            is_equal = _equal_to(_constant(value), is_boolean)
            return Test(lambda found: not is_equal(found))
        case "gt" | "gte" | "lt" | "lte" | "min" | "max":
            return Test(_ordered({"min": "gte", "max": "lte"}.get(operator, operator), _constant(value)))
        case "icontains" | "not_icontains":
            return _contains(value, operator == "icontains")
        case "icontains_multi" | "not_icontains_multi":
            return _any_substring([value], operator == "icontains_multi")
        case "regex" | "not_regex":
            return _regex(value, operator == "regex")
        case "is_date_exact" | "is_date_before" | "is_date_after":
            return _date(operator, value, saved_at, timezone)
    raise HogError(
        f"operator {operator!r} needs a list of two or more values; PostHog fails for one. Use exact or is_not"
    )


def _constant(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise HogError(f"a value of a filter is text, a number or a boolean, not {type(value).__name__}")


def _equal_to(value: Any, is_boolean: bool) -> Callable[[Any], bool]:
    """Return coerced equality with a constant: number for text against number, "true" for text against boolean."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    if is_boolean and value in ("true", "false"):
        value = value == "true"
    if not isinstance(value, str):
        truth, figure = value, value
    else:
        truth, figure = value == "true", number(value)

    def test(found: Any) -> bool:
        kind = type(found)
        if kind is str:
            if isinstance(value, str):
                return bool(found == value)
            if isinstance(value, bool):
                return (found == "true") is value
            return value is not None and number(found) == value
        if kind is bool:
            return found is truth if isinstance(truth, bool) else value is not None and int(found) == value
        if kind is int or kind is float:
            return figure is not None and bool(found == figure)
        return found is None and value is None

    return test


def _membership(values: Sequence[Any], wanted: bool) -> Test:
    texts = frozenset(value for value in values if isinstance(value, str))
    others = [value for value in values if not isinstance(value, str)]

    def test(found: Any) -> bool:
        inside = found in texts if isinstance(found, str) else bool(others) and contains(others, found)
        return inside is wanted

    return Test(test)


_HOLDS: dict[str, frozenset[int]] = {
    "gt": frozenset({1}),
    "gte": frozenset({0, 1}),
    "lt": frozenset({-1}),
    "lte": frozenset({-1, 0}),
}


def _ordered(operator: str, value: Any) -> Callable[[Any], bool]:
    holds = _HOLDS[operator]
    return lambda found: order(found, value) in holds


def _between(operator: str, value: Any) -> Test:
    try:
        low, high = value
        fits = isinstance(value, list) and float(low) <= float(high)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise HogError(f"operator {operator!r} needs a list of two numbers, the smaller first")
    if operator == "between":
        return Test(lambda found: order(found, low) in (0, 1) and order(found, high) in (-1, 0))
    return Test(lambda found: order(found, low) == -1 or order(found, high) == 1)


def _contains(value: Any, wanted: bool) -> Test:
    if isinstance(value, list) and len(value) > 1:
        return _any_substring(value, wanted)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    # Python's text of the value, as PostHog's server makes the pattern
    search = compile_like(f"%{value}%", ignore_case=True).search
    return Test(lambda found: (search(found if isinstance(found, str) else text(found)) is not None) is wanted)


def _any_substring(values: Sequence[Any], wanted: bool) -> Test:
    lowered = [str(value).lower() for value in values]

    def test(found: Any) -> bool:
        haystack = text(found).lower()
        return any(value in haystack for value in lowered) is wanted

    return Test(test)


def _regex(value: Any, wanted: bool) -> Test:
    if not isinstance(value, str):
        value = text(_constant(value))
    is_match = matches(value)
    try:
        compile_regex(value)
        can_fail = False
    except HogError:
        can_fail = True
    return Test(lambda found: is_match(text(found)) is wanted, can_fail)


def _date(operator: str, value: Any, saved_at: datetime | None, timezone: tzinfo) -> Test:
    if not isinstance(value, str):
        raise HogError(f"operator {operator!r} needs a date as text, such as '2026-01-31'")
    if RELATIVE.match(value):
        try:
            resolved = resolve_when(value, now=saved_at or datetime.now(UTC), tz=timezone)
        except ParameterError as error:
            raise HogError(str(error)) from error
        assert resolved is not None  # only "all" has no moment
        value = f"{resolved:%Y-%m-%d %H:%M:%S}"
    moment = parse_moment(value)
    holds = {"is_date_exact": 0, "is_date_before": -1, "is_date_after": 1}[operator]

    def test(found: Any) -> bool:
        seconds = parse_moment(text(found))
        return seconds is not None and moment is not None and order(seconds, moment) == holds

    return Test(test)


def _combined(tests: Sequence[Test], *, every: bool) -> Test:
    """Join tests of one property; none is skipped, because one that fails makes the whole fail."""
    runs = [test.run for test in tests]

    def run(found: Any) -> bool:
        results = [one(found) for one in runs]
        return all(results) if every else any(results)

    return Test(run, any(test.can_fail for test in tests))
