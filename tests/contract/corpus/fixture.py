"""The fixture of the HogQL corpus: fifty events whose every value was chosen by hand.

The lines are raw JSON text, not `json.dumps` output, because how a number or an escape is written is part of what the
corpus checks. Their shape is that of PostHog's batch export. Blocks, by the last digits of the uuid:

====== ================ ==========================================================================================
1-8    user_signed_up   referrers: text, empty, missing, null, the text "null"; ties and a microsecond apart
9-16   web and app      four sessions (three urls and a click; a bounce; two screens; neither), groups, nested values
17-26  purchase         amounts of every kind, on both days when Europe/Berlin changes its clocks
27-32  view, checkout   two people's paths, one tie between them; properties named like columns
33-50  probe            one event per row of the property table; `v`, `n`, `b` and `d` all hold the same value
====== ================ ==========================================================================================
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "COHORTS",
    "COHORT_PEOPLE",
    "EVENT_TYPES",
    "GROUPS",
    "GROUP_TYPES",
    "PERSONS",
    "PERSON_DISTINCT_IDS",
    "PERSON_TYPES",
    "PLANS",
    "PROBES",
    "SESSIONS",
    "STATIC_COHORT_PEOPLE",
    "event_lines",
    "event_uuid",
    "person_uuid",
]


def event_uuid(number: int) -> str:
    """Return the uuid of the event with that number."""
    return f"0195a000-0000-7000-8000-{number:012d}"


def person_uuid(number: int) -> str:
    """Return the uuid of the person with that number."""
    return f"00000000-0000-4000-8000-{number:012d}"


SESSIONS = {name: f"0194{name[1]}000-0000-7000-8000-00000000000{name[1]}" for name in ("s1", "s2", "s3", "s4")}
"""Session ids, UUIDv7 as PostHog's are: s1 browsing, s2 a bounce, s3 screens only, s4 neither page nor screen."""

_PERSON_OF = {
    "ada": 1,
    "ada-phone": 1,
    "bob": 2,
    "cy": 3,
    "dee": 4,
    "eve": 5,
    "fin": 6,
    "gus": 7,
    "hal": 8,
    "ivy": 9,
}
_FIRST_SEEN = {
    1: "2025-01-06T08:00:00Z",
    2: "2025-01-06T23:30:00Z",
    3: "2025-01-12T12:00:00Z",
    4: "2025-01-12T23:59:59.999999Z",
    5: "2025-01-13T00:00:00Z",
    6: "2025-01-13T00:00:00Z",
    7: "2025-02-28T10:00:00Z",
    8: "2025-02-28T10:00:00.000001Z",
    9: "2025-01-10T00:00:00Z",
}
_PERSON_PROPERTIES = {
    1: '{"email": "ada@example.com", "plan": "free", "age": 36}',
    2: '{"email": "bob@test.io", "plan": "pro", "age": 41}',
    3: '{"email": "", "plan": "free"}',
    4: '{"plan": "free", "age": null}',
    7: '{"email": "gus@example.com", "plan": "team", "age": 29, "id": "crm-7", "created_at": "long ago"}',
    8: '{"plan": "pro"}',
}
_ADA_WHEN_BUYING = '{"email": "ada@example.com", "plan": "pro", "age": 37}'


class _Event(NamedTuple):
    number: int
    event: str
    timestamp: str
    distinct_id: str
    properties: str
    session: str = ""
    group: str = ""
    elements: str = ""


_SIGNUPS = (
    _Event(1, "user_signed_up", "2025-01-06T08:00:00Z", "ada", '"$referrer": "google", "plan": "free"'),
    _Event(2, "user_signed_up", "2025-01-06T23:30:00Z", "bob", '"$referrer": "google", "plan": "pro"'),
    _Event(3, "user_signed_up", "2025-01-12T12:00:00Z", "cy", '"$referrer": "", "plan": "free"'),
    _Event(4, "user_signed_up", "2025-01-12T23:59:59.999999Z", "dee", '"plan": "free"'),
    _Event(5, "user_signed_up", "2025-01-13T00:00:00Z", "eve", '"$referrer": null, "plan": "pro"'),
    _Event(6, "user_signed_up", "2025-01-13T00:00:00Z", "fin", '"$referrer": "null", "plan": null'),
    _Event(7, "user_signed_up", "2025-02-28T10:00:00Z", "gus", '"$referrer": "Google", "plan": "team"'),
    _Event(8, "user_signed_up", "2025-02-28T10:00:00.000001Z", "hal", '"$referrer": "news letter", "plan": "pro"'),
)

_NESTED = (
    '"a": {"b": {"c": "deep"}, "list": [10, 20, 30], "o": [{"k": "v1"}, {"k": "v2"}]}, "tags": ["x", "y", "y"], '
    '"n.dot": "dotted", "sp ace": "spaced", "it\'s": "quoted", "uni✓": "ok"'
)

