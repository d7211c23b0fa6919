"""The receiver: handlers, an inbox, and the ways in.

::

    receiver = Receiver(secrets=os.environ["SIGNING_SECRET"], inbox="inbox.db")

    @receiver.on("user_signed_up", where=["plan = pro"])
    def greet(event): ...

    app = Starlette(routes=[Mount("/webhooks", receiver.asgi)], lifespan=receiver.lifespan)

Making one, and adding handlers to it, opens nothing. The inbox is opened by the first delivery or by `start`, so that a
module with handlers can be imported by whoever only wants to look at them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar

from posthog_events.clock import utc_now
from posthog_events.errors import ConfigError, DeliveryRejected, InboxError
from posthog_events.posthog.redact import Redactor
from posthog_events.receiver.asgi import DEFAULT_LIMITS, ReceiverApp, ServingLimits
from posthog_events.receiver.dispatch import Dispatcher, Surroundings
from posthog_events.receiver.inbox import Added, Counts, Entry, Inbox
from posthog_events.receiver.intake import ACCEPTED, DUPLICATE, Answer, Intake, refusal, unavailable
from posthog_events.receiver.metrics import Gauges, Metrics
from posthog_events.receiver.payload import ReceivedEvent, parse_payload
from posthog_events.receiver.routing import (
    DEFAULT_CONCURRENCY,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT_S,
    Handler,
    Retries,
    Subscription,
    seconds,
)
from posthog_events.receiver.shape import DEFAULT, Shape
from posthog_events.receiver.verify import (
    JSON_MEDIA_TYPES,
    MAX_BODY_BYTES,
    TOLERANCE_S,
    Headers,
    HeaderSecret,
    Verifier,
)

__all__ = ["KEEP_FOR", "Receiver"]

KEEP_FOR: Final = timedelta(days=30)
GRACE_S: Final = 10.0
PRUNE_EVERY_S: Final = 3_600.0
MAX_ERROR: Final = 1_000

_log = logging.getLogger(__name__)

H = TypeVar("H", bound=Handler)


class Receiver:
    """Takes deliveries, keeps them, and gives them to handlers.

    Args:
        secrets: See `Verifier`, as for header_secret, allow_unsigned, tolerance_s, max_body_bytes and media_types.
        inbox: The file of one, opened when it is needed and closed by `close`; or an Inbox, whose owner closes it.
        destination: The name that deliveries are kept under, and recognised by together with their event's uuid. None
            takes the path of each request, so that `POST /signups` and `POST /purchases` are two destinations.
        shape: Where the parts of an event are in the body; None for bodies without one, see `parse_payload`.
        keep_headers: Headers that handlers want, beside content-type, user-agent and webhook-timestamp.
        keep_for: How long deliveries are kept after they arrived, once all their handlers are done. None keeps them.
        run_handlers: Whether to run them in this process; False only stores, for others to run (or `run_pending`).
        grace_s: How long `close` waits for handlers that run.
        limits: Of the ASGI app.
        clock: Returns an aware datetime.

    Raises:
        ConfigError: There is no secret, or something else that cannot be used.
    """

    def __init__(
        self,
        *,
        inbox: Inbox | Path | str,
        secrets: str | Iterable[str] = (),
        header_secret: HeaderSecret | None = None,
        allow_unsigned: bool = False,
        tolerance_s: float = TOLERANCE_S,
        max_body_bytes: int = MAX_BODY_BYTES,
        media_types: Collection[str] | None = JSON_MEDIA_TYPES,
        destination: str | None = None,
        shape: Shape | None = DEFAULT,
        keep_headers: Sequence[str] = (),
        keep_for: timedelta | None = KEEP_FOR,
        run_handlers: bool = True,
        grace_s: float = GRACE_S,
        limits: ServingLimits = DEFAULT_LIMITS,
        clock: Callable[[], datetime] = utc_now,
        rng: random.Random | None = None,
    ) -> None:
        known = (secrets,) if isinstance(secrets, str) else tuple(secrets)
        verifier = Verifier(
            known,
            header_secret=header_secret,
            tolerance_s=tolerance_s,
            allow_unsigned=allow_unsigned,
            max_body_bytes=max_body_bytes,
            media_types=media_types,
            clock=clock,
        )
        self._subscriptions: list[Subscription] = []
        self._intake = Intake(
            verifier,
            self._subscriptions,
            shape=shape,
            max_body_bytes=max_body_bytes,
            destination=destination,
            keep_headers=keep_headers,
            header_secret=header_secret,
            clock=clock,
        )
        self._given, self.shape, self._max_body_bytes = inbox, shape, max_body_bytes
        self._keep_for, self._run_handlers, self._grace_s = keep_for, run_handlers, grace_s
        self._clock, self._rng = clock, rng or random.Random()
        self._redactor = Redactor(*known, *(header_secret.values if header_secret else ()))
        self._limits = limits
        self._lock = threading.RLock()
        self._inbox: Inbox | None = None
        self._dispatcher: Dispatcher | None = None
        self._started = self._closed = False
        self._stopping = threading.Event()
        self.metrics = Metrics()

    def use_inbox(self, inbox: Inbox | Path | str) -> None:
        """Take another inbox than the one it was made with, as for `inbox`; only before it is first used."""
        if self._inbox is not None:
            raise RuntimeError("the receiver has opened its inbox already")
        self._given = inbox

    # -- handlers --------------------------------------------------------------------------------------------------

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The handlers, in the order in which they were added."""
        return tuple(self._subscriptions)

    def on(
        self,
        *events: str,
        where: str | Sequence[str] = (),
        name: str | None = None,
        ordered: bool = False,
        timeout: str | float | timedelta = DEFAULT_TIMEOUT_S,
        retries: int | Retries = DEFAULT_RETRIES,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> Callable[[H], H]:
        """Make a function the handler of some events; see `add_handler`."""

        def add(handler: H) -> H:
            self.add_handler(
                handler,
                *events,
                where=where,
                name=name,
                ordered=ordered,
                timeout=timeout,
                retries=retries,
                concurrency=concurrency,
            )
            return handler

        return add

    def add_handler(
        self,
        handler: Handler,
        *events: str,
        where: str | Sequence[str] = (),
        name: str | None = None,
        ordered: bool = False,
        timeout: str | float | timedelta = DEFAULT_TIMEOUT_S,
        retries: int | Retries = DEFAULT_RETRIES,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> None:
        """Add a handler.

        Args:
            handler: Called with the event, and with the `Context` when it has a second parameter or one of that name.
                An async one runs on a loop of its own, see `handler_loop`.
            events: Names, with `*` for any characters.
            where: Conditions in the short form of the declarations; all must hold.
            name: Under which its outcomes are kept; by default that of the function. With a new name it is another
                handler, and what waits for the old one stays with the old one.
            ordered: One person's events come one after the other.
            timeout: Of one attempt.
            retries: How many attempts follow the first, or all about them.
            concurrency: Attempts at a time.

        Raises:
            ConfigError: One of them cannot be used, the name is taken, or the handlers run already.
        """
        subscription = Subscription(
            name=getattr(handler, "__name__", "") if name is None else name,
            events=events,
            handler=handler,
            where=(where,) if isinstance(where, str) else tuple(where),
            ordered=ordered,
            timeout_s=seconds(timeout),
            retries=retries if isinstance(retries, Retries) else Retries(attempts=retries + 1),
            concurrency=concurrency,
        )
        if subscription.where and self.shape is None:
            raise ConfigError(f"the handler {subscription.name} has conditions, and without a shape there is no event")
        with self._lock:
            if self._dispatcher is not None:
                raise ConfigError(f"the handler {subscription.name} comes too late: the others run already")
            if any(subscription.name == other.name for other in self._subscriptions):
                raise ConfigError(
                    f"there are two handlers with the name {subscription.name}, and their outcomes could not be told "
                    "apart; give one of them name="
                )
            self._subscriptions.append(subscription)

    # -- deliveries ------------------------------------------------------------------------------------------------

    def receive(self, body: bytes, headers: Headers, *, path: str = "") -> Answer:
        """Take a delivery; for web frameworks that are not ASGI. Returns once it is stored, or refused.

        The handlers run once `start` was called, which such an application does when it begins.

        Args:
            path: Of the request, below where the receiver is.
        """
        try:
            entry = self._intake.entry(body, headers, path=path)
            (added,) = self.inbox.add((entry,))
        except DeliveryRejected as rejected:
            return self.refuse(rejected)
        except InboxError as error:
            return self._not_stored(error)
        return self._stored(entry, added)

    async def receive_async(self, body: bytes, headers: Headers, *, path: str = "") -> Answer:
        """Do the same without blocking the event loop, but for opening the inbox: do that before, with `start`."""
        try:
            entry = self._intake.entry(body, headers, path=path)
            (added,) = await self.inbox.add_async((entry,))
        except DeliveryRejected as rejected:
            return self.refuse(rejected)
        except InboxError as error:
            return self._not_stored(error)
        return self._stored(entry, added)

    def refuse(self, rejected: DeliveryRejected, **headers: str) -> Answer:
        """Log and count a delivery that is not taken, and return the answer."""
        # anybody can cause it, so it is no warning
        _log.info("a delivery was refused (%d %s): %s", rejected.status, rejected.code, rejected.reason)
        answer = refusal(rejected, **headers)
        self.metrics.answered(answer.status, answer.code)
        return answer

    def _stored(self, entry: Entry, added: Added) -> Answer:
        answer, dispatcher = DUPLICATE if added.duplicate else ACCEPTED, self._dispatcher
        if dispatcher is not None and not added.duplicate:
            dispatcher.wake(entry.handlers)
        self.metrics.answered(answer.status, answer.code)
        return answer

    def _not_stored(self, error: InboxError) -> Answer:
        _log.error("a delivery could not be stored: %s", error)
        answer = unavailable(error)
        self.metrics.answered(answer.status, answer.code)
        return answer

    # -- work ------------------------------------------------------------------------------------------------------

    @cached_property
    def asgi(self) -> ReceiverApp:
        """The ASGI app, see `asgi`."""
        return ReceiverApp(self, limits=self._limits, max_body_bytes=self._max_body_bytes)

    @property
    def inbox(self) -> Inbox:
        """The inbox, opened if it is not yet.

        Raises:
            InboxCorrupt: It was damaged, and is set aside; the next call begins a new one.
            InboxError: It cannot be opened, or the receiver is closed.
        """
        if self._inbox is not None:
            return self._inbox
        with self._lock:
            if self._closed:
                raise InboxError("the receiver is closed")
            if self._inbox is None:
                self._inbox = self._opened()
            return self._inbox

    @property
    def wants_start(self) -> bool:
        """Whether it was neither started nor closed."""
        return not (self._started or self._closed)

    def start(self) -> None:
        """Open the inbox and begin to run handlers; again, after `close`. Does nothing the second time.

        Raises:
            InboxError: The inbox cannot be opened.
        """
        with self._lock:
            if self._started:
                return
            self._closed = False
            inbox = self.inbox
            self._stopping.clear()
            if self._run_handlers:
                self._made_dispatcher().start()
            if self._keep_for is not None:
                threading.Thread(
                    target=self._keep_pruning, args=(inbox, self._keep_for), name="posthog-events-prune", daemon=True
                ).start()
            self._started = True

    def run_pending(self) -> int:
        """Run the handlers whose tasks are due now, one after the other, and return how many; for tests.

        A task that fails is due again after its wait, by the receiver's clock.

        Raises:
            ConfigError: The handlers run already, in the background.
        """
        with self._lock:
            if self._started and self._run_handlers:
                raise ConfigError("the handlers run already; run_pending() is for a receiver that was not started")
            dispatcher = self._made_dispatcher()
        return dispatcher.run_pending()

    def close(self) -> None:
        """Stop the handlers, wait `grace_s` for those that run, give back the others, and close what was opened."""
        with self._lock:
            self._stopping.set()
            dispatcher, self._dispatcher = self._dispatcher, None
            inbox, self._inbox = self._inbox, None
            self._started, self._closed = False, True
        if dispatcher is not None:
            dispatcher.stop(grace_s=self._grace_s)
        if inbox is not None and inbox is not self._given:
            inbox.close()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Start and close with an application: `Starlette(lifespan=receiver.lifespan)`.

        A mounted app has no lifespan of its own. Without this the handlers begin with the first request, so that what
        was left over from before a restart waits for it.
        """
        await asyncio.to_thread(self.start)
        try:
            yield
        finally:
            await asyncio.to_thread(self.close)

    # -- what it is like -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Write to the inbox, to see whether it can be done.

        Raises:
            InboxError: It cannot.
        """
        # no tasks, and yet a transaction
        self.inbox.retry((), now=self._clock())

    def counts(self) -> Counts | None:
        """Return how full the inbox is; None when it cannot be read."""
        try:
            return self.inbox.counts()
        except InboxError as error:
            _log.error("the inbox cannot be counted: %s", error)
            return None

    def metrics_text(self, counts: Counts | None, *, in_flight: int = 0) -> bytes:
        """Return the metrics in Prometheus' text format.

        Raises:
            MissingExtra: There is no `prometheus_client`.
        """
        left = self._dispatcher.left if self._dispatcher is not None else {}
        return self.metrics.text(Gauges(counts=counts, in_flight=in_flight, left=left, now=self._clock()))

    def _opened(self) -> Inbox:
        if not isinstance(self._given, str | os.PathLike):
            return self._given
        from posthog_events.receiver.sqlite_inbox import SqliteInbox

        return SqliteInbox(Path(self._given))

    def _made_dispatcher(self) -> Dispatcher:
        if self._dispatcher is None:
            surroundings = Surroundings(
                inbox=self.inbox,
                parse=self._parse,
                redact=lambda text: self._redactor.text(text, max_chars=MAX_ERROR),
                ended=self.metrics.ended,
                clock=self._clock,
                rng=self._rng,
            )
            self._dispatcher = Dispatcher(self._subscriptions, surroundings)
        return self._dispatcher

    def _parse(self, body: bytes) -> ReceivedEvent | None:
        return parse_payload(body, shape=self.shape, max_bytes=self._max_body_bytes)

    def _keep_pruning(self, inbox: Inbox, keep_for: timedelta) -> None:
        while True:
            now = self._clock()
            try:
                pruned = inbox.prune(before=now - keep_for, now=now)
                _log.debug("%d deliveries were pruned", pruned)
            except InboxError as error:
                _log.error("the inbox is not pruned: %s", error)
            if self._stopping.wait(PRUNE_EVERY_S):
                return
