"""Tables: persons, person modes, distinct ids, groups, sessions, cohort tables, user tables (reference 2.4)."""

from __future__ import annotations

from typing import Any

from posthog_events.errors import HogQLError, UnsupportedHogQL
from tests.contract.corpus.cases import Case, refused, rows
from tests.contract.corpus.fixture import SESSIONS, person_uuid

_P = [person_uuid(number) for number in range(11)]

_OVERRIDE = "person_id_override_properties_on_events"
_NO_OVERRIDE = "person_id_no_override_properties_on_events"
_JOINED = "person_id_override_properties_joined"
_DISABLED = "disabled"


def _mode(id_: str, mode: str, query: str, *expected: object) -> Case:
    return rows(f"2.4-{id_}-{mode.removeprefix('person_id_')}", query, tuple(expected), person_mode=mode)


_MERGED = "SELECT toString(person_id) AS v FROM events WHERE distinct_id = 'fin'"
_MERGED_PLAN = "SELECT person.properties.plan AS v FROM events WHERE distinct_id = 'fin'"
_ADA = (
    "SELECT person.properties.plan AS plan, person.properties.age AS age FROM events "
    "WHERE distinct_id = 'ada' AND event = 'purchase' ORDER BY timestamp LIMIT 1"
)
_PEOPLE = "SELECT uniqExact(person_id) AS n FROM events"

_SESSION = "SELECT {} AS v FROM sessions WHERE session_id = '{}'"


def _session(id_: str, field: str, session: str, expected: object, **given: Any) -> Case:
    return rows(f"2.4-session-{id_}", _SESSION.format(field, SESSIONS[session]), (expected,), **given)