_BROWSING = (
    _Event(
        9,
        "$pageview",
        "2025-01-07T09:00:00Z",
        "ada",
        '"$current_url": "https://www.example.com/pricing?utm_source=ads&utm_medium=cpc#top", "$browser": "Firefox", '
        '"utm_source": "ads"',
        "s1",
        "acme",
    ),
    _Event(
        10,
        "$pageview",
        "2025-01-07T09:01:00Z",
        "ada",
        '"$current_url": "https://example.com/docs", "$browser": "Firefox"',
        "s1",
        "acme",
    ),
    _Event(
        11,
        "$autocapture",
        "2025-01-07T09:01:30Z",
        "ada",
        '"$current_url": "https://example.com/docs", "$browser": "Firefox"',
        "s1",
        "acme",
        'a.link:attr__href="/docs/start"href="/docs/start"nth-child="1"text="Start"',
    ),
    _Event(
        12,
        "$pageview",
        "2025-01-07T09:05:00Z",
        "ada-phone",
        '"$current_url": "https://example.com/pricing", "$browser": "Safari"',
        "s1",
        "acme",
    ),
    _Event(
        13,
        "$pageview",
        "2025-01-07T10:00:00Z",
        "bob",
        '"$current_url": "https://example.com/", "$browser": "Chrome"',
        "s2",
        "globex",
    ),
    _Event(14, "$screen", "2025-01-08T07:00:00Z", "cy", '"$screen_name": "Home"', "s3"),
    _Event(15, "$screen", "2025-01-08T07:00:20Z", "cy", '"$screen_name": "Cart"', "s3"),
    _Event(16, "custom", "2025-01-09T00:00:00Z", "dee", _NESTED, "s4"),
)

_PURCHASES = (
    _Event(
        17,
        "purchase",
        "2025-03-29T22:30:00Z",
        "ada",
        '"amount": 10, "currency": "EUR", "paid": true, "due": "2025-04-01T00:00:00Z", "items": ["a", "b"]',
        group="acme",
    ),
    _Event(
        18,
        "purchase",
        "2025-03-29T23:30:00Z",
        "ada",
        '"amount": 20.5, "currency": "EUR", "paid": false, "due": "2025-04-01", "items": ["a"]',
        group="acme",
    ),
    _Event(
        19,
        "purchase",
        "2025-03-30T00:30:00Z",
        "bob",
        '"amount": "30", "currency": "USD", "paid": "true", "due": "not a date", "items": []',
        group="globex",
    ),
    _Event(
        20,
        "purchase",
        "2025-03-30T01:30:00Z",
        "bob",
        '"amount": 9, "currency": "EUR", "paid": true, "items": ["c", "c", "a"]',
        group="globex",
    ),
    _Event(21, "purchase", "2025-03-30T22:30:00Z", "cy", '"amount": null, "currency": "EUR", "paid": null'),
    _Event(22, "purchase", "2025-03-31T06:00:00Z", "cy", '"amount": "n/a", "currency": "GBP"'),
    _Event(23, "purchase", "2025-10-25T23:30:00Z", "dee", '"amount": 5, "currency": "EUR", "paid": true'),
    _Event(24, "purchase", "2025-10-26T00:30:00Z", "dee", '"amount": 5, "currency": "EUR", "paid": true'),
    _Event(25, "purchase", "2025-10-26T01:30:00Z", "eve", '"amount": 7, "currency": "USD", "paid": false'),
    _Event(26, "purchase", "2025-10-26T23:30:00Z", "eve", '"amount": 100, "currency": "USD", "paid": true'),
)

_PATHS = (
    _Event(27, "view", "2025-02-01T00:00:00Z", "gus", '"page": "home", "ms": 100'),
    _Event(28, "view", "2025-02-01T00:00:10Z", "gus", '"page": "list", "ms": 200'),
    _Event(29, "view", "2025-02-01T00:00:10Z", "hal", '"page": "home", "ms": 50'),
    _Event(30, "view", "2025-02-01T00:00:30Z", "gus", '"page": "item", "ms": 300'),
    _Event(31, "view", "2025-02-01T00:01:00Z", "hal", '"page": "list", "ms": 75'),
    _Event(32, "checkout", "2025-02-01T00:02:00Z", "gus", '"page": "done", "event": "fake", "distinct_id": "nobody"'),
)

PROBES: dict[str, str | None] = {
    "text": '"x"',
    "empty": '""',
    "null": "null",
    "missing": None,
    "text_null": '"null"',
    "one": "1.0",
    "exponent": "1e3",
    "decimal": "1.50",
    "huge": "123456789012345678901",
    "true": "true",
    "array": '[1, 2,"x"]',
    "object": '{"b": 1}',
    "quotes": r'"say \"hi\""',
    "tab": r'"tab\t"',
    "escaped": r'"\u00e9"',
    "false": "false",
    "number_text": '"12.5"',
    "time": '"2025-03-30T01:30:00Z"',
}
"""Probe name to the JSON text of its value; None: the key is absent."""


