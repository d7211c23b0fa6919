"""One invocation of a hog function, from its code's first line to its last, with the requests in between.

Source: reference 5.1 to 5.3 and 6; PostHog/posthog:nodejs/src/cdp/services/hog-executor-async.service.ts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.delivery import send
from posthog_events.emulator.hog_inputs import redacted, sensitive_values
from posthog_events.emulator.hog_programs import Answer, Fetch, Run, RunFailed
from posthog_events.emulator.hog_state import Delivery, HogRow, HogState
from posthog_events.emulator.hog_templates import program_of

if TYPE_CHECKING:
    from posthog_events.emulator.world import World

__all__ = ["Invocation", "carry_on", "invocation_of"]

MAX_PRINTS = 25
MAX_FETCHES = 5
NO_PROGRAM = "this emulator runs the code of PostHog's templates only, and this function has code of its own"


@dataclass(slots=True)
class Invocation:
    """A run, and where it stands.

    Args:
        log: Takes a level and a message.
        count: Takes the kind and the name of a metric.
        mock: Requests are not sent, and answered with 200 and `{}`.
        attempts: Of the request that is under way.
        running: The program, once it has begun.
        pending: The request that it waits for.
        error: Why the run failed; None as long as it did not.
        runs: How often it ran, reruns included.
    """

    id: str
    row: HogRow
    globals: Mapping[str, Any]
    inputs: Mapping[str, Any]
    log: Callable[[str, str], None]
    count: Callable[[str, str], None]
    mock: bool = False
    attempts: int = 0
    fetches: int = 0
    request_ms: list[float] = field(default_factory=list)
    error: str | None = None
    error_kind: str | None = None
    runs: int = 1
    running: Run | None = None
    pending: Fetch | None = None
    _prints: int = 0
    _sensitive: frozenset[str] = frozenset()

    @property
    def event_uuid(self) -> str | None:
        """The uuid of the event that fired it."""
        uuid = self.globals.get("event", {}).get("uuid")
        return None if uuid is None else str(uuid)

    def tell(self, level: str, message: str) -> None:
        """Log something, without what is secret in it."""
        self.log(level, redacted(message, self._sensitive))

    def print(self, *values: Any) -> None:
        """Hog's `print`: only so many lines."""
        self._prints += 1
        if self._prints == MAX_PRINTS:
            self.tell("warn", "Function exceeded maximum log entries. No more logs will be collected.")
        elif self._prints < MAX_PRINTS:
            self.tell("info", " ".join(one if isinstance(one, str) else json.dumps(one) for one in values))

    def fail(self, kind: str, message: str) -> None:
        """Note why the run failed; the first reason stays."""
        if self.error is None:
            self.error, self.error_kind = redacted(message, self._sensitive), kind


def invocation_of(
    row: HogRow,
    globals_: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    id_: str,
    log: Callable[[str, str], None],
    count: Callable[[str, str], None],
    mock: bool = False,
    runs: int = 1,
) -> Invocation:
    """Return a run that has not begun."""
    secrets = {key: item.get("value") for key, item in row.secrets.items()}
    sensitive = sensitive_values(row.inputs_schema, inputs) | sensitive_values(row.inputs_schema, secrets)
    return Invocation(id_, row, globals_, inputs, log, count, mock, runs=runs, _sensitive=sensitive)


def carry_on(invocation: Invocation, *, world: World, state: HogState) -> float | None:
    """Run until the end, or until a request has to be repeated.

    Returns:
        Seconds to wait before the next call; None when the run is over.
    """
    if invocation.running is None:
        program = program_of(invocation.row.hog)
        if program is None:
            _thrown(invocation, NO_PROGRAM)
            return None
        invocation.running = program(invocation.inputs, invocation.print)
        if not _advance(invocation, None):
            return None
    while invocation.pending is not None:
        fetch = invocation.pending
        if invocation.mock:
            answer = _mocked(invocation, fetch)
        else:
            result = _attempt(invocation, fetch, world, state)
            if isinstance(result, float):
                return result
            answer = result
        if not _advance(invocation, answer):
            return None
    return None


def _advance(invocation: Invocation, answer: Answer | None) -> bool:
    """Run the code up to its next request; False when there is none."""
    assert invocation.running is not None  # the caller made it
    invocation.pending, invocation.attempts = None, 0
    try:
        invocation.pending = next(invocation.running) if answer is None else invocation.running.send(answer)
    except StopIteration:
        total = sum(invocation.request_ms)
        invocation.tell("debug", f"Function completed in {total:.2g}ms. Event: '{_event_url(invocation)}'")
        return False
    except RunFailed as error:
        _thrown(invocation, str(error))
        return False
    invocation.fetches += 1
    if invocation.fetches > MAX_FETCHES:
        _thrown(invocation, f"Exceeded maximum number of async steps: {MAX_FETCHES}")
        return False
    return True


def _event_url(invocation: Invocation) -> str:
    return str(invocation.globals.get("event", {}).get("url", ""))


def _thrown(invocation: Invocation, message: str) -> None:
    event = invocation.event_uuid or "Unknown event"
    invocation.tell("error", f"Error executing function on event {event}: Error: {message}")
    invocation.fail("error", message)


def _mocked(invocation: Invocation, fetch: Fetch) -> Answer:
    invocation.tell("info", "Async function 'fetch' was mocked with arguments:")
    arguments = json.dumps(fetch.arguments, indent=2, ensure_ascii=False)
    invocation.tell("info", f"fetch('{fetch.url}', {arguments})")
    return Answer(200, {})


def _attempt(invocation: Invocation, fetch: Fetch, world: World, state: HogState) -> Answer | float:
    """Send a request; return its answer, or the seconds until it is sent again."""
    rules = state.rules
    for _ in range(2 if rules.duplicate else 1):
        at = world.now()
        sent = send(fetch, rules, world=world, delivery_id=invocation.id)
        with state.lock:
            state.deliveries.append(
                Delivery(
                    at=at,
                    function_id=invocation.row.id,
                    invocation_id=invocation.id,
                    event_uuid=invocation.event_uuid,
                    attempt=invocation.attempts + 1,
                    method=fetch.method,
                    url=str(fetch.url),
                    headers=sent.headers,
                    body=fetch.body,
                    status=sent.status,
                    error=sent.error,
                )
            )
    invocation.attempts += 1
    invocation.request_ms.append(sent.ms)
    if sent.status is None or sent.status >= 400:
        passed = _is_no_failure(invocation.row, sent.status)
        again = sent.again and invocation.attempts < rules.attempts
        shown = "(none)" if sent.status is None else sent.status
        message = f"HTTP fetch failed on attempt {invocation.attempts} with status code {shown}."
        message += f" Error: {sent.error}." if sent.error else ""
        message += " Retrying." if again else ""
        invocation.tell("info" if passed else "error", message)
        if again:
            wait = rules.backoff_s * (invocation.attempts + state.randomness.random())
            return min(wait, rules.backoff_max_s) * rules.time_scale
        if not passed:
            invocation.fail("network" if sent.status is None else f"http_{sent.status // 100}xx", message)
    invocation.count("other", "fetch")
    return Answer(sent.status or 500, _decoded(sent.body) if sent.status is not None else sent.error)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_no_failure(row: HogRow, status: int | None) -> bool:
    """Whether the function's own list says that a status is no failure."""
    if status is None:
        return False
    for item in row.inputs_schema:
        if item["type"] == "non_failure_status_codes":
            given = row.inputs.get(str(item["key"]), {}).get("value") or []
            return any(one == status or str(one).lower() == f"{status // 100}xx" for one in given)
    return False