CASES = (
    _mode("merged-id", _OVERRIDE, _MERGED, _P[5]),
    _mode("merged-id", _NO_OVERRIDE, _MERGED, _P[6]),
    _mode("merged-id", _JOINED, _MERGED, _P[5]),
    _mode("merged-id", _DISABLED, _MERGED, _P[5]),
    _mode("merged-plan", _OVERRIDE, _MERGED_PLAN, None),
    _mode("merged-plan", _NO_OVERRIDE, _MERGED_PLAN, None),
    _mode("merged-plan", _JOINED, _MERGED_PLAN, "pro"),
    _mode("merged-plan", _DISABLED, _MERGED_PLAN, "pro"),
    _mode("plan-at", _OVERRIDE, _ADA, "pro", 37.0),
    _mode("plan-at", _NO_OVERRIDE, _ADA, "pro", 37.0),
    _mode("plan-at", _JOINED, _ADA, "enterprise", 38.0),
    _mode("plan-at", _DISABLED, _ADA, "enterprise", 38.0),
    _mode("people", _OVERRIDE, _PEOPLE, 8),
    _mode("people", _NO_OVERRIDE, _PEOPLE, 9),
    _mode("people", _JOINED, _PEOPLE, 8),
    rows(
        "2.4-distinct-id-without-override-keeps-its-person",
        "SELECT DISTINCT toString(person_id) AS v FROM events WHERE distinct_id = 'ivy'",
        (_P[9],),
        person_mode=_JOINED,
    ),
    rows(
        "2.4-person-id-is-person-dot-id",
        "SELECT count() FROM events WHERE person.id = person_id",
        (50,),
    ),
    rows(
        "2.4-person-created-at",
        "SELECT person.created_at AS v FROM events WHERE event = 'checkout'",
        ("2025-02-28T11:00:00+01:00",),
        types=["DateTime64(6, 'Europe/Berlin')"],
        timezone="Europe/Berlin",
    ),
    rows(
        "2.4-count-users-by-property",
        "SELECT person.properties.plan AS plan, uniq(person_id) AS people FROM events "
        "WHERE event = 'user_signed_up' GROUP BY plan ORDER BY people DESC, plan",
        ("free", 3),
        ("pro", 2),
        ("team", 1),
        (None, 1),
    ),
    rows("2.4-persons-count", "SELECT count() FROM persons", (8,)),
    rows(
        "2.4-persons-current-properties",
        "SELECT toString(id) AS id, properties.plan, properties.age FROM persons WHERE properties.email != '' "
        "AND properties.email IS NOT NULL ORDER BY id",
        (_P[1], "enterprise", 38.0),
        (_P[2], "pro", 41.0),
        (_P[7], "team", 29.0),
        (_P[10], "free", None),
        columns=["id", "plan", "age"],
    ),
    rows(
        "2.4-persons-created-at-in-the-project-zone",
        "SELECT created_at FROM persons WHERE properties.email = 'bob@test.io'",
        ("2025-01-07T00:30:00+01:00",),
        timezone="Europe/Berlin",
    ),
    rows(
        "2.4-person-distinct-ids",
        f"SELECT distinct_id FROM person_distinct_ids WHERE person_id = '{_P[5]}' ORDER BY distinct_id",
        ("eve",),
        ("fin",),
    ),
    rows(
        "2.4-join-events-to-persons",
        "SELECT p.properties.plan AS plan, count() AS n FROM events e JOIN persons p ON e.person_id = p.id "
        "WHERE e.event = 'user_signed_up' GROUP BY plan ORDER BY plan",
        ("enterprise", 1),
        ("free", 2),
        ("pro", 4),
        ("team", 1),
    ),
    rows(
        "2.4-left-join-fills-defaults-not-null",
        "SELECT n.number, d.distinct_id, toString(d.person_id) AS person FROM numbers(1) AS n "
        "LEFT JOIN person_distinct_ids AS d ON toString(n.number) = d.distinct_id",
        (0, "", "00000000-0000-0000-0000-000000000000"),
        columns=["number", "distinct_id", "person"],
    ),
    rows(
        "2.4-left-join-of-a-nullable-column-is-null",
        "SELECT n.number, p.seats FROM numbers(1) AS n LEFT JOIN plans AS p ON toString(n.number) = p.plan",
        (0, None),
    ),
    rows(
        "2.4-three-way-join",
        "SELECT e.distinct_id, pl.price FROM events e JOIN persons p ON e.person_id = p.id "
        "JOIN plans pl ON pl.plan = p.properties.plan WHERE e.event = 'checkout'",
        ("gus", 50.0),
    ),
    rows(
        "2.4-join-using",
        "SELECT a.plan, b.price FROM plans a JOIN plans b USING plan WHERE a.price = 20",
        ("pro", 20.0),
    ),
    rows("2.4-cross-join-by-comma", "SELECT count() FROM numbers(3) a, numbers(4) b", (12,)),
    rows(
        "2.4-left-anti-join",
        "SELECT a.plan FROM plans a LEFT ANTI JOIN (SELECT properties.plan AS plan FROM events "
        "WHERE event = 'user_signed_up') b ON a.plan = b.plan",
        ("gold",),
    ),
    rows(
        "2.4-any-left-join",
        "SELECT p.plan, e.distinct_id != '' AS found FROM plans p ANY LEFT JOIN (SELECT properties.plan AS plan, "
        "distinct_id FROM events WHERE event = 'user_signed_up') e ON p.plan = e.plan ORDER BY p.plan",
        ("free", 1),
        ("gold", 0),
        ("pro", 1),
        ("team", 1),
    ),
    rows(
        "2.4-groups-table",
        "SELECT key, properties.name, properties.seats FROM groups WHERE index = 0 ORDER BY key",
        ("acme", "Acme Inc", "10"),
        ("globex", "Globex", None),
        columns=["key", "name", "seats"],
    ),
    rows(
        "2.4-event-group-by-index",
        "SELECT group_0.properties.name AS v, count() AS n FROM events WHERE event = 'purchase' GROUP BY v ORDER BY v",
        ("Acme Inc", 2),
        ("Globex", 2),
        (None, 6),
    ),
    rows(
        "2.4-event-group-by-type-name",
        "SELECT DISTINCT company.properties.tier AS v FROM events WHERE event = '$autocapture'",
        ("gold",),
    ),
    rows(
        "2.4-event-group-key",
        "SELECT $group_0, count() AS n FROM events WHERE event = 'purchase' GROUP BY $group_0 ORDER BY $group_0",
        ("", 6),
        ("acme", 2),
        ("globex", 2),
        columns=["$group_0", "n"],
    ),
    rows("2.4-unused-group-key-is-empty", "SELECT count() FROM events WHERE $group_1 = ''", (50,)),
    rows("2.4-sessions-leave-out-events-without-one", "SELECT count() FROM sessions", (4,)),
    rows(
        "2.4-session-counts",
        "SELECT $pageview_count, $autocapture_count, $screen_count, $session_duration FROM sessions "
        "ORDER BY $start_timestamp",
        (3, 1, 0, 300),
        (1, 0, 0, 0),
        (0, 0, 2, 20),
        (0, 0, 0, 0),
        columns=["$pageview_count", "$autocapture_count", "$screen_count", "$session_duration"],
    ),
    _session("start", "$start_timestamp", "s1", "2025-01-07T10:00:00+01:00", timezone="Europe/Berlin"),
    _session("end", "$end_timestamp", "s1", "2025-01-07T09:05:00+00:00"),
    _session(
        "entry-url",
        "$entry_current_url",
        "s1",
        "https://www.example.com/pricing?utm_source=ads&utm_medium=cpc#top",
    ),
    _session("end-url", "$end_current_url", "s1", "https://example.com/pricing"),
    _session("entry-pathname", "$entry_pathname", "s1", "/pricing"),
    _session("entry-hostname", "$entry_hostname", "s1", "www.example.com"),
    _session("entry-utm-source", "$entry_utm_source", "s1", "ads"),
    _session("unique-urls", "$num_uniq_urls", "s1", 3),
    _session("page-and-click-is-no-bounce", "ifNull(toInt($is_bounce), -1)", "s1", 0),
    _session("one-page-is-a-bounce", "ifNull(toInt($is_bounce), -1)", "s2", 1),
    _session("two-screens-are-no-bounce", "ifNull(toInt($is_bounce), -1)", "s3", 0),
    _session("neither-page-nor-screen-is-null", "ifNull(toInt($is_bounce), -1)", "s4", -1),
    rows(
        "2.4-event-session",
        "SELECT session.$session_duration AS d, session.$pageview_count AS p FROM events WHERE event = '$autocapture'",
        (300, 3),
    ),
    rows(
        "2.4-event-session-groups",
        "SELECT session.$entry_pathname AS path, count() AS n FROM events WHERE event = '$pageview' "
        "GROUP BY path ORDER BY path",
        ("/", 1),
        ("/pricing", 3),
    ),
    rows(
        "2.4-session-id-column",
        "SELECT $session_id, count() AS n FROM events WHERE $session_id != '' GROUP BY $session_id ORDER BY n DESC, "
        "$session_id LIMIT 2",
        (SESSIONS["s1"], 4),
        (SESSIONS["s3"], 2),
    ),
    rows("2.4-window-id-column", "SELECT DISTINCT $window_id FROM events WHERE event = '$autocapture'", ("ws1",)),
    refused(
        "2.4-session-channel-type",
        "SELECT $channel_type FROM sessions",
        UnsupportedHogQL,
        "$channel_type",
        at="$channel_type",
    ),
    refused("2.4-internal-pdi", "SELECT pdi.person_id FROM events", HogQLError, "pdi", at="pdi.person_id"),
    refused("2.4-internal-poe", "SELECT poe.id FROM events", HogQLError, "poe", at="poe.id"),
    refused("2.4-internal-goe", "SELECT goe_0.key FROM events", HogQLError, "goe_0", at="goe_0.key"),
    rows("2.4-cohort-people", "SELECT count() FROM cohort_people WHERE cohort_id = 1", (2,)),
    rows(
        "2.4-static-cohort-people",
        "SELECT toString(person_id) AS v FROM static_cohort_people WHERE cohort_id = 3",
        (_P[7],),
    ),
    rows("2.4-numbers", "SELECT number FROM numbers(3)", (0,), (1,), (2,), columns=["number"], types=["UInt64"]),
    rows(
        "2.4-user-table",
        "SELECT plan, seats FROM plans WHERE price >= 20 ORDER BY price",
        ("pro", 5),
        ("team", None),
        ("gold", 100),
        types=["Nullable(String)", "Nullable(Int64)"],
    ),
    rows(
        "2.4-elements-chain-column",
        "SELECT position(elements_chain, 'text=\"Start\"') > 0 AS v FROM events WHERE event = '$autocapture'",
        (1,),
    ),
    rows(
        "2.4-created-at-column",
        "SELECT DISTINCT created_at FROM events",
        ("2025-11-01T13:00:00+01:00",),
        timezone="Europe/Berlin",
    ),
    rows(
        "2.4-uuid-column",
        "SELECT uuid FROM events WHERE event = 'checkout'",
        ("0195a000-0000-7000-8000-000000000032",),
        types=["UUID"],
    ),
    rows(
        "2.4-select-without-from",
        "SELECT 1 AS a, 'b' AS b",
        (1, "b"),
    ),
)
