"""Every file in `queries/`, run on `library/events.jsonl` and compared with frames worked out by hand.

The fixture is 24 events of five people in January and February 2026. Read it beside the expected rows: Monday is the
5th of January; ann and dee are on the plan pro, bob and cid on free, eve has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from posthog_events.connection import Connection, connect
from tests.helpers.library_store import NOW, make_store

QUERIES = Path(__file__).parents[2] / "queries"
EVENTS = Path(__file__).parent / "library" / "events.jsonl"
WEEKS = {"since": "2026-01-05", "until": "2026-02-05"}

DAY, TEXT, COUNT, RATE = pl.Date, pl.String, pl.UInt64, pl.Float64
MOMENT = pl.Datetime("us", "UTC")


def jan(day: int) -> date:
    return date(2026, 1, day)


def at(month: int, day: int, hour: int, minute: int = 0, second: int = 0, micro: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, second, micro, tzinfo=UTC)


def person(number: int) -> str:
    return f"00000000-0000-4000-9000-{number:012d}"


@pytest.fixture(scope="module")
def events_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("library") / "store", [EVENTS])


@pytest.fixture(scope="module")
def connection(events_store: Path) -> Iterator[Connection]:
    with connect(f"chdb://{events_store}", clock=lambda: NOW) as opened:
        yield opened


Case = tuple[str, dict[str, Any], dict[str, Any], list[tuple[Any, ...]]]

CASES: dict[str, Case] = {
    "event_counts": (
        "event_counts",
        WEEKS,
        {"event": TEXT, "events": COUNT, "people": COUNT, "share": RATE},
        [
            ("feature_used", 9, 3, 9 / 24),
            ("$pageview", 7, 4, 7 / 24),
            ("purchase", 4, 3, 4 / 24),
            ("user_signed_up", 4, 4, 4 / 24),
        ],
    ),
    "event_counts of one person only": (
        "event_counts",
        {**WEEKS, "where": "distinct_id = 'eve'"},
        {"event": TEXT, "events": COUNT, "people": COUNT, "share": RATE},
        [("$pageview", 2, 1, 1.0)],
    ),
    "event_trend": (
        "event_trend",
        {**WEEKS, "event": "feature_used", "interval": "week"},
        {"period": DAY, "events": COUNT, "people": COUNT},
        [(jan(5), 3, 2), (jan(12), 3, 2), (jan(19), 2, 2), (jan(26), 1, 1), (date(2026, 2, 2), 0, 0)],
    ),
    "event_trend of days ends before `until`": (
        "event_trend",
        {"event": "$pageview", "since": "2026-01-05", "until": "2026-01-07"},
        {"period": DAY, "events": COUNT, "people": COUNT},
        [(jan(5), 3, 2), (jan(6), 2, 2)],
    ),
    "event_trend_by_property": (
        "event_trend_by_property",
        {**WEEKS, "event": "feature_used", "by": "feature", "values": 1, "interval": "week"},
        {"period": DAY, "value": TEXT, "events": COUNT, "people": COUNT},
        [
            (jan(5), "board", 3, 2),
            (jan(12), "(other)", 3, 2),
            (jan(19), "(other)", 1, 1),
            (jan(19), "board", 1, 1),
            (jan(26), "(other)", 1, 1),
        ],
    ),
    "signups_by_referrer": (
        "signups_by_referrer",
        WEEKS,
        {"referrer": TEXT, "signups": COUNT, "people": COUNT},
        [("(none)", 2, 2), ("https://google.example/", 2, 2)],
    ),
    "active_users": (
        "active_users",
        {"since": "2026-01-05", "until": "2026-01-15"},
        {"day": DAY, "dau": COUNT, "wau": COUNT, "mau": COUNT, "stickiness": RATE},
        [
            (jan(5), 2, 2, 2, 1.0),
            (jan(6), 3, 3, 3, 1.0),
            (jan(7), 2, 4, 4, 0.5),
            *((jan(day), 0, 4, 4, 0.0) for day in (8, 9, 10, 11)),
            # eve's last day, the 6th, is the first of these seven
            (jan(12), 1, 5, 5, 0.2),
            (jan(13), 1, 4, 5, 0.2),
            (jan(14), 0, 2, 5, 0.0),
        ],
    ),
    "active_users after 30 days": (
        "active_users",
        {"since": "2026-02-04", "until": "2026-02-06"},
        {"day": DAY, "dau": COUNT, "wau": COUNT, "mau": COUNT, "stickiness": RATE},
        [(date(2026, 2, 4), 0, 1, 5, 0.0), (date(2026, 2, 5), 0, 1, 4, 0.0)],
    ),
    "stickiness": (
        "stickiness",
        {**WEEKS, "event": "feature_used"},
        {"days": COUNT, "people": COUNT, "share": RATE, "share_at_least": RATE},
        [(2, 1, 1 / 3, 1.0), (3, 2, 2 / 3, 2 / 3)],
    ),
    "lifecycle": (
        "lifecycle",
        {"since": "2026-01-05", "until": "2026-02-09", "history": "2026-01-01"},
        {"period": DAY, "new": COUNT, "returning": COUNT, "resurrecting": COUNT, "dormant": COUNT},
        [
            (jan(5), 4, 0, 0, 0),
            (jan(12), 1, 2, 0, 2),
            (jan(19), 0, 1, 1, 2),
            (jan(26), 0, 1, 0, 1),
            (date(2026, 2, 2), 0, 0, 1, 1),
        ],
    ),
    "retention": (
        "retention",
        {
            "start": "user_signed_up",
            "come_back": "feature_used",
            "since": "2026-01-05",
            "until": "2026-01-29",
            "periods": 3,
        },
        {"cohort": DAY, "size": COUNT, "number": pl.Int64, "people": COUNT, "rate": RATE, "complete": pl.UInt8},
        [
            (jan(5), 2, 0, 2, 1.0, 1),
            (jan(5), 2, 1, 1, 0.5, 1),
            (jan(5), 2, 2, 1, 0.5, 1),
            (jan(5), 2, 3, 0, 0.0, 0),
            (jan(12), 2, 0, 2, 1.0, 1),
            (jan(12), 2, 1, 1, 0.5, 1),
            (jan(12), 2, 2, 1, 0.5, 0),
        ],
    ),
    "retention, recurring, from the middle of the first week": (
        "retention",
        {
            "start": "feature_used",
            "come_back": "feature_used",
            "mode": "recurring",
            "since": "2026-01-07",
            "until": "2026-01-29",
            "periods": 2,
        },
        {"cohort": DAY, "size": COUNT, "number": pl.Int64, "people": COUNT, "rate": RATE, "complete": pl.UInt8},
        [
            (jan(5), 2, 0, 2, 1.0, 1),
            (jan(5), 2, 1, 1, 0.5, 1),
            (jan(5), 2, 2, 1, 0.5, 1),
            (jan(12), 2, 0, 2, 1.0, 1),
            (jan(12), 2, 1, 1, 0.5, 1),
            (jan(12), 2, 2, 1, 0.5, 0),
            (jan(19), 2, 0, 2, 1.0, 1),
            (jan(19), 2, 1, 1, 0.5, 0),
            (jan(26), 1, 0, 1, 1.0, 0),
        ],
    ),
    "retention of newcomers only": (
        "retention",
        # ann and bob used a feature for the first time in the week before
        {
            "start": "feature_used",
            "come_back": "feature_used",
            "since": "2026-01-12",
            "until": "2026-01-26",
            "history": "2026-01-01",
            "periods": 1,
        },
        {"cohort": DAY, "size": COUNT, "number": pl.Int64, "people": COUNT, "rate": RATE, "complete": pl.UInt8},
        [(jan(12), 1, 0, 1, 1.0, 1), (jan(12), 1, 1, 1, 1.0, 1)],
    ),
    "funnel": (
        "funnel",
        {**WEEKS, "steps": ["$pageview", "user_signed_up", "feature_used"], "window": "1d"},
        {
            "step": pl.UInt8,
            "name": TEXT,
            "people": COUNT,
            "from_start": RATE,
            "from_previous": RATE,
            "median_seconds": RATE,
            "p90_seconds": RATE,
        },
        [
            (1, "$pageview", 4, 1.0, 1.0, None, None),
            # cid 30 s, ann 40 s, bob 300 s
            (2, "user_signed_up", 3, 0.75, 0.75, 40.0, 300.0),
            # ann 59 min, bob 19 h 55 min
            (3, "feature_used", 2, 0.5, 2 / 3, (3540 + 71700) / 2, 71700.0),
        ],
    ),
    "funnel_breakdown": (
        "funnel_breakdown",
        {**WEEKS, "steps": ["$pageview", "user_signed_up"], "window": "1d", "by": "$browser"},
        {
            "value": TEXT,
            "step": pl.UInt8,
            "name": TEXT,
            "people": COUNT,
            "from_start": RATE,
            "from_previous": RATE,
            "median_seconds": RATE,
            "p90_seconds": RATE,
        },
        [
            ("Chrome", 1, "$pageview", 2, 1.0, 1.0, None, None),
            ("Chrome", 2, "user_signed_up", 2, 1.0, 1.0, 165.0, 300.0),
            ("(none)", 1, "$pageview", 1, 1.0, 1.0, None, None),
            ("(none)", 2, "user_signed_up", 0, 0.0, 0.0, None, None),
            ("Firefox", 1, "$pageview", 1, 1.0, 1.0, None, None),
            ("Firefox", 2, "user_signed_up", 1, 1.0, 1.0, 40.0, 40.0),
        ],
    ),
    "funnel_dropoff_people": (
        "funnel_dropoff_people",
        {**WEEKS, "steps": ["$pageview", "user_signed_up", "feature_used"], "window": "1d", "step": 2},
        {"person_id": TEXT, "entered_at": MOMENT, "reached_at": MOMENT},
        [(person(3), at(1, 15, 7), at(1, 15, 7, 0, 30))],
    ),
    "funnel_dropoff_people after the first step": (
        "funnel_dropoff_people",
        {**WEEKS, "steps": ["$pageview", "user_signed_up"], "window": "1d"},
        {"person_id": TEXT, "entered_at": MOMENT, "reached_at": MOMENT},
        [(person(5), at(1, 5, 23, 59, 59, 999_999), at(1, 5, 23, 59, 59, 999_999))],
    ),
    "time_to_convert": (
        "time_to_convert",
        {**WEEKS, "steps": ["$pageview", "user_signed_up"], "window": "1d", "bin": "2min"},
        {"from_seconds": pl.Int64, "to_seconds": pl.Int64, "people": COUNT, "share": RATE, "cumulative_share": RATE},
        [(0, 120, 2, 2 / 3, 2 / 3), (120, 240, 0, 0.0, 2 / 3), (240, 360, 1, 1 / 3, 1.0)],
    ),
    "feature_adoption_by_plan": (
        "feature_adoption_by_plan",
        WEEKS,
        {"plan": TEXT, "feature": TEXT, "uses": COUNT, "users": COUNT, "plan_people": COUNT, "adoption": RATE},
        [
            ("free", "board", 2, 1, 2, 0.5),
            ("pro", "report", 3, 2, 2, 1.0),
            ("pro", "(none)", 2, 1, 2, 0.5),
            ("pro", "board", 2, 1, 2, 0.5),
        ],
    ),
    "feature_adoption_over_time": (
        "feature_adoption_over_time",
        WEEKS,
        {"period": DAY, "feature": TEXT, "uses": COUNT, "users": COUNT, "active_people": COUNT, "adoption": RATE},
        [
            (jan(5), "board", 3, 2, 4, 0.5),
            (jan(12), "report", 3, 2, 3, 2 / 3),
            (jan(19), "(none)", 1, 1, 2, 0.5),
            (jan(19), "board", 1, 1, 2, 0.5),
            (jan(26), "(none)", 1, 1, 1, 1.0),
        ],
    ),
    "paths_from_event": (
        "paths_from_event",
        {**WEEKS, "event": "user_signed_up", "depth": 2, "window": "14d"},
        {"step": pl.UInt32, "source": TEXT, "target": TEXT, "people": COUNT, "share": RATE},
        [
            (1, "user_signed_up", "feature_used", 3, 0.75),
            (1, "user_signed_up", "(end)", 1, 0.25),
            (2, "feature_used", "purchase", 2, 0.5),
            (2, "feature_used", "(end)", 1, 0.25),
        ],
    ),
    "paths_from_event without a name": (
        "paths_from_event",
        {**WEEKS, "event": "user_signed_up", "depth": 2, "window": "14d", "exclude": ["feature_used"]},
        {"step": pl.UInt32, "source": TEXT, "target": TEXT, "people": COUNT, "share": RATE},
        # dee's purchase comes two hours after her 14 days
        [
            (1, "user_signed_up", "(end)", 2, 0.5),
            (1, "user_signed_up", "purchase", 2, 0.5),
            (2, "purchase", "(end)", 2, 0.5),
        ],
    ),
    "paths_to_event": (
        "paths_to_event",
        {**WEEKS, "event": "purchase", "depth": 2, "window": "7d"},
        {"step": pl.UInt32, "source": TEXT, "target": TEXT, "people": COUNT, "share": RATE},
        [(1, "feature_used", "purchase", 3, 1.0), (2, "(start)", "feature_used", 3, 1.0)],
    ),
    "session_length_and_bounce": (
        "session_length_and_bounce",
        {"since": "2026-01-05", "until": "2026-01-19", "interval": "week"},
        {
            "period": DAY,
            "sessions": COUNT,
            "people": COUNT,
            "median_seconds": RATE,
            "average_seconds": RATE,
            "pages_per_session": RATE,
            "bounce_rate": RATE,
        },
        # seconds 0, 0, 0, 0, 1, 60, 300; eve's session crosses a full second
        [(jan(5), 7, 4, 0.0, 361 / 7, 6 / 7, 0.25), (jan(12), 2, 2, 15.0, 15.0, 0.5, 0.0)],
    ),
    "top_pages": (
        "top_pages",
        WEEKS,
        {"page": TEXT, "views": COUNT, "people": COUNT, "sessions": COUNT, "share": RATE},
        [("/", 4, 4, 4, 4 / 7), ("/pricing", 2, 2, 2, 2 / 7), ("/blog", 1, 1, 1, 1 / 7)],
    ),
    "traffic_sources": (
        "traffic_sources",
        {"since": "2026-01-05", "until": "2026-01-19"},
        {
            "source": TEXT,
            "medium": TEXT,
            "campaign": TEXT,
            "sessions": COUNT,
            "people": COUNT,
            "conversions": COUNT,
            "conversion": RATE,
        },
        [
            ("(direct)", "(none)", "(none)", 6, 4, 1, 1 / 6),
            ("friend.example", "(none)", "(none)", 1, 1, 1, 1.0),
            ("google", "cpc", "brand", 1, 1, 1, 1.0),
            ("newsletter", "email", "(none)", 1, 1, 0, 0.0),
        ],
    ),
    "revenue_by_period": (
        "revenue_by_period",
        WEEKS,
        {
            "period": DAY,
            "orders": COUNT,
            "buyers": COUNT,
            "revenue": RATE,
            "average_order": RATE,
            "revenue_per_buyer": RATE,
        },
        [(jan(1), 2, 2, 40.0, 20.0, 20.0), (date(2026, 2, 1), 1, 1, 20.5, 20.5, 20.5)],
    ),
    "cohort_revenue": (
        "cohort_revenue",
        WEEKS,
        {
            "cohort": DAY,
            "size": COUNT,
            "number": pl.Int64,
            "buyers": COUNT,
            "orders": COUNT,
            "revenue": RATE,
            "revenue_per_person": RATE,
            "revenue_per_person_so_far": RATE,
        },
        [(jan(1), 2, 0, 2, 2, 40.0, 20.0, 20.0), (jan(1), 2, 1, 1, 1, 20.5, 10.25, 30.25)],
    ),
    "property_values": (
        "property_values",
        {**WEEKS, "property": "$browser", "event": "$pageview"},
        {"value": TEXT, "events": COUNT, "people": COUNT, "share": RATE},
        [("Chrome", 3, 2, 3 / 7), ("(none)", 2, 1, 2 / 7), ("Firefox", 2, 1, 2 / 7)],
    ),
    "data_quality": (
        "data_quality",
        {**WEEKS, "properties": ["$browser"]},
        {"event": TEXT, "problem": TEXT, "affected": COUNT, "events": COUNT, "share": RATE},
        [
            ("$pageview", "missing: $browser", 2, 7, 2 / 7),
            ("feature_used", "from the future", 1, 9, 1 / 9),
            ("feature_used", "late", 1, 9, 1 / 9),
            ("feature_used", "missing: $browser", 4, 9, 4 / 9),
            ("feature_used", "repeated", 1, 9, 1 / 9),
            ("purchase", "missing: $browser", 4, 4, 1.0),
            ("user_signed_up", "missing: $browser", 1, 4, 0.25),
        ],
    ),
    "event_inventory": (
        "event_inventory",
        WEEKS,
        {
            "event": TEXT,
            "events": COUNT,
            "people": COUNT,
            "first_seen": MOMENT,
            "last_seen": MOMENT,
            "active_days": COUNT,
        },
        [
            ("feature_used", 9, 3, at(1, 5, 10), at(1, 26, 16), 8),
            ("$pageview", 7, 4, at(1, 5, 9), at(1, 15, 7), 4),
            ("purchase", 4, 3, at(1, 13, 11), at(2, 3, 10), 4),
            ("user_signed_up", 4, 4, at(1, 5, 9, 1), at(1, 15, 7, 0, 30), 4),
        ],
    ),
    "property_inventory": (
        "property_inventory",
        {**WEEKS, "event": "purchase"},
        {"property": TEXT, "events": COUNT, "share": RATE, "types": TEXT, "distinct_values": COUNT, "example": TEXT},
        [("amount", 4, 1.0, "number, text", 4, '"free"'), ("coupon", 1, 0.25, "null", 1, "null")],
    ),
    "person_timeline": (
        "person_timeline",
        {"since": "2026-01-06", "until": "2026-01-20T08:00:00Z", "person": "bob"},
        {"timestamp": MOMENT, **dict.fromkeys(("event", "distinct_id", "session", "url", "properties"), TEXT)},
        [
            (
                at(1, 6, 12),
                "$pageview",
                "bob-browser",
                "s5",
                "https://shop.example/?q=1",
                (
                    '{"$pathname":"/","$current_url":"https://shop.example/?q=1","$referring_domain":"friend.example",'
                    '"$browser":"Chrome"}'
                ),
            ),
            (at(1, 6, 12, 5), "user_signed_up", "bob", "s5", None, '{"$referrer":"","$browser":"Chrome"}'),
            (at(1, 7, 8), "feature_used", "bob", "s6", None, '{"feature":"board","$browser":"Chrome"}'),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_query_gives_the_rows_worked_out_by_hand(connection: Connection, case: Case) -> None:
    """A query file returns exactly the expected rows, in order, with the expected dtypes."""
    name, params, schema, rows = case
    expected = pl.DataFrame(rows, schema=schema, orient="row")
    assert_frame_equal(expected, connection.query(name, **params))


def test_every_shipped_query_has_a_case() -> None:
    """A file added to `queries/` without an expected result is noticed."""
    assert {path.stem for path in QUERIES.glob("*.sql")} == {name for name, *_ in CASES.values()}


@pytest.mark.parametrize("path", sorted(QUERIES.glob("*.sql")), ids=lambda path: path.stem)
def test_shipped_query_documents_itself(path: Path) -> None:
    """A shipped file says what it answers, how it counts, what a row is and which columns it returns."""
    from posthog_events.queryfiles import lint, read_query_file

    file = read_query_file(path)
    assert all((file.question, file.doc, file.grain, file.returns, file.tags))
    assert [] == [str(finding) for finding in lint(file)]


def test_days_are_those_of_the_projects_zone(events_store: Path) -> None:
    """East of Greenwich the last moment of the 5th (UTC) is on the 6th; `since` and `until` move along."""
    days = {"since": "2026-01-05", "until": "2026-01-08"}
    with connect(f"chdb://{events_store}", timezone="Europe/Berlin", clock=lambda: NOW) as berlin:
        trend = berlin.query("event_trend", event="$pageview", **days)
        active = berlin.query("active_users", **days)
    assert [(jan(5), 2, 1), (jan(6), 3, 2), (jan(7), 1, 1)] == trend.rows()
    assert [(jan(5), 1, 1), (jan(6), 3, 3), (jan(7), 2, 4)] == active.select("day", "dau", "mau").rows()


def test_weeks_begin_on_the_projects_first_day(tmp_path: Path) -> None:
    """In a project whose weeks begin on Sunday, cohorts do too, and the weeks after them are counted right."""
    store = make_store(tmp_path / "store", [EVENTS], week_starts_monday=False)
    with connect(f"chdb://{store}", clock=lambda: NOW) as connection:
        frame = connection.query("cohort_revenue", interval="week", **WEEKS)
    expected = [
        *((jan(11), number, revenue) for number, revenue in enumerate([30.0, 0.0, 0.0, 20.5])),
        *((jan(18), number, revenue) for number, revenue in enumerate([10.0, 0.0, 0.0])),
    ]
    assert expected == frame.select("cohort", "number", "revenue").rows()


def test_person_is_found_by_uuid(connection: Connection) -> None:
    """A timeline can be asked for by the person's UUID instead of a distinct id."""
    frame = connection.query("person_timeline", person=person(5), **WEEKS)
    assert [at(1, 5, 23, 59, 59, 999_999), at(1, 6, 0)] == frame["timestamp"].to_list()
