"""Rules that meet in one query, as they do in analysts' files: names, properties, persons, time and NULL together."""

from __future__ import annotations

from posthog_events.errors import HogQLError, PostHogEventsError
from tests.contract.corpus.cases import refused, rows, value
from tests.contract.corpus.fixture import SESSIONS, person_uuid

_BERLIN = "Europe/Berlin"
_JOINED = "person_id_override_properties_joined"
_P = [person_uuid(number) for number in range(11)]

CASES = (
    # names and aliases
    rows("2.2-alias-of-an-aggregate-used-later", "SELECT count() AS n, n * 2 AS m FROM events", (50, 100)),
    refused(
        "2.2-alias-of-an-aggregate-in-where",
        "SELECT count() AS event FROM events WHERE event = 'view'",
        PostHogEventsError,
    ),
    rows(
        "2.2-alias-over-a-column-in-a-subquery",
        "SELECT DISTINCT event FROM (SELECT upper(event) AS event FROM events) WHERE event = 'VIEW'",
        ("VIEW",),
    ),
    rows(
        "2.2-alias-over-a-column-ordered",
        "SELECT toDate(timestamp) AS timestamp, count() AS n FROM events WHERE events.event = 'purchase' "
        "GROUP BY timestamp ORDER BY timestamp DESC LIMIT 2",
        ("2025-10-26", 3),
        ("2025-10-25", 1),
    ),
    rows(
        "2.2-alias-of-an-alias",
        "SELECT timestamp AS t, toDate(t) AS d, toYear(d) AS y FROM events WHERE event = 'checkout'",
        ("2025-02-01T00:02:00+00:00", "2025-02-01", 2025),
    ),
    rows("2.2-order-by-position", "SELECT number FROM numbers(3) ORDER BY 1 DESC", (2,), (1,), (0,)),
    rows(
        "2.2-group-by-position",
        "SELECT event, count() AS n FROM events WHERE event IN ('view', 'checkout') GROUP BY 1 ORDER BY 2",
        ("checkout", 1),
        ("view", 5),
    ),
    rows(
        "2.2-alias-equal-to-a-table-name",
        "SELECT event AS events FROM events WHERE events = 'checkout'",
        ("checkout",),
        columns=["events"],
    ),
    rows(
        "2.2-alias-hides-a-property-document",
        "SELECT 'x' AS properties FROM events WHERE event = 'checkout' AND properties = 'x'",
        ("x",),
    ),
    rows(
        "2.2-self-join-by-aliases",
        "SELECT a.properties.page AS one, b.properties.page AS two FROM events a JOIN events b "
        "ON a.distinct_id = b.distinct_id WHERE a.event = 'checkout' AND b.event = 'view' ORDER BY b.timestamp LIMIT 2",
        ("done", "home"),
        ("done", "list"),
    ),
    rows(
        "2.2-table-alias-and-a-property-named-like-a-column",
        "SELECT e.event, e.distinct_id, e.properties.event AS fake FROM events e WHERE e.event = 'checkout'",
        ("checkout", "gus", "fake"),
    ),
    rows(
        "2.2-table-alias-and-a-person-property-named-like-a-column",
        "SELECT p.id, toString(p.created_at) AS at, e.person.properties.id AS fake FROM events e JOIN persons p "
        "ON e.person_id = p.id WHERE e.event = 'checkout'",
        (_P[7], "2025-02-28 10:00:00.000000", "crm-7"),
    ),
    rows(
        "2.2-lambda-argument-named-like-the-table",
        "SELECT arrayMap(events -> concat(events, event), ['a']) AS v FROM events WHERE event = 'checkout'",
        (["acheckout"],),
    ),
    rows(
        "2.2-subquery-column-named-like-a-qualified-column",
        "SELECT x.event FROM (SELECT event, 'z' AS `x.event` FROM events WHERE event = 'checkout') AS x",
        ("checkout",),
    ),
    rows(
        "2.2-alias-named-like-a-qualified-column",
        "SELECT 'x' AS `events.event`, event AS y FROM events WHERE event = 'checkout'",
        ("x", "checkout"),
    ),
    rows(
        "2.2-tuple-alias-named-like-the-table",
        "SELECT tuple('t', 'u') AS events, event FROM events WHERE event = 'checkout'",
        (["t", "u"], "checkout"),
    ),
    rows(
        "2.2-aggregate-under-the-name-of-its-own-column",
        "SELECT max(timestamp) AS timestamp FROM events WHERE events.timestamp < '2025-03-01'",
        ("2025-02-28T10:00:00.000001+00:00",),
    ),
    rows(
        "2.2-property-under-its-own-name-is-the-alias",
        "SELECT lower(properties.page) AS page, upper(page) AS q FROM events WHERE event = 'checkout'",
        ("done", "DONE"),
    ),
    # properties in expressions
    rows(
        "2.3-null-goes-through-arithmetic",
        "SELECT properties.amount + 1 AS v FROM events WHERE event = 'purchase' ORDER BY timestamp LIMIT 2 OFFSET 3",
        (10.0,),
        (None,),
    ),
    rows(
        "2.3-coalesce-of-a-typed-property",
        "SELECT sum(coalesce(properties.amount, 1)) AS v FROM events WHERE event = 'purchase'",
        (188.5,),
    ),
    rows(
        "2.3-null-condition-takes-the-else-branch",
        "SELECT if(properties.paid, 'yes', 'no') AS v, count() AS n FROM events WHERE event = 'purchase' "
        "GROUP BY v ORDER BY v",
        ("no", 4),
        ("yes", 6),
    ),
    rows(
        "2.3-null-in-multiIf-is-false",
        "SELECT multiIf(properties.amount > 10, 'big', properties.amount <= 10, 'small', 'none') AS v, count() AS n "
        "FROM events WHERE event = 'purchase' GROUP BY v ORDER BY v",
        ("big", 3),
        ("none", 2),
        ("small", 5),
    ),
    rows(
        "2.3-null-in-countIf-is-not-counted",
        "SELECT countIf(properties.paid) AS a, countIf(NOT properties.paid) AS b, countIf(properties.amount > 6) AS c "
        "FROM events WHERE event = 'purchase'",
        (6, 2, 6),
    ),
    rows(
        "2.3-typed-boolean-as-text",
        "SELECT DISTINCT toString(properties.paid) AS v FROM events WHERE properties.amount = 7",
        ("false",),
    ),
    rows(
        "2.3-toInt-of-a-typed-fraction-is-null",
        "SELECT toInt(properties.amount) AS v FROM events WHERE event = 'purchase' ORDER BY timestamp LIMIT 2",
        (10,),
        (None,),
    ),
    rows(
        "2.3-property-in-a-lambda",
        "SELECT arrayMap(x -> concat(x, '/', properties.page), ['a']) AS v FROM events WHERE event = 'checkout'",
        (["a/done"],),
    ),
    rows(
        "2.3-property-key-from-a-value",
        "SELECT properties[{key}] AS v FROM events WHERE event = 'custom'",
        ("spaced",),
        values={"key": "sp ace"},
    ),
    rows(
        "2.3-json-text-of-a-property-in-a-subquery",
        "SELECT JSONExtractString(p, 'b', 'c') AS v FROM (SELECT properties.a AS p FROM events WHERE event = 'custom')",
        ("deep",),
    ),
    rows(
        "2.3-typed-property-stays-typed-through-two-subqueries",
        "SELECT max(x) AS v FROM (SELECT a AS x FROM (SELECT properties.amount AS a FROM events)) WHERE x < 100",
        (30.0,),
        types=["Nullable(Float64)"],
    ),
    rows(
        "2.3-aggregate-of-person-properties",
        "SELECT distinct_id, max(person.properties.age) AS age FROM events WHERE distinct_id IN ('ada', 'hal') "
        "GROUP BY distinct_id ORDER BY distinct_id",
        ("ada", 37.0),
        ("hal", None),
    ),
    rows(
        "2.3-jsonhas-tells-null-from-missing",
        "SELECT JSONHas(properties, 'v') AS v FROM events WHERE properties.name = 'null' OR "
        "properties.name = 'missing' "
        "ORDER BY timestamp",
        (1,),
        (0,),
    ),
    # persons, groups, sessions together
    rows(
        "2.4-person-in-subquery-of-persons",
        "SELECT count() FROM events WHERE person_id IN (SELECT id FROM persons WHERE properties.plan = 'pro')",
        (11,),
    ),
    rows(
        "2.4-distinct-ids-of-a-person",
        "SELECT count() FROM events WHERE distinct_id IN (SELECT distinct_id FROM person_distinct_ids "
        f"WHERE person_id = '{_P[1]}')",
        (7,),
    ),
    rows("2.4-person-id-compared-with-text", f"SELECT count() FROM events WHERE person_id = '{_P[5]}'", (4,)),
    rows(
        "2.4-person-id-from-a-value",
        "SELECT count() FROM events WHERE person_id = {who}",
        (4,),
        values={"who": _P[5]},
    ),
    rows(
        "2.4-left-join-of-persons-reads-null-properties",
        "SELECT DISTINCT p.properties.email AS email, p.properties.age AS age FROM events e "
        "LEFT JOIN persons p ON e.person_id = p.id WHERE e.distinct_id = 'ivy'",
        (None, None),
    ),
    rows(
        "2.4-joined-person-through-an-alias",
        "SELECT e.person.properties.plan AS plan, count() AS n FROM events e WHERE e.event = 'purchase' "
        "GROUP BY plan ORDER BY n DESC, plan",
        ("free", 4),
        ("pro", 4),
        ("enterprise", 2),
        person_mode=_JOINED,
    ),
    rows(
        "2.4-joined-person-in-where-only",
        "SELECT count() FROM events WHERE person.properties.plan = 'enterprise'",
        (7,),
        person_mode=_JOINED,
    ),
    rows(
        "2.4-override-inside-a-subquery-and-a-cte",
        "WITH s AS (SELECT person_id FROM events WHERE event = 'user_signed_up') SELECT "
        "uniqExact(person_id) AS n FROM s",
        (7,),
    ),
    rows(
        "2.4-override-on-both-sides-of-a-join",
        "SELECT count() FROM (SELECT person_id FROM events WHERE distinct_id = 'fin') a "
        "JOIN (SELECT person_id FROM events WHERE distinct_id = 'eve') b ON a.person_id = b.person_id",
        (3,),
    ),
    rows(
        "2.4-person-group-and-session-at-once",
        "SELECT person.properties.email AS email, group_0.properties.name AS company, session.$pageview_count AS pages "
        "FROM events WHERE event = '$autocapture'",
        ("ada@example.com", "Acme Inc", 3),
    ),
    rows(
        "2.4-join-sessions-by-hand",
        "SELECT s.$pageview_count AS n FROM events e JOIN sessions s ON e.$session_id = s.session_id "
        "WHERE e.event = '$autocapture'",
        (3,),
    ),
    rows(
        "2.4-session-of-an-event-without-one",
        "SELECT DISTINCT session.$pageview_count AS n FROM events WHERE event = 'checkout'",
        (0,),
    ),
    rows(
        "2.4-sessions-in-a-subquery",
        "SELECT count() FROM events WHERE $session_id IN (SELECT session_id FROM sessions WHERE $screen_count > 0)",
        (2,),
    ),
    rows(
        "2.4-group-filter",
        "SELECT count() FROM events WHERE company.properties.name = 'Acme Inc'",
        (6,),
    ),
    rows(
        "2.4-user-table-in-a-join",
        "SELECT e.distinct_id, p.price FROM events e JOIN plans p ON e.properties.plan = p.plan "
        "WHERE e.event = 'user_signed_up' AND p.price > 0 ORDER BY e.distinct_id",
        ("bob", 20.0),
        ("eve", 20.0),
        ("gus", 50.0),
        ("hal", 20.0),
    ),
    rows(
        "2.4-asterisk-of-persons-hides-nothing-it-needs",
        f"SELECT id, created_at FROM (SELECT * FROM persons) WHERE id = '{_P[2]}'",
        (_P[2], "2025-01-06T23:30:00+00:00"),
    ),
    # time
    rows(
        "2.5-aggregates-of-timestamps-keep-the-zone",
        "SELECT min(timestamp) AS a, max(timestamp) AS b FROM events WHERE event = 'purchase'",
        ("2025-03-29T23:30:00+01:00", "2025-10-27T00:30:00+01:00"),
        types=["DateTime64(6, 'Europe/Berlin')", "DateTime64(6, 'Europe/Berlin')"],
        timezone=_BERLIN,
    ),
    rows(
        "2.5-timestamp-as-text-is-local",
        "SELECT toString(timestamp) AS v FROM events WHERE event = 'purchase' AND properties.amount = 9",
        ("2025-03-30 03:30:00.000000",),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-dateDiff-of-columns-counts-local-days",
        "SELECT dateDiff('day', min(timestamp), max(timestamp)) AS v FROM events WHERE distinct_id = 'ada' "
        "AND event = 'purchase'",
        (1,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-dateDiff-of-columns-counts-utc-days",
        "SELECT dateDiff('day', min(timestamp), max(timestamp)) AS v FROM events WHERE distinct_id = 'ada' "
        "AND event = 'purchase'",
        (0,),
    ),
    rows(
        "2.5-arrays-of-timestamps-keep-the-zone",
        "SELECT arraySort(groupArray(timestamp)) AS v FROM events WHERE distinct_id = 'ada' AND event = 'purchase'",
        (["2025-03-29T23:30:00+01:00", "2025-03-30T00:30:00+01:00"],),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-date-compared-with-text",
        "SELECT count() FROM events WHERE event = 'purchase' AND toDate(timestamp) BETWEEN "
        "'2025-03-30' AND '2025-03-31'",
        (5,),
        timezone=_BERLIN,
    ),
    rows(
        "2.5-week-of-a-date-constant",
        "SELECT toStartOfWeek(toDate('2025-01-12')) AS a, toMonday(toDate('2025-01-12')) AS b",
        ("2025-01-12", "2025-01-06"),
    ),
    rows(
        "2.5-interval-from-a-value",
        "SELECT toDate('2025-01-31') + toIntervalMonth({n}) AS v",
        ("2025-02-28",),
        values={"n": 1},
    ),
    rows(
        "2.5-seconds-between-events",
        "SELECT dateDiff('second', lag(timestamp) OVER (PARTITION BY distinct_id ORDER BY timestamp), timestamp) AS v "
        "FROM events WHERE event = 'view' ORDER BY distinct_id, events.timestamp",
        (None,),
        (10,),
        (20,),
        (None,),
        (50,),
    ),
    # NULL
    rows(
        "2.6-tuple-in",
        "SELECT count() FROM events WHERE (event, distinct_id) IN (('view', 'gus'), ('purchase', 'ada'))",
        (5,),
    ),
    rows("2.6-in-an-array", "SELECT count() FROM events WHERE event IN ['view', 'checkout']", (6,)),
    rows(
        "2.6-not-in-keeps-null-in-where",
        "SELECT count() FROM events WHERE event = 'user_signed_up' AND properties.$referrer NOT IN "
        "('google', 'Google')",
        (5,),
    ),
    rows(
        "2.6-in-subquery-with-null-finds-null",
        "SELECT count() FROM events WHERE event = 'user_signed_up' AND properties.$referrer IN "
        "(SELECT properties.w FROM events WHERE event = 'checkout')",
        (2,),
    ),
    rows(
        "2.6-like-escapes",
        r"SELECT 'a_b' LIKE 'a\\_b' AS a, 'axb' LIKE 'a\\_b' AS b, 'a%' LIKE 'a\\%' AS c",
        (1, 0, 1),
    ),
    value("2.6-mixed-constants-are-compared-by-the-engine", "1 = 1.0", 1),
    value("2.6-and-or-not-precedence", "NOT 1 = 2 AND 0 OR 1", 1),
    # windows and sets
    rows(
        "2.9-lag-of-a-typed-property",
        "SELECT properties.ms - lag(properties.ms) OVER (PARTITION BY distinct_id ORDER BY timestamp) AS v FROM events "
        "WHERE event = 'view' ORDER BY distinct_id, events.timestamp",
        (None,),
        (100.0,),
        (100.0,),
        (None,),
        (25.0,),
    ),
    rows(
        "2.9-window-over-a-subquery-with-a-filter",
        "SELECT distinct_id, page FROM (SELECT distinct_id, properties.page AS page, row_number() OVER "
        "(PARTITION BY distinct_id ORDER BY timestamp DESC) AS r FROM events WHERE event = 'view') WHERE r = 1 "
        "ORDER BY distinct_id",
        ("gus", "item"),
        ("hal", "list"),
    ),
    rows(
        "2.9-union-of-property-types",
        "SELECT max(v) AS m FROM (SELECT properties.amount AS v FROM events UNION ALL SELECT "
        "properties.ms FROM events)",
        (300.0,),
    ),
    rows(
        "2.9-sample-with-an-alias-and-a-join",
        "SELECT count() FROM events e SAMPLE 0.25 JOIN persons p ON e.person_id = p.id",
        (9,),
    ),
    rows(
        "2.9-sample-in-a-subquery",
        "SELECT n FROM (SELECT count() AS n FROM events SAMPLE 0.5 WHERE event = 'purchase')",
        (4,),
    ),
    rows(
        "2.9-ordered-pairs-by-array",
        "SELECT arrayMap(x -> x.2, arraySort(groupArray((timestamp, properties.page)))) AS v FROM events "
        "WHERE distinct_id = 'hal' AND event = 'view'",
        (["home", "list"],),
    ),
    rows(
        "2.9-cte-and-table-alias-and-filter",
        "WITH first AS (SELECT person_id, min(timestamp) AS at FROM events WHERE event = "
        "'user_signed_up' GROUP BY person_id) "
        "SELECT count() FROM events e JOIN first f ON e.person_id = f.person_id WHERE e.event = 'purchase' "
        "AND e.timestamp > f.at",
        (10,),
    ),
    # placeholders
    rows(
        "2.10-filters-through-a-table-alias",
        "SELECT count() FROM events e WHERE e.event = 'purchase' AND {filters}",
        (3,),
        filters={"dateRange": {"date_from": "2025-03-30", "date_to": "2025-03-31"}},
    ),
    rows(
        "2.10-filters-in-both-branches-of-a-union",
        "SELECT count() AS n FROM events WHERE event = 'purchase' AND {filters} "
        "UNION ALL SELECT count() FROM events WHERE event = 'view' AND {filters}",
        (4,),
        (0,),
        ordered=False,
        filters={"dateRange": {"date_from": "2025-10-01"}},
    ),
    rows(
        "2.10-filters-and-values-and-variables",
        "SELECT count() FROM events WHERE event = {name} AND distinct_id = {variables.who} AND {filters}",
        (2,),
        values={"name": "purchase"},
        variables={"who": "eve"},
        filters={"dateRange": {"date_from": "2025-10-01"}},
    ),
    rows("2.10-value-in-an-array-and-a-call", "SELECT has([{a}, {b}], {b}) AS v", (1,), values={"a": 1, "b": 2}),
    rows("2.10-value-in-a-lambda", "SELECT arrayMap(x -> x + {n}, [1, 2]) AS v", ([11, 12],), values={"n": 10}),
    refused("2.10-variable-is-no-table", "SELECT 1 FROM {variables.t}", HogQLError, variables={"t": "plans"}),
    rows(
        "2.10-filter-on-sessions-through-events",
        f"SELECT count() FROM events WHERE $session_id = '{SESSIONS['s1']}' AND {{filters}}",
        (3,),
        filters={"properties": [{"key": "$browser", "operator": "exact", "value": "Firefox", "type": "event"}]},
    ),
)
