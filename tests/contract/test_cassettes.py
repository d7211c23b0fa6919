"""The client against recorded answers of PostHog: no network, no server; how to record is in tests/cassettes/README.md.

A recording of the emulator shows that the client still reads what the emulator said then; one of a real project shows
that both read PostHog. What only the emulator's few events can prove is checked only against recordings of it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from posthog_events.config import load_settings
from posthog_events.errors import AuthenticationFailed, HogQLSyntaxError, NotFound, TruncatedResult, UnresolvedName
from posthog_events.posthog.cassette import recording, replaying
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.definitions import event_definitions, property_definitions
from posthog_events.posthog.engine import PostHogEngine
from posthog_events.posthog.events import get_event, list_events
from posthog_events.posthog.export.run import export_events
from posthog_events.posthog.host import parse_host
from posthog_events.posthog.persons import list_persons
from posthog_events.result import Query
from posthog_events.testing import EmulatedPostHog, emulator

TAPES = Path(__file__).parents[1] / "cassettes"
RECORD = os.environ.get("POSTHOG_EVENTS_RECORD", "")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 5, 25, tzinfo=UTC), datetime(2026, 5, 28, tzinfo=UTC)
EMULATOR_SALT = b"the people of the emulator are nobody"
OTHER_KEY = "phx_thisKeyIsUnknownThere0001"

PEOPLE = {"ann": "pro", "bob": "free", "cy": "free"}
EVENTS = [
    {
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "event": ("signup", "visit", "purchase")[number % 3],
        "distinct_id": f"{name}-distinct-id",
        # three events share each moment, as events do that a page's border then separates
        "timestamp": (SINCE + timedelta(hours=number // 3)).isoformat(),
        "created_at": (SINCE + timedelta(hours=number // 3)).isoformat(),
        "properties": {
            "price": number * 1.5,
            "$ip": f"81.2.69.{number}",
            "$set": {"email": f"{name}@company.example", "name": name.title(), "plan": plan},
        },
    }
    for number, (name, plan) in enumerate(list(PEOPLE.items()) * 20)
]


@dataclass(frozen=True)
class PostHog:
    """What answers a test.

    Args:
        api: A client of it.
        emulated: The answers are, or were, the emulator's.
        waits: Seconds that the client was asked to wait.
        sleep: How code that polls waits here: hardly, unless PostHog itself works.
    """

    api: ApiClient
    emulated: bool
    waits: list[float]
    sleep: Callable[[float], None]

    def engine(self, **settings: Any) -> PostHogEngine:
        """Return an engine over it."""
        numbers = count(1)
        # the same in each recording; a real PostHog remembers ids for a while
        new_id = {"new_id": lambda: f"cassette-{next(numbers)}"} if self.emulated else {}
        return PostHogEngine(self.api, fixed_timezone="UTC", sleep=self.sleep, **new_id, **settings)


@contextmanager
def posthog(
    name: str, *, key: str | None = None, prepare: Callable[[EmulatedPostHog], None] = lambda served: None
) -> Iterator[PostHog]:
    """Replay a cassette, or record it, as POSTHOG_EVENTS_RECORD says.

    Args:
        key: In place of the right one.
        prepare: What the emulator does before; a test with it is never recorded against a real project.
    """
    path = TAPES / f"{name}.yaml"
    waits: list[float] = []
    with ExitStack() as stack:
        if not RECORD:
            recorded = stack.enter_context(replaying(path))
            api = _client("https://posthog.test", recorded.project or 1, key or "phx_noKeyIsNeeded", waits.append)
            yield PostHog(stack.enter_context(api), recorded.against == "emulator", waits, lambda seconds: None)
        elif RECORD == "emulator":
            started = time.monotonic()
            clock = lambda: NOW + timedelta(seconds=time.monotonic() - started)  # noqa: E731
            served = stack.enter_context(emulator(events=EVENTS, clock=clock))
            prepare(served)
            tape = recording(path, label="emulator", secrets=[served.key, served.token], salt=EMULATOR_SALT)
            stack.enter_context(tape)
            api = _client(served.url, served.project_id, key or served.key, waits.append)
            yield PostHog(stack.enter_context(api), True, waits, lambda seconds: time.sleep(0.05))
        else:
            target = load_settings(arguments={}, environ=os.environ, directory=TAPES).posthog()
            host = parse_host(target.host)
            stack.enter_context(recording(path, label=host.region or "self-hosted", secrets=[target.key]))
            api = _client(host.origin, target.project_id, key or target.key, time.sleep)
            yield PostHog(stack.enter_context(api), False, waits, time.sleep)


def _client(origin: str, project_id: int, key: str, sleep: Callable[[float], None]) -> ApiClient:
    return ApiClient(parse_host(origin), project_id, key, sleep=sleep)


emulator_only = pytest.mark.skipif(RECORD == "project", reason="cannot be provoked politely; keeps the emulator's")


@pytest.fixture(autouse=True)
def known_mode() -> None:
    """A misspelt mode would record over nothing and test nothing."""
    assert RECORD in ("", "emulator", "project"), "POSTHOG_EVENTS_RECORD is `emulator` or `project`"


def test_query_returns_typed_rows() -> None:
    """Numbers, texts, moments, arrays and NULL arrive with the types that PostHog names."""
    hogql = (
        "SELECT 1 AS n, 'é' AS s, toDateTime64({at}, 6, 'UTC') AS t, [1, 2] AS a, NULL AS nothing, 0.5 AS f, "
        "toUUID('00000000-0000-4000-8000-000000000001') AS u LIMIT 1"
    )
    with posthog("query") as found:
        frame = found.engine().run(Query(hogql, values={"at": "2026-05-25 00:00:00.000001"})).frame

    assert [pl.String, pl.Datetime("us", "UTC")] == [frame.schema["s"], frame.schema["t"]]
    assert frame.schema["n"].is_integer()
    row = frame.row(0, named=True)
    assert (1, "é", [1, 2], None, 0.5) == (row["n"], row["s"], row["a"], row["nothing"], row["f"])
    assert SINCE + timedelta(microseconds=1) == row["t"]


def test_grouped_events_are_counted() -> None:
    """A query over events, with bound values, gives one row per event name, and all of the window's events."""
    hogql = (
        "SELECT event, count() AS n, uniq(distinct_id) AS people FROM events "
        "WHERE timestamp >= {since} AND timestamp < {until} GROUP BY event ORDER BY event LIMIT 100"
    )
    with posthog("events_grouped") as found:
        frame = found.engine().run(Query(hogql, values={"since": SINCE, "until": UNTIL})).frame

    assert {"event": pl.String, "n": pl.UInt64, "people": pl.UInt64} == dict(frame.schema)
    if found.emulated:
        assert [("purchase", 20, 1), ("signup", 20, 1), ("visit", 20, 1)] == frame.rows()


