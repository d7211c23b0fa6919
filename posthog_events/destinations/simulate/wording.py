"""What a simulation says in words: clauses, traps, and what to know about its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from posthog_events.destinations.conditions import condition_text
from posthog_events.destinations.model import Destination
from posthog_events.destinations.simulate.inputs import texts
from posthog_events.destinations.simulate.tally import Known
from posthog_events.hog.filters import Verdict
from posthog_events.hog.lint import Trap, lint_filters, lint_template

__all__ = ["clause_text", "notes", "traps"]


def clause_text(filters: Mapping[str, Any], verdict: Verdict, tests: Sequence[Any] = ()) -> str:
    """Return what a clause that turned events away asks for, in words."""
    path = verdict.clause
    if path.startswith(("events", "actions")) and "[" not in path:
        names = [str(entry.get("name") or entry.get("id")) for entry in filters.get("events") or ()]
        names += [f"action {entry.get('name') or entry.get('id')}" for entry in filters.get("actions") or ()]
        return f"the event is {' or '.join(names)}"
    item: Any = {**filters, "test_accounts": list(tests)}
    said = ""
    for step in path.split("."):
        name, _, place = step.partition("[")
        item = (item.get(name) or [])[int(place.removesuffix("]"))]
        if name in ("events", "actions"):
            said = f"{item.get('name') or item.get('id') or 'any event'}: "
        elif name == "test_accounts":
            said = "no test account: "
    if isinstance(item, Mapping):
        said += condition_text(item) or " ".join(
            str(item[key]) for key in ("key", "operator", "value") if item.get(key)
        )
    return f"{said} ({verdict.message})" if verdict.message else said


def traps(destination: Destination, known: Known) -> Iterator[Trap]:
    yield from lint_filters(destination.filters, actions=known.actions, test_account_filters=known.test_account_filters)
    for name, value in destination.inputs.items():
        for text in texts(value):
            yield from lint_template(text, where=f"inputs.{name}")
    if destination.masking is not None:
        yield from lint_template(str(destination.masking["hash"]), where="masking.hash")


def notes(internal: bool, since: datetime, until: datetime, hours: Sequence[int]) -> Iterator[str]:
    if internal:
        yield (
            "PostHog itself sends these events, and does not store them among the project's: nothing of them is seen "
            "here. They are not billed"
        )
    if not hours:
        yield "there are no events in this range, so that nothing is known of what would happen"
        return
    first, last = (datetime.fromtimestamp(hour * 3600, UTC) for hour in (hours[0], hours[-1] + 1))
    if (first - since) + (until - last) > (until - since) / 10:
        yield (
            f"events were seen only from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC; if the rest is missing "
            "and not silent, a month brings more than is expected here"
        )
