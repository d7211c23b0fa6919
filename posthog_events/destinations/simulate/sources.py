"""Where a simulation's events come from: an engine, or frames (see `files` for files).

An engine is asked for numbers where numbers will do, and for rows slice by slice, so that no limit of rows cuts the
answer and memory holds one slice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from posthog_events.errors import Fault, ParameterError, TruncatedResult
from posthog_events.limits import MAX_ROWS
from posthog_events.result import Engine, Query, QueryResult, Value

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COLUMNS", "EngineEvents", "EventSource", "FrameEvents", "frame_types"]

COLUMNS = (
    *("uuid", "event", "timestamp", "distinct_id", "properties", "elements_chain", "person_id", "person_properties"),
)
"""Of a source's frames: texts, but for `timestamp`, a Datetime; documents are JSON text. The last three may be null."""

_SELECT = (
    "SELECT uuid, event, timestamp, distinct_id, properties, elements_chain, person_id, "
    "person.properties AS person_json FROM events"
)
SLICE_ROWS = 50_000
"""Rows fetched at a time from an engine without limits of rows."""

_HOUR = timedelta(hours=1)


@runtime_checkable
class EventSource(Protocol):
    """Gives the events of a range of time, as frames of `COLUMNS`, in order of time."""

    def range(self, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
        """Return the range that is looked at: what is asked for, or that of the events themselves."""
        ...

    def hours(self, since: datetime, until: datetime) -> Mapping[int, int]:
        """Return the number of events of each hour that has any; hours are counted from 1970 UTC."""
        ...

    def frames(self, since: datetime, until: datetime, names: Sequence[str] | None) -> Iterator[pl.DataFrame]:
        """Return the events of some names; None: of all."""
        ...

    def group(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """Return `{index, properties}` of a group; None when there is no such type."""
        ...


class FrameEvents:
    """Frames that somebody else made: the seam for every other source.

    Args:
        frames: In order of time. They are gone through once, and what is needed of them is kept.
        group_types: Group type to its index.
    """

    def __init__(self, frames: Iterable[pl.DataFrame], *, group_types: Mapping[str, int] | None = None) -> None:
        self._given = iter(frames)
        self._kept: pl.DataFrame | None = None
        self._group_types = dict(group_types or {})

    @property
    def _frame(self) -> pl.DataFrame:
        if self._kept is None:
            import polars as pl

            parts = [frame.select(_shape(frame)) for frame in self._given]
            self._kept = pl.concat([pl.DataFrame(schema=frame_types()), *parts]).sort("timestamp", "uuid")
        return self._kept

    def range(self, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
        times = self._frame["timestamp"]
        first, last = times.min(), times.max()
        if not isinstance(first, datetime) or not isinstance(last, datetime):
            first = last = datetime(1970, 1, 1, tzinfo=UTC)
        # the last event is part of the range
        return since or first, until or last + timedelta(microseconds=1)

    def hours(self, since: datetime, until: datetime) -> Mapping[int, int]:
        import polars as pl

        hour = (pl.col("timestamp").dt.epoch("s") // 3600).alias("hour")
        return dict(self._between(since, until).group_by(hour).len().iter_rows())

    def frames(self, since: datetime, until: datetime, names: Sequence[str] | None) -> Iterator[pl.DataFrame]:
        import polars as pl

        frame = self._between(since, until)
        kept = frame if names is None else frame.filter(pl.col("event").is_in(list(names)))
        yield from kept.iter_slices(SLICE_ROWS)

    def group(self, kind: str, key: str) -> Mapping[str, Any] | None:
        index = self._group_types.get(kind)
        return None if index is None else {"index": index, "properties": {}}

    def _between(self, since: datetime, until: datetime) -> pl.DataFrame:
        import polars as pl

        return self._frame.filter((pl.col("timestamp") >= since) & (pl.col("timestamp") < until))


def frame_types() -> dict[str, Any]:
    """Return the types of `COLUMNS`."""
    import polars as pl

    return {**dict.fromkeys(COLUMNS, pl.String), "timestamp": pl.Datetime("us", "UTC")}


def _shape(frame: pl.DataFrame) -> list[pl.Expr]:
    """Return the columns in their order and types; those that a frame may lack are null then."""
    import polars as pl

    missing = [name for name in COLUMNS[:5] if name not in frame.columns]
    if missing:
        raise ParameterError([Fault(f"a frame of events has no column {missing[0]!r}")])
    zone = frame.schema["timestamp"]
    aware = isinstance(zone, pl.Datetime) and zone.time_zone
    time = pl.col("timestamp") if aware else pl.col("timestamp").dt.replace_time_zone("UTC")
    return [
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(pl.String).alias(name)
        if name != "timestamp"
        else time.dt.convert_time_zone("UTC").dt.cast_time_unit("us").alias(name)
        for name in COLUMNS
    ]


class EngineEvents:
    """The events table of an engine.

    Args:
        engine: A local one, best without limits of rows (`UNLIMITED_ROWS`); with limits, and for PostHog, rows are
            extracted page by page and proved to be complete.
        group_types: Group type to its index; None: what a local engine's catalog says.
    """

    def __init__(self, engine: Engine, *, group_types: Mapping[str, int] | None = None) -> None:
        self._engine = engine
        self._catalog: Any = getattr(engine, "catalog", None)
        self._group_types = group_types
        self._groups: dict[tuple[int, str], Mapping[str, Any]] = {}
        settings: Any = getattr(engine, "settings", None)
        limits = getattr(settings, "row_limits", None)
        self._unlimited = limits is not None and limits.default is None and limits.maximum is None

    @property
    def boolean_properties(self) -> frozenset[tuple[str, str]]:
        """The properties that a local engine knows as Boolean, as filters name them; empty for PostHog."""
        from posthog_events.clickhouse.catalog import PropertyKind

        if self._catalog is None:
            return frozenset()
        columns = self._catalog().tables["events"].columns
        return frozenset(
            (kind, key)
            for kind, column in (("event", "properties"), ("person", "person_properties"))
            if column in columns
            for key, type_ in columns[column].property_types.items()
            if type_ is PropertyKind.BOOLEAN
        )

    def range(self, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
        if since is None or until is None:
            raise ParameterError([Fault("a simulation over an engine needs `since` and `until`")])
        return since, until

    def hours(self, since: datetime, until: datetime) -> Mapping[int, int]:
        return _added(self.counts("0", {}, since, until))

    def counts(
        self,
        expression: str,
        values: Mapping[str, Value],
        since: datetime,
        until: datetime,
        *,
        where: str = "true",
    ) -> list[tuple[int, int, int]]:
        """Return (hour, value of an expression, number of events) for every pair that occurs.

        Args:
            expression: HogQL of a small whole number.
            values: Of the placeholders in `expression` and `where`.
        """
        text = (
            f"SELECT intDiv(toUnixTimestamp(timestamp), 3600) AS hour, {expression} AS found, count() AS events "
            f"FROM events WHERE timestamp >= {{since}} AND timestamp < {{until}} AND {where} "
            f"GROUP BY hour, found LIMIT {MAX_ROWS}"
        )
        query = Query(text, values={**values, "since": since, "until": until}, name="<simulation>")
        frame = self._run(query).frame
        if frame.height < MAX_ROWS or until - since <= _HOUR:
            return [(int(hour), int(found), int(events)) for hour, found, events in frame.iter_rows()]
        middle = since + (until - since) / 2
        parts = [*self.counts(expression, values, since, middle, where=where)]
        return parts + self.counts(expression, values, middle, until, where=where)

    def frames(self, since: datetime, until: datetime, names: Sequence[str] | None) -> Iterator[pl.DataFrame]:
        if names is None:
            return self.where("true", {}, since, until)
        return self.where("event IN {names}", {"names": list(names)}, since, until)

    def where(
        self,
        condition: str,
        values: Mapping[str, Value],
        since: datetime,
        until: datetime,
        *,
        counted: Mapping[int, int] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Return the events that fulfil a condition in HogQL.

        Args:
            counted: How many there are in each hour, where that is known.
        """
        if not self._unlimited:
            yield from self._extracted(condition, values, since, until)
            return
        if counted is None:
            counted = _added(self.counts("0", values, since, until, where=condition))
        for first, last in _slices(counted, since, until):
            yield self._rows(condition, values, first, last, "ORDER BY timestamp, uuid")

    def newest(
        self, condition: str, values: Mapping[str, Value], since: datetime, until: datetime, count: int
    ) -> pl.DataFrame:
        """Return the last events that fulfil a condition, in order of time."""
        rows = self._rows(condition, values, since, until, f"ORDER BY timestamp DESC, uuid DESC LIMIT {count:d}")
        return rows.reverse()

    def group(self, kind: str, key: str) -> Mapping[str, Any] | None:
        types = self._group_types
        if types is None:
            types = self._catalog().group_types if self._catalog is not None else {}
        index = types.get(kind)
        if index is None:
            return None
        if (index, key) not in self._groups:
            self._groups[index, key] = {"index": index, "properties": self._group_properties(index, key)}
        return self._groups[index, key]

    def _group_properties(self, index: int, key: str) -> Mapping[str, Any]:
        if self._catalog is not None and "groups" not in self._catalog().tables:
            return {}
        text = "SELECT properties FROM groups WHERE index = {index} AND key = {key} LIMIT 1"
        found = self._run(Query(text, values={"index": index, "key": key}, name="<simulation>")).frame
        return dict(json.loads(found.item() or "{}")) if found.height else {}

    def _rows(
        self, condition: str, values: Mapping[str, Value], since: datetime, until: datetime, end: str
    ) -> pl.DataFrame:
        text = f"{_SELECT} WHERE timestamp >= {{since}} AND timestamp < {{until}} AND {condition} {end}"
        query = Query(text, values={**values, "since": since, "until": until}, name="<simulation>")
        return _renamed(self._run(query).frame)

    def _extracted(
        self, condition: str, values: Mapping[str, Value], since: datetime, until: datetime
    ) -> Iterator[pl.DataFrame]:
        from posthog_events.posthog.extract import extract_rows

        query = Query(f"{_SELECT} WHERE {condition}", values=values, name="<simulation>")
        for chunk in extract_rows(self._engine, query, since=since, until=until):
            yield _renamed(chunk.frame)

    def _run(self, query: Query) -> QueryResult:
        result = self._engine.run(query, allow_truncated=True)
        if result.truncated:
            # no question here asks for more than PostHog's own limit; a server with a lower one would cut it silently
            raise TruncatedResult(rows=result.frame.height, limit=result.frame.height, query=query.name, clamped=True)
        return result


def _added(counts: Iterable[tuple[int, int, int]]) -> dict[int, int]:
    """Return the sum of each hour; one in which a range was cut comes twice."""
    found: Counter[int] = Counter()
    for hour, _, count in counts:
        found[hour] += count
    return found


def _slices(counted: Mapping[int, int], since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield ranges of whole hours with about `SLICE_ROWS` rows each."""
    first, rows = since, 0
    for hour, count in sorted(counted.items()):
        if rows and rows + count > SLICE_ROWS:
            edge = datetime.fromtimestamp(hour * 3600, UTC)
            yield first, edge
            first, rows = edge, 0
        rows += count
    if rows:
        yield first, until


def _renamed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.rename(dict(zip(frame.columns, COLUMNS, strict=True)))