def test_persons_of_rows_stay_joined() -> None:
    """In a scrubbed recording, a person is still one person: in columns, in documents, and as a value to ask for."""
    with posthog("persons") as found:
        engine = found.engine()
        rows = engine.run(
            Query(
                "SELECT distinct_id, person.properties.email AS mail FROM events "
                "WHERE timestamp >= {since} AND timestamp < {until} ORDER BY timestamp, uuid LIMIT 6",
                values={"since": SINCE, "until": UNTIL},
            )
        ).frame
        people = list_persons(found.api, limit=3)
        if found.emulated:
            first = rows["distinct_id"][0]
            again = engine.run(
                Query("SELECT count() AS n FROM events WHERE distinct_id = {who} LIMIT 1", values={"who": first})
            ).frame

    if found.emulated:
        assert [20] == again["n"].to_list()
        assert [2, 2, 2] == sorted(Counter(rows.rows()).values())
        assert set(rows["distinct_id"]) == {one for ids in people["distinct_ids"] for one in ids}


def test_missing_limit_is_an_error_where_rows_are_cut() -> None:
    """PostHog returns 100 rows of a query without LIMIT and says that there are more."""
    with posthog("truncated") as found, pytest.raises(TruncatedResult) as caught:
        found.engine().run(Query("SELECT number FROM numbers(150)"))

    assert (100, 100) == (caught.value.rows, caught.value.limit)


