"""One PostHog project as Python users hold it: its engine, and everything that is more than a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from posthog_events.config import PostHogTarget
from posthog_events.errors import ConfigError, IncompleteExtraction
from posthog_events.limits import QUERY_RATE, QUERY_SLOTS, Rate
from posthog_events.posthog.capture import Sent, find_missing, prepare, send_batch
from posthog_events.posthog.cassette import is_replaying
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.definitions import event_definitions, property_definitions
from posthog_events.posthog.engine import PostHogEngine
from posthog_events.posthog.events import EventListing, event_values, get_event, list_events
from posthog_events.posthog.export import ExportReport, export_events
from posthog_events.posthog.extract import Extraction, Progress, extract_rows
from posthog_events.posthog.host import Host, parse_host
from posthog_events.posthog.http import Bucket, Reply, Request
from posthog_events.posthog.observer import Observer
from posthog_events.posthog.pace import RATES, SharedPace, state_directory
from posthog_events.posthog.persons import list_persons
from posthog_events.posthog.pull import PullReport, pull
from posthog_events.posthog.retry import MAX_OUTAGE_S, MAX_WAIT_S, RetryPolicy
from posthog_events.result import Query

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.clickhouse.store import EventStore

__all__ = ["EVENT_COLUMNS", "Project", "event_query", "open_client"]

EVENT_COLUMNS = ("uuid", "event", "timestamp", "distinct_id", "person_id", "properties")
"""What a listing of events shows unless told otherwise."""

STORED_COLUMNS = (
    *EVENT_COLUMNS,
    "created_at",
    "elements_chain",
    "$session_id",
    "$window_id",
    *(f"$group_{number}" for number in range(5)),
    "person.properties AS person_properties",
    "person.created_at AS person_created_at",
)
"""What a local store keeps of an event."""


def open_client(
    target: PostHogTarget,
    *,
    max_wait_s: float | None = None,
    max_outage_s: float = MAX_OUTAGE_S,
    observer: Observer | None = None,
) -> ApiClient:
    """Return the client of a project, sharing PostHog's limits with all processes of this machine.

    Args:
        max_wait_s: Seconds to wait for a rate limit at most; None: as long as PostHog ever asks for.
        max_outage_s: Seconds to wait at most for a PostHog that fails or cannot be reached.

    Raises:
        ConfigError: The host or the key cannot be used.
    """
    host = parse_host(target.host)
    if is_replaying():
        return ApiClient(host, target.project_id, target.key, sleep=lambda seconds: None)
    observer = observer or Observer()
    patience = MAX_WAIT_S if max_wait_s is None else max_wait_s
    rate = Rate(
        target.limits.get("queries_per_minute", QUERY_RATE.per_minute),
        target.limits.get("queries_per_hour", QUERY_RATE.per_hour),
    )
    pace = SharedPace(
        state_directory(),
        origin=host.origin,
        project_id=target.project_id,
        max_wait_s=patience,
        rates={**RATES, Bucket.QUERY: rate},
        slots=target.limits.get("queries_at_a_time", QUERY_SLOTS),
        on_wait=observer.wait,
    )
    policy = RetryPolicy(max_wait_s=patience, max_outage_s=max_outage_s)
    return ApiClient(host, target.project_id, target.key, policy=policy, pace=pace, on_attempt=observer.attempt)


class Project:
    """A PostHog project; `connect("posthog://...").project`.

    Args:
        api: Sends requests.
        engine: Runs HogQL.
        host: Where the project is, and where its events are sent.
        token: The project token, for capture.
    """

    def __init__(
        self,
        api: ApiClient,
        engine: PostHogEngine,
        *,
        clock: Callable[[], datetime],
        host: Host,
        token: str | None = None,
    ) -> None:
        self.api, self.engine = api, engine
        self._clock, self._host, self._token = clock, host, token

    @classmethod
    def open(
        cls,
        target: PostHogTarget,
        *,
        clock: Callable[[], datetime],
        timezone: str | None = None,
        fresh: bool = False,
        asynchronous: bool = False,
        max_wait_s: float | None = None,
        observer: Observer | None = None,
        token: str | None = None,
    ) -> Self:
        """Open a project; nothing is sent yet. Arguments are those of `connect`.

        Raises:
            ConfigError: The host or the key cannot be used.
        """
        api = open_client(target, max_wait_s=max_wait_s, observer=observer)
        engine = PostHogEngine(
            api,
            fixed_timezone=timezone,
            fresh=fresh,
            asynchronous=asynchronous,
            on_progress=observer.progress if observer else None,
        )
        return cls(api, engine, clock=clock, host=parse_host(target.host), token=token)

    def extract(
        self,
        query: str | Query,
        *,
        since: datetime,
        until: datetime,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Extraction:
        """Fetch every row of a SELECT over events, past PostHog's 50,000, slice by slice; iterate over it.

        Args:
            query: Columns and conditions of the events table, without GROUP BY, ORDER BY, LIMIT and the like.
            since: First moment, aware.
            until: First moment after the range, aware.

        Raises:
            HogQLError: The query cannot be extracted. `IncompleteExtraction` and the engine's errors come later, while
                rows are taken.
        """
        text = Query(query) if isinstance(query, str) else query
        return extract_rows(self.engine, text, since=since, until=until, on_progress=on_progress)

    def rows(self, query: str | Query, *, since: datetime, until: datetime) -> pl.DataFrame:
        """Return every row of a SELECT over events as one frame, in order of time; see `extract`.

        Raises:
            HogQLError: The query cannot be extracted.
            IncompleteExtraction: The server's count and the rows differ, after fetching again.
        """
        return self.extract(query, since=since, until=until).frame()

    def events(
        self,
        *,
        since: datetime,
        until: datetime,
        select: Sequence[str] = EVENT_COLUMNS,
        names: Sequence[str] = (),
        where: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Extraction:
        """Fetch every event of a range; see `extract`.

        Args:
            select: HogQL expressions, such as `properties.plan` or `person.properties.email AS email`.
            names: Event names; none means all.
            where: A HogQL condition.
        """
        query = event_query(select=select, names=names, where=where)
        return self.extract(query, since=since, until=until, on_progress=on_progress)

    def list_events(self, *, since: datetime, until: datetime, verify: bool = True, **filters: Any) -> EventListing:
        """Fetch the events of a range from the REST listing, for keys and servers without HogQL.

        Args:
            verify: Count the events with HogQL afterwards. Only `event` can be counted that way; other filters leave
                the listing unverified.
            filters: Those of `posthog_events.posthog.events.list_events`.

        Raises:
            IncompleteExtraction: The count and the events differ, or too many share one microsecond.
        """
        countable = {name for name, value in filters.items() if value is not None} <= {"event", "on_progress"}

        def count() -> int:
            where = "event = {event}" if filters.get("event") else "1 = 1"
            text = (
                "SELECT count(DISTINCT uuid) AS n FROM events "
                f"WHERE timestamp >= {{since}} AND timestamp < {{until}} AND {where} LIMIT 1"
            )
            values = {"since": since, "until": until, "event": filters.get("event")}
            fresh = replace(self.engine, fresh=True)
            return int(fresh.run(Query(text, values, name="events listing count")).scalar())

        return list_events(
            self.api, after=since, before=until, count=count if verify and countable else None, **filters
        )

    def event(self, uuid: str) -> pl.DataFrame:
        """Return one event, with its person, as a frame of one row.

        Raises:
            NotFound: There is no such event.
        """
        return get_event(self.api, uuid)

    def event_values(self, key: str, event: str, *, contains: str | None = None) -> pl.DataFrame:
        """Return values that a property of an event had lately, in the column `name`."""
        return event_values(self.api, key, event, value=contains)

    def persons(self, **filters: Any) -> pl.DataFrame:
        """List persons; filters are those of `posthog_events.posthog.persons.list_persons`."""
        return list_persons(self.api, **filters)

    def event_definitions(self, **filters: Any) -> pl.DataFrame:
        """List the project's event names; see `posthog_events.posthog.definitions.event_definitions`."""
        return event_definitions(self.api, **filters)

    def property_definitions(self, **filters: Any) -> pl.DataFrame:
        """List the project's properties; see `posthog_events.posthog.definitions.property_definitions`."""
        return property_definitions(self.api, **filters)

    def export(self, out: Path, *, since: datetime, until: datetime, **options: Any) -> ExportReport:
        """Export the events that PostHog stored in a range into a directory, with proof; resumes.

        Args:
            options: Those of `posthog_events.posthog.export.export_events`.

        Raises:
            ExportFailed, QuotaExceeded, ConfigError, ApiError, ConnectionFailed: As there; the next call resumes.
        """
        return export_events(
            self.api,
            out,
            since=since,
            until=until,
            rows=self._stored_columns,
            definitions=self._definitions,
            clock=self._clock,
            **options,
        )

    def pull(self, store: EventStore, **options: Any) -> PullReport:
        """Bring a local store up to date, each event once; see `posthog_events.posthog.pull.pull`."""
        return pull(
            store,
            self.api,
            rows=self._stored_columns,
            definitions=self._definitions,
            clock=self._clock,
            **options,
        )

    def capture(self, events: Iterable[Mapping[str, Any]], *, verify_s: float | None = None) -> Sent:
        """Send events, refusing first what PostHog would drop without a word.

        Args:
            events: `{"event", "distinct_id", "properties"?, "timestamp"?, "uuid"?}`.
            verify_s: Read the events back for at most so many seconds; None does not.

        Raises:
            ParameterError: PostHog would drop some of the events; nothing was sent.
            ConfigError: There is no project token.
            IncompleteExtraction: Some of the events could not be read back in time.
        """
        if self._token is None:
            raise ConfigError("capture needs the project token (phc_...): set POSTHOG_PROJECT_TOKEN")
        ready = prepare(events, now=self._clock)
        host = replace(self._host, origin=self._host.capture_origin)
        with ApiClient(host, self.api.project_id, None) as client:

            def post(path: str, body: bytes) -> Reply:
                # every event has a uuid, so that a body that comes twice counts once
                return client.send(Request("POST", path, json=msgspec.Raw(body), bucket=Bucket.CAPTURE))

            sent = send_batch(ready, token=self._token, post=post, now=self._clock)
        if verify_s is not None and ready:
            since = min(datetime.fromisoformat(event["timestamp"]) for event in ready)
            missing = find_missing(self.engine.run, sent.uuids, since=since, wait_s=verify_s)
            if missing:
                raise IncompleteExtraction(
                    f"{len(missing):,} of {len(sent.uuids):,} events sent could not be read back within "
                    f"{verify_s:.0f} s, the first of them {missing[0]}. They may still be on their way"
                )
        return sent

    def _stored_columns(self, since: datetime, until: datetime) -> Iterator[pl.DataFrame]:
        """Yield events with every column that a local store keeps."""
        with closing(self.events(since=since, until=until, select=STORED_COLUMNS)) as extraction:
            for chunk in extraction:
                yield chunk.frame

    def _definitions(self, of: Literal["event", "person"]) -> pl.DataFrame:
        return property_definitions(self.api, type=of)

    def close(self) -> None:
        """Close the connections."""
        self.api.close()

    def __repr__(self) -> str:
        return f"Project({self.engine.dsn!r})"


def event_query(*, select: Sequence[str], names: Sequence[str] = (), where: str | None = None) -> Query:
    """Return the query for some columns of events; `select` and `where` are HogQL, `names` are values."""
    placeholders = {f"name_{number}": name for number, name in enumerate(names)}
    conditions = [f"event IN ({', '.join(f'{{{name}}}' for name in placeholders)})"] if names else []
    if where:
        conditions.append(f"({where})")
    clause = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return Query(f"SELECT {', '.join(select)} FROM events{clause}", placeholders, name="events")
