"""Simulation: the events of a range of time go through a destination's filters, inputs and masking, as they would live.

::

    one destination, an engine   the query counts by hour and clause what it can decide (`pushdown`); only events that
                                 it cannot decide, or that masking and failing inputs need, are fetched and judged
    several, or frames           the events of the names that any of them wants are read once, and judged by each

Time is the time of the events, for masking and for now() in templates. Relative dates in filters are resolved as if the
destination was saved `now`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from posthog_events.clock import utc_now
from posthog_events.destinations.filters import is_internal
from posthog_events.destinations.model import Destination
from posthog_events.destinations.simulate.inputs import texts
from posthog_events.destinations.simulate.model import Estimate, Simulation, Simulations
from posthog_events.destinations.simulate.pushdown import event_names, pushed_down
from posthog_events.destinations.simulate.scope import LOCAL_PROJECT, Row, ScopeBuilder
from posthog_events.destinations.simulate.sources import EngineEvents, EventSource
from posthog_events.destinations.simulate.tally import Clock, Known, Tally
from posthog_events.destinations.simulate.wording import clause_text, notes, traps
from posthog_events.hog.filters import Verdict
from posthog_events.result import Engine

if TYPE_CHECKING:
    import polars as pl

__all__ = ["simulate", "simulate_all"]


def simulate(
    destination: Destination,
    source: EventSource | Engine,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    samples: int = 3,
    project: Mapping[str, Any] = LOCAL_PROJECT,
    actions: Mapping[Any, Any] | None = None,
    test_account_filters: Sequence[Any] = (),
    boolean_properties: Collection[tuple[str, str]] | None = None,
    now: datetime | None = None,
    pushdown: bool = True,
) -> Simulation:
    """Return what a destination would have done with the events of a source.

    Args:
        source: An engine, or events from elsewhere (`FrameEvents`, `events_of_file`).
        since: First moment, aware; an engine needs it, other sources begin with their first event.
        until: First moment after the range.
        samples: How many deliveries to render.
        project: `{id, name, url}`, as templates see them.
        actions: The actions that the filters name, as for `compile_filters`.
        test_account_filters: The project's.
        boolean_properties: (type, key) of properties that PostHog knows as Boolean; None: what a local engine knows.
        now: When the destination would be saved, for relative dates; None is now.
        pushdown: Let the engine count what it can; the answer is the same without, from every event.

    Raises:
        HogError: PostHog would not accept the destination, or it cannot be evaluated here.
        ParameterError: The range is missing.
        QueryError: The engine failed.
    """
    return simulate_all(
        [destination],
        source,
        since=since,
        until=until,
        samples=samples,
        project=project,
        actions=actions,
        test_account_filters=test_account_filters,
        boolean_properties=boolean_properties,
        now=now,
        pushdown=pushdown,
    ).each[0]


def simulate_all(
    destinations: Iterable[Destination],
    source: EventSource | Engine,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    samples: int = 3,
    project: Mapping[str, Any] = LOCAL_PROJECT,
    actions: Mapping[Any, Any] | None = None,
    test_account_filters: Sequence[Any] = (),
    boolean_properties: Collection[tuple[str, str]] | None = None,
    now: datetime | None = None,
    pushdown: bool = True,
) -> Simulations:
    """Return what several destinations would have done with the same events, which are read once; see `simulate`."""
    events: EventSource = source if isinstance(source, EventSource) else EngineEvents(source)
    since, until = events.range(since, until)
    if boolean_properties is None:
        boolean_properties = getattr(events, "boolean_properties", ())
    known = Known(actions, test_account_filters, boolean_properties, now or utc_now())
    clock = Clock()
    tallies = [
        Tally.of(
            destination,
            known,
            ScopeBuilder(
                project,
                events.group if _uses_groups(destination, known) else None,
                filters_need=_needs(destination, known),
            ),
            clock=clock,
            keep=samples,
        )
        for destination in destinations
    ]
    if pushdown and len(tallies) == 1 and isinstance(events, EngineEvents):
        seen = _pushed(tallies[0], events, since, until, known, clock)
        billed = 0 if is_internal(tallies[0].destination.filters) else tallies[0].delivered.total()
    else:
        seen = events.hours(since, until)
        billed = _judged(tallies, events, since, until, seen, clock)
    each = tuple(_simulation(tally, since, until, seen, known, clock) for tally in tallies)
    total = sum(one.delivered for one in each)
    return Simulations(each, Estimate(total, since, until), Estimate(billed, since, until))


# -- events ----------------------------------------------------------------------------------------------------------


def _judged(
    tallies: Sequence[Tally],
    events: EventSource,
    since: datetime,
    until: datetime,
    seen: Mapping[int, int],
    clock: Clock,
) -> int:
    """Judge every event by each destination that wants its name; return how many events are billed."""
    wanted = [event_names(tally.destination.filters) for tally in tallies]
    any_name = [tally for tally, names in zip(tallies, wanted, strict=True) if names is None]
    names = sorted({name for one in wanted if one is not None for name in one})
    by_name = {
        name: [tally for tally, one in zip(tallies, wanted, strict=True) if one is None or name in one]
        for name in names
    }
    billing = {id(tally) for tally in tallies if not is_internal(tally.destination.filters)}
    billed = 0
    candidates = dict.fromkeys(map(id, tallies), 0)
    builder = _widest(tallies)
    for row, micros in _rows(events.frames(since, until, None if any_name else names)):
        interested = by_name.get(row[1], any_name)
        if not interested:
            continue
        clock.micros = micros
        scope = builder.for_filters(row)
        is_billed = False
        for tally in interested:
            candidates[id(tally)] += 1
            if tally.take(row, micros, scope) and id(tally) in billing:
                is_billed = True
        billed += is_billed
    total = sum(seen.values())
    for tally, one in zip(tallies, wanted, strict=True):
        if one is not None and total > candidates[id(tally)]:
            tally.rejected[Verdict("rejected", "events")] += total - candidates[id(tally)]
    return billed


def _widest(tallies: Sequence[Tally]) -> ScopeBuilder:
    """Return what makes the globals that the filters of all need."""
    builders = [tally.scopes for tally in tallies] or [ScopeBuilder()]
    groups = next((builder.groups for builder in builders if builder.groups is not None), None)
    need = frozenset().union(*(builder.filters_need for builder in builders))
    return ScopeBuilder(builders[0].project, groups, filters_need=need)


def _pushed(
    tally: Tally, events: EngineEvents, since: datetime, until: datetime, known: Known, clock: Clock
) -> Mapping[int, int]:
    """Let the engine count what it can decide, and judge the rest; return the events of each hour."""
    filters = tally.destination.filters
    push = pushed_down(
        filters,
        test_account_filters=known.test_account_filters,
        boolean_properties=known.boolean_properties,
        saved_at=known.now,
    )
    fetched = push.unsure
    if tally.needs_rows and push.matches != "false":
        fetched = f"({push.unsure} OR {push.matches})" if push.unsure != "false" else push.matches
    names = event_names(filters)
    where, values = "true", {**push.values}
    if names is not None:
        where = "event IN {names}" if names else "false"
        values["names"] = [*sorted(names)]
    seen = events.hours(since, until)
    found = f"if({fetched}, -1, {push.verdict})"
    counted = 0
    to_fetch: Counter[int] = Counter()
    for hour, place, count in events.counts(found, values, since, until, where=where):
        counted += count
        if place < 0:
            to_fetch[hour] += count
        else:
            tally.add(hour, push.verdicts[place], count)
    if sum(seen.values()) > counted:
        tally.rejected[Verdict("rejected", "events")] += sum(seen.values()) - counted
    if tally.keep and tally.matched:
        sure = f"{push.matches} AND NOT ({push.unsure})"
        begin = max(since, _begin(tally.matched, tally.keep))
        for row, micros in _rows([events.newest(sure, push.values, begin, until, tally.keep)]):
            tally.sample(row, micros, tally.compiled.matches(tally.scopes.for_filters(row)).clause)
    newest = tally.newest()
    if to_fetch:
        for row, micros in _rows(events.where(fetched, push.values, since, until, counted=to_fetch)):
            clock.micros = micros
            tally.take(row, micros, tally.scopes.for_filters(row))
    tally.restore(newest)
    return seen


def _begin(counted: Mapping[int, int], least: int) -> datetime:
    """Return the beginning of the last hour that has `least` events behind it, itself included."""
    found = 0
    for hour, count in sorted(counted.items(), reverse=True):
        found += count
        if found >= least:
            return datetime.fromtimestamp(hour * 3600, UTC)
    return datetime.fromtimestamp(min(counted) * 3600, UTC)


def _rows(frames: Iterable[pl.DataFrame]) -> Iterator[tuple[Row, int]]:
    import polars as pl

    for frame in frames:
        time = pl.col("timestamp").dt.convert_time_zone("UTC")
        columns = [
            time.dt.to_string("%Y-%m-%dT%H:%M:%S%.3fZ") if name == "timestamp" else pl.col(name).cast(pl.String)
            for name in frame.columns
        ]
        micros = frame["timestamp"].dt.epoch("us")
        yield from zip(frame.select(columns).iter_rows(), micros, strict=True)


# -- what filters look at --------------------------------------------------------------------------------------------


def _needs(destination: Destination, known: Known) -> frozenset[str]:
    """Return the parts beside the event that the filters may look at."""
    kinds = set(_kinds([destination.filters, list((known.actions or {}).values()), list(known.test_account_filters)]))
    if kinds - {"event", "events", "actions", "feature", "element", "person", "group", "event_metadata"}:
        return frozenset({"person", "groups"})
    needs = {"person"} if "person" in kinds else set()
    return frozenset(needs | ({"groups"} if kinds & {"group", "event_metadata"} else set()))


def _kinds(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("type"), str):
            yield value["type"]
        for part in value.values():
            yield from _kinds(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _kinds(part)


def _uses_groups(destination: Destination, known: Known) -> bool:
    said = [*texts(destination.inputs), *texts(destination.masking or {})]
    return "groups" in _needs(destination, known) or any("groups" in text for text in said)


# -- what is said ----------------------------------------------------------------------------------------------------


def _simulation(
    tally: Tally, since: datetime, until: datetime, seen: Mapping[int, int], known: Known, clock: Clock
) -> Simulation:
    import polars as pl

    destination, internal = tally.destination, is_internal(tally.destination.filters)
    hours = sorted(seen)
    delivered = tally.delivered.total()

    def set_clock(micros: int) -> None:
        clock.micros = micros

    return Simulation(
        destination=destination,
        since=since,
        until=until,
        seen=sum(seen.values()),
        matched=tally.matched.total(),
        masked=tally.masked,
        delivered=delivered,
        failures=tally.failures(),
        hours=pl.DataFrame(
            {
                "hour": [datetime.fromtimestamp(hour * 3600, UTC) for hour in hours],
                "matched": [tally.matched[hour] for hour in hours],
                "delivered": [tally.delivered[hour] for hour in hours],
            },
            schema={"hour": pl.Datetime("us", "UTC"), "matched": pl.Int64, "delivered": pl.Int64},
        ),
        rejected=_rejected(tally, known),
        samples=tally.samples(set_clock),
        deliveries=Estimate(delivered, since, until),
        billed=Estimate(0 if internal else delivered, since, until),
        traps=tuple(traps(destination, known)),
        notes=tuple(notes(internal, since, until, hours)),
    )


def _rejected(tally: Tally, known: Known) -> pl.DataFrame:
    import polars as pl

    counted: dict[tuple[str, str], int] = {}
    for verdict, count in tally.rejected.items():
        key = clause_text(tally.destination.filters, verdict, known.test_account_filters), verdict.clause
        counted[key] = counted.get(key, 0) + count
    rows = sorted(((*key, count) for key, count in counted.items()), key=lambda row: (-row[2], row[1]))
    return pl.DataFrame(rows, schema={"clause": pl.String, "path": pl.String, "count": pl.Int64}, orient="row")
