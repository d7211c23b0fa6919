"""Whether conditions that must all hold can hold at all, as PostHog evaluates them (reference 3.4).

Only what is certain is said: coercion between texts, numbers and booleans, and a missing property that counts as 0,
make more combinations possible than meets the eye.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from posthog_events.destinations.conditions import condition_text

__all__ = ["contradiction"]

_LOWER = {"gt": False, "gte": True, "min": True}
_UPPER = {"lt": False, "lte": True, "max": True}


def contradiction(properties: Iterable[Mapping[str, Any]]) -> str | None:
    """Return why no event passes all of `properties`; None when one may."""
    places: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for item in properties:
        places[item["type"], item["key"], item.get("group_type_index")].append(item)
    for items in places.values():
        if len(items) > 1 and _impossible(items):
            said = " and ".join(f"`{condition_text(item) or item['operator']}`" for item in items)
            return f"{said} cannot be true together, so nothing would ever match"
    return None


def _impossible(items: list[Mapping[str, Any]]) -> bool:
    operators = {item.get("operator") for item in items}
    unset = "is_not_set" in operators
    if unset and operators & {"is_set", "exact"}:
        return True
    low, low_in, high, high_in = _bounds(items)
    if low > high or (low == high and not (low_in and high_in)):
        return True
    # a missing property counts as 0 here
    if unset and operators & {*_LOWER, *_UPPER, "between"} and not _inside(0, low, low_in, high, high_in):
        return True
    wanted = [_values(item) for item in items if item.get("operator") == "exact"]
    left: set[Any] | None = None
    for values in wanted:
        alike = {_alike(value) for value in values}
        left = alike if left is None else left & alike
    if left is not None and not left:
        return True
    return any(
        all(_excluded(value, len(values) > 1, items) or _outside(value, low, low_in, high, high_in) for value in values)
        for values in wanted
    )


def _bounds(items: list[Mapping[str, Any]]) -> tuple[float, bool, float, bool]:
    """Return the lowest and highest number that passes, and whether each passes itself."""
    low, low_in, high, high_in = -math.inf, True, math.inf, True
    for item in items:
        operator, value = item.get("operator"), item.get("value")
        least, most = value if operator == "between" and isinstance(value, list) else (value, value)
        if (operator in _LOWER or operator == "between") and _is_number(least):
            # of equal bounds the stricter one counts
            low, open_ = max((low, not low_in), (float(least), not _LOWER.get(str(operator), True)))
            low_in = not open_
        if (operator in _UPPER or operator == "between") and _is_number(most):
            high, high_in = min((high, high_in), (float(most), _UPPER.get(str(operator), True)))
    return low, low_in, high, high_in


def _inside(value: float, low: float, low_in: bool, high: float, high_in: bool) -> bool:
    return low < value < high or (value == low and low_in) or (value == high and high_in)


def _outside(value: Any, low: float, low_in: bool, high: float, high_in: bool) -> bool:
    return _is_number(value) and not _inside(value, low, low_in, high, high_in)


def _excluded(value: Any, strict: bool, items: list[Mapping[str, Any]]) -> bool:
    """Return whether an `is_not` among `items` rules `value` out; lists compare strictly, single values coerce."""
    for item in items:
        if item.get("operator") == "is_not":
            others = _values(item)
            same = any(type(value) is type(other) and value == other for other in others)
            if same and (strict or len(others) == 1 or _only_itself(value)):
                return True
    return False


def _only_itself(value: Any) -> bool:
    """Whether nothing but `value` is equal to it after coercion."""
    return isinstance(value, str) and _alike(value) == value


def _values(item: Mapping[str, Any]) -> list[Any]:
    value = item.get("value")
    return value if isinstance(value, list) else [value]


def _alike(value: Any) -> Any:
    """Return one representative for all values that may be equal after coercion."""
    if isinstance(value, str):
        if value in ("true", "false"):
            return float(value == "true")
        try:
            return float(value)
        except ValueError:
            return value
    return float(value)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