def _probes() -> tuple[_Event, ...]:
    return tuple(
        _Event(
            33 + minute,
            "probe",
            f"2025-01-10T00:{minute:02d}:00Z",
            "ivy",
            ", ".join([f'"name": "{name}"', *(f'"{key}": {raw}' for key in "vnbd" if raw is not None)]),
        )
        for minute, (name, raw) in enumerate(PROBES.items())
    )


def _line(event: _Event) -> str:
    person = _PERSON_OF[event.distinct_id]
    person_properties = _PERSON_PROPERTIES.get(person, "{}")
    if person == 1 and event.event == "purchase":
        person_properties = _ADA_WHEN_BUYING
    properties = event.properties
    if event.session:
        properties += f', "$session_id": "{SESSIONS[event.session]}", "$window_id": "w{event.session}"'
    if event.group:
        properties += f', "$group_0": "{event.group}"'
    elements = event.elements.replace('"', '\\"')
    return (
        f'{{"uuid": "{event_uuid(event.number)}", "event": "{event.event}", "timestamp": "{event.timestamp}", '
        f'"distinct_id": "{event.distinct_id}", "created_at": "2025-11-01T12:00:00Z", '
        f'"person_id": "{person_uuid(person)}", "person_created_at": "{_FIRST_SEEN[person]}", '
        f'"elements_chain": "{elements}", '
        f'"person_properties": {person_properties}, "properties": {{{properties}}}}}'
    )


def event_lines() -> tuple[str, ...]:
    """Return the fifty events as JSON Lines, in the order of their numbers."""
    return tuple(map(_line, (*_SIGNUPS, *_BROWSING, *_PURCHASES, *_PATHS, *_probes())))


PERSONS = (
    (person_uuid(1), _FIRST_SEEN[1], '{"email": "ada@example.com", "plan": "enterprise", "age": 38}'),
    (person_uuid(2), _FIRST_SEEN[2], '{"email": "bob@test.io", "plan": "pro", "age": 41}'),
    (person_uuid(3), _FIRST_SEEN[3], '{"email": "", "plan": "free"}'),
    (person_uuid(4), _FIRST_SEEN[4], '{"plan": "free", "age": null}'),
    (person_uuid(5), _FIRST_SEEN[5], '{"plan": "pro"}'),
    (person_uuid(7), _FIRST_SEEN[7], '{"email": "gus@example.com", "plan": "team", "age": 29}'),
    (person_uuid(8), _FIRST_SEEN[8], '{"plan": "pro"}'),
    (person_uuid(10), "2025-06-01T00:00:00Z", '{"email": "zed@example.com", "plan": "free"}'),
)
"""The current persons: 6 was merged into 5, 9 is anonymous and has no row, 10 has no events; 1 changed plan since."""

PERSON_DISTINCT_IDS = (
    ("ada", person_uuid(1)),
    ("ada-phone", person_uuid(1)),
    ("bob", person_uuid(2)),
    ("cy", person_uuid(3)),
    ("dee", person_uuid(4)),
    ("eve", person_uuid(5)),
    ("fin", person_uuid(5)),
    ("gus", person_uuid(7)),
    ("hal", person_uuid(8)),
    ("zed", person_uuid(10)),
)
"""`fin` overrides the person of event 6; `ivy` has no row, so the event's own person stands."""

GROUPS = (
    (0, "acme", "2025-01-01T00:00:00Z", '{"name": "Acme Inc", "seats": 10, "tier": "gold"}'),
    (0, "globex", "2025-01-02T00:00:00Z", '{"name": "Globex", "seats": null}'),
    (1, "apollo", "2025-01-03T00:00:00Z", '{"name": "Apollo"}'),
)
GROUP_TYPES = {"company": 0, "project": 1}

COHORTS = {"buyers": 1, "merged": 2}
COHORT_PEOPLE = ((1, person_uuid(1)), (1, person_uuid(2)), (2, person_uuid(5)))
STATIC_COHORT_PEOPLE = ((3, person_uuid(7)),)

PLANS = (("free", 0.0, 1), ("pro", 20.0, 5), ("team", 50.0, None), ("gold", 99.0, 100))
"""A user's own table `plans`: plan String, price Float64, seats Nullable(Int64)."""

EVENT_TYPES = {
    "amount": "Numeric",
    "paid": "Boolean",
    "due": "DateTime",
    "plan": "String",
    "ms": "Numeric",
    "v": "String",
    "n": "Numeric",
    "b": "Boolean",
    "d": "DateTime",
}
PERSON_TYPES = {"age": "Numeric"}