def test_queued_query_is_polled_until_its_result() -> None:
    """An asynchronous query is answered with its status first, and with its rows at the end."""
    with posthog("query_async") as found:
        engine = found.engine(asynchronous=True, fresh=True)
        frame = engine.run(Query("SELECT count() AS n FROM numbers(1000) LIMIT 1")).frame

    assert [1000] == frame["n"].to_list()


@emulator_only
def test_rate_limited_query_waits_as_long_as_it_was_told() -> None:
    """A 429 is waited out by its Retry-After, and the same query is then answered."""

    def busy(served: EmulatedPostHog) -> None:
        served.faults.add("rate", path="*/query/", nth=1, retry_after=37)

    with posthog("query_rate_limited", prepare=busy) as found:
        frame = found.engine().run(Query("SELECT 1 AS n LIMIT 1")).frame

    assert [37.0] == found.waits
    assert [1] == frame["n"].to_list()


@pytest.mark.parametrize(
    ("name", "hogql", "error"),
    [
        ("error_syntax", "SELECT 1 +", HogQLSyntaxError),
        ("error_unknown_field", "SELECT no_such_field FROM events LIMIT 1", UnresolvedName),
    ],
    ids=["syntax", "unknown field"],
)
def test_query_that_cannot_run_is_one_typed_error(name: str, hogql: str, error: type[Exception]) -> None:
    """PostHog's refusals become the errors that the local engine raises."""
    with posthog(name) as found, pytest.raises(error):
        found.engine().run(Query(hogql))


def test_unknown_key_is_not_authorised() -> None:
    """A key that PostHog does not know is said to be the key's fault."""
    with posthog("error_unknown_key", key=OTHER_KEY) as found, pytest.raises(AuthenticationFailed) as caught:
        found.engine().run(Query("SELECT 1 LIMIT 1"))

    assert 401 == caught.value.status


def test_event_that_does_not_exist_is_not_found() -> None:
    """A single event is asked for by its uuid."""
    with posthog("error_no_event") as found, pytest.raises(NotFound):
        get_event(found.api, "00000000-0000-4000-8000-ffffffffffff")


def test_listing_keeps_every_event() -> None:
    """The events listing is walked by time, oldest first, and each event arrives once."""
    with posthog("events_listing") as found:
        listing = list_events(found.api, after=SINCE, before=UNTIL, limit=500)

    frame = listing.frame
    assert frame["timestamp"].is_sorted()
    assert frame["uuid"].is_unique().all()
    if found.emulated:
        assert sorted(event["uuid"] for event in EVENTS) == sorted(frame["uuid"])


def test_definitions_name_what_was_seen() -> None:
    """Event and property definitions are read to the end of their pages."""
    with posthog("definitions") as found:
        events, properties = event_definitions(found.api), property_definitions(found.api)

    if found.emulated:
        assert {"purchase", "signup", "visit"} <= set(events["name"])
        assert "Numeric" == dict(properties.select("name", "property_type").rows())["price"]
    assert events["name"].is_unique().all()


def test_export_is_polled_and_downloaded(tmp_path: Path) -> None:
    """A run of a bulk export is started, polled to its end, and its files hold the rows that PostHog counted."""
    with posthog("export") as found:
        report = export_events(
            found.api, tmp_path / "out", since=SINCE, until=UNTIL, via="files", sleep=found.sleep, clock=lambda: NOW
        )
    files = sorted((tmp_path / "out").rglob("*.parquet"))
    rows = pl.concat([pl.read_parquet(file) for file in files]) if files else pl.DataFrame()

    assert report.rows == rows.height
    if found.emulated:
        assert sorted(event["uuid"] for event in EVENTS) == sorted(rows["uuid"])


@pytest.mark.parametrize("path", sorted(TAPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_cassettes_hold_no_key_and_nobody(path: Path) -> None:
    """Every cassette says what it was recorded against, and holds no key, address or name of the seeded people."""
    text = path.read_text(encoding="utf-8")

    with replaying(path) as recorded:
        assert recorded.against in ("emulator", "us", "eu", "self-hosted")
        assert recorded.scrubbed
    for gone in (*(f"{name}-distinct-id" for name in PEOPLE), "company.example", "81.2.69.", OTHER_KEY, "127.0.0.1"):
        assert gone not in text
