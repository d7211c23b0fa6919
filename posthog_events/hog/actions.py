"""Actions inside filters: PostHog inlines their steps when the function, or the action, is saved.

Source: PostHog/posthog:posthog/hogql/property.py (steps_to_expr), August 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from posthog_events.errors import HogError
from posthog_events.hog.evaluate import Scope
from posthog_events.hog.properties import Check, Context, always, joined, property_check
from posthog_events.hog.regex import compile_like, compile_regex, matches
from posthog_events.hog.values import equal, js_string, text

__all__ = ["action_check"]


def action_check(item: Mapping[str, Any], path: str, actions: Mapping[Any, Any], context: Context) -> Check:
    """Compile an entry of type `actions`, without its own properties.

    Args:
        item: The entry; its id is a number, or a text of digits.
        path: Where it stands.
        actions: By id, as number or text: PostHog's object of the action, or its list of steps.
        context: See `Context`.

    Raises:
        HogError: The action is not known, or a step could not be compiled.
    """
    if "id" not in item:
        return Check(path, lambda scope: False)
    try:
        number = int(item["id"])
    except (TypeError, ValueError) as error:
        raise HogError(f"the id of an action is a number, not {item['id']!r}", where=path) from error
    action = actions.get(number, actions.get(str(number)))
    if action is None:
        raise HogError(f"the project has no action {number}, or it was not given", where=path)
    steps = action.get("steps") or () if isinstance(action, Mapping) else action
    if not steps:
        return always(path)
    checks = [_step(step, path, context) for step in steps]
    whole = joined(checks, path, every=False)
    return Check(path, whole.run, boolean=whole.boolean, can_fail=whole.can_fail, vanishes=whole.vanishes)


def _step(step: Mapping[str, Any], path: str, context: Context) -> Check:
    checks: list[Check] = []

    def add(run: Callable[[Scope], bool], can_fail: bool = False) -> None:
        checks.append(Check(path, run, can_fail=can_fail))

    event = step.get("event")
    if event:
        add(lambda scope: equal(scope["event"]["event"], event))
    if event == "$autocapture":
        for key in ("selector", "tag_name"):
            if step.get(key) if key == "selector" else step.get(key) is not None:
                checks.append(_element(key, "exact", step[key], path, context))
        for key in ("href", "text"):
            if step.get(key) is not None:
                operator = {"regex": "regex", "contains": "icontains"}.get(step.get(f"{key}_matching") or "", "exact")
                checks.append(_element(key, operator, step[key], path, context))
    if step.get("url"):
        add(*_url(js_string(step["url"]), step.get("url_matching")))
    properties: Sequence[Any] = step.get("properties") or ()
    checks += [property_check(one, path, context) for one in properties]
    return joined(checks, path, every=True) if checks else always(path)


def _element(key: str, operator: str, value: Any, path: str, context: Context) -> Check:
    return property_check({"type": "element", "key": key, "operator": operator, "value": value}, path, context)


def _url(url: str, matching: Any) -> tuple[Callable[[Scope], bool], bool]:
    """Return the test of `$current_url`, and whether it can fail; the default is a part of it, case-sensitive."""

    def found(scope: Scope) -> Any:
        return (scope["event"].get("properties") or {}).get("$current_url")

    if matching == "exact":
        return (lambda scope: equal(found(scope), url)), False
    if matching == "regex":
        is_match = matches(url)
        try:
            compile_regex(url)
            can_fail = False
        except HogError:
            can_fail = True
        return (lambda scope: is_match(js_string(found(scope) or ""))), can_fail
    search = compile_like(f"%{url}%", ignore_case=False).search
    return (lambda scope: search(text(found(scope))) is not None), False
