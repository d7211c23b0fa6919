"""Law: filters as HogQL decide every event as the evaluator does, or leave it to the evaluator."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import posthog_events as ph
from posthog_events.clickhouse.store import EventStore
from posthog_events.connection import Connection
from posthog_events.destinations.simulate.pushdown import Pushdown, necessary, pushed_down
from posthog_events.errors import HogError
from posthog_events.hog.filters import compile_filters
from posthog_events.hog.operators import OPERATORS
from posthog_events.limits import UNLIMITED_ROWS
from posthog_events.result import Query

ABSENT = object()
START = datetime(2026, 1, 1, tzinfo=UTC)
# what each type of JSON value has to offer: the table of reference 3.4, and what coercion may stumble over
FOUND: tuple[Any, ...] = (
    ABSENT, None, "", " ", "\t\n", "\xa0", "null", "true", "false", "True", "5", "5.0", " 5 ", "05", "+5", "5e0", "0x5",
    ".5", "5.", "-0", "Infinity", "-Infinity", "NaN", "1_0", "abc", "ABC", "a%c", "a_c", "x", "X y", "a.b@example.com",
    "it's", '"', "\\", "a\\c", "/", "{v0}", "line\nbreak", "größe", "GRÖSSE", "ſ", "K", "İ", "ı", "\N{GRINNING FACE}",
    "\ufeff7", "9007199254740993", "100000000000000000000", "a\u2028b", "\x00", "[object Map]", "null5",
    0, 1, 5, -5, 10, 100, 99.999, 0.5, 5.0, 0.1, 0.30000000000000004, 1e-7, 1e15, 1e16, 1e21, 1e300, -1.5, 2**31,
    2**53 - 1, 2**53, 2**53 + 1, 2**63, 2**64 - 1, -(2**63), 1.0000000000000002,
    True, False,
    [], [5], ["5"], ["abc"], [None], [1, 2], [[]], [True], {}, {"a": 1}, {"abc": "5"},
)  # fmt: skip
NAMES = ("purchase", "signup", "$pageview")


def documents() -> list[dict[str, Any]]:
    """Return properties: every value under the key `x`, with others beside it."""
    found = []
    for at, value in enumerate(FOUND):
        other = FOUND[(at * 7) % len(FOUND)]
        pairs = {"x": value, "y z": other, "it's": value}
        found.append({key: one for key, one in pairs.items() if one is not ABSENT})
    return found


@dataclass
class World:
    """A store, and its events as the evaluator sees them."""

    local: Connection
    events: Sequence[tuple[str, Mapping[str, Any]]] = field(repr=False)

    def select(self, condition: str, values: Mapping[str, Any]) -> set[str]:
        """Return the uuids of the events that fulfil a condition."""
        frame = self.local.run(Query(f"SELECT uuid FROM events WHERE {condition}", values=values)).frame
        return {str(uuid) for uuid in frame["uuid"]}

    def matching(self, filters: Mapping[str, Any], **known: Any) -> set[str]:
        """Return the uuids of the events that the evaluator lets through."""
        compiled = compile_filters(filters, **known)
        return {uuid for uuid, scope in self.events if compiled.matches(scope).matched}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A store with every value, as a property of events and of persons."""
    directory = tmp_path_factory.mktemp("pushdown")
    rows = []
    for at, properties in enumerate([*documents(), *reversed(documents())]):
        name = NAMES[at % len(NAMES)]
        person = documents()[(at * 5) % len(FOUND)]
        row = {"uuid": str(UUID(int=at + 1)), "event": name, "distinct_id": f"user {at % 4}", "properties": properties}
        rows.append({**row, "person_properties": person, "timestamp": (START + timedelta(minutes=at)).isoformat()})
    path = directory / "events.jsonl"
    # ClickHouse reads it, and what it makes of a number is what both sides are given
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    EventStore.create(directory / "store").import_events([path])
    with ph.connect(f"chdb://{directory / 'store'}", row_limits=UNLIMITED_ROWS) as local:
        stored = local.hogql("SELECT uuid, event, distinct_id, properties, person.properties AS person FROM events")
        assert len(rows) == stored.height
        events = []
        for uuid, name, user, properties, person in stored.iter_rows():
            event = {"uuid": str(uuid), "event": name, "distinct_id": user, "properties": json.loads(properties)}
            events.append((str(uuid), {"event": event, "person": {"id": "p", "properties": json.loads(person)}}))
        yield World(local, events)


def agrees(world: World, filters: Mapping[str, Any], *, booleans: Sequence[tuple[str, str]] = ()) -> Pushdown | None:
    """Check one set of filters against the evaluator; None when PostHog could not compile it."""
    try:
        expected = world.matching(filters, boolean_properties=booleans)
    except HogError:
        return None
    pushed = pushed_down(filters, boolean_properties=booleans)
    text = f"SELECT uuid, {pushed.matches} AS m, {pushed.unsure} AS u, {pushed.verdict} AS v, {pushed.possible} AS p"
    frame = world.local.run(Query(f"{text} FROM events", values=pushed.values)).frame
    decided = {str(row[0]): row[1:] for row in frame.iter_rows()}
    compiled = compile_filters(filters, boolean_properties=booleans)
    wrong = []
    for uuid, scope in world.events:
        matches, unsure, verdict, possible = decided[uuid]
        assert possible or uuid not in expected, (filters, scope)
        if not unsure:
            found = compiled.matches(scope)
            if bool(matches) is not found.matched or pushed.verdicts[verdict] != found:
                wrong.append((scope, found, pushed.verdicts[verdict]))
    assert [] == wrong, filters
    return pushed


def item(operator: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"type": "event", "key": "x", "operator": operator, "value": value, **more}


SCALARS = (
    *("", " ", "5", "5.0", "0", "true", "false", "True", "abc", "ABC", "a%c", "a_c", "%", "_", "null", "nu", "\\", "'"),
    *("größe", "K", "s", "ss", "0x5", "Infinity", "NaN", "{v0}", "x\n", "\ud800", "9007199254740993"),
    *(0, 1, 5, 5.0, 0.1, 0.5, -1, 100, 1e15, 1e16, 2**53, 2**53 + 1, 1e300, True, False),
)
PATTERNS = (
    *(
        "^a",
        "b$",
        "a.c",
        ".*",
        "",
        "(?i)abc",
        "a|5",
        "[a-c]+",
        r"\d",
        r"\w+@\w+\.com$",
        "null",
        "^$",
        "a?",
        "(x)",
        "a{1}",
    ),
    *("(?=a)", "a**", "^*", r"\Z", "(?i)É", "(", "5\\.0", "^5", "e"),
)


def single(operator: str) -> Iterator[Any]:
    """Yield the values to try with an operator."""
    if operator in ("between", "not_between"):
        yield from ([0, 5], [-1.5, 0.5], [5, 5], [1, 10**20], ["1", "6"], [False, True], [6, 1])
    elif operator in ("regex", "not_regex"):
        yield from PATTERNS
        yield from (["^a", "5"], ["(", "a"], [])
    elif operator.startswith("is_date"):
        yield "2026-01-01"
    else:
        yield from SCALARS
        yield from (["5", "6"], ["abc", 5], [5, 5.5, True], ["true", "false"], [True, False], ["a", ""], [], ["5"], [5])
        yield from (["%", "b"], ["K", "x"], [2**60, 1])


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_agrees_for_every_type_of_value(world: World, operator: str) -> None:
    """The table of reference 3.4: each operator, a sample of values, against all types of properties."""
    for value in (*list(single(operator))[::9], 5):
        agrees(world, {"properties": [item(operator, value)]})


@pytest.mark.slow
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("place", [{"type": "event"}, {"type": "person"}, {"type": "feature", "key": "it's"}])
def test_every_operator_agrees_everywhere(world: World, operator: str, place: dict[str, str]) -> None:
    """Other values, on events and persons, with the property known as Boolean and not."""
    for value in list(single(operator))[::4]:
        for booleans in ((), [(place["type"], place.get("key", "x"))]):
            agrees(world, {"properties": [item(operator, value, **place)]}, booleans=booleans)


def test_common_conditions_are_decided_by_the_query(world: World) -> None:
    """What people write is left to the evaluator only where the property has an odd type."""
    condition = [item("gte", 5), item("is_set", None), item("icontains", "abc"), item("exact", "5")]
    for one in condition:
        pushed = pushed_down({"events": [{"id": "purchase", "type": "events", "properties": [one]}]})
        left = world.select(pushed.unsure, pushed.values)

        assert pushed.unsure != "event IN {v0}"
        assert len(left) < len(world.events) / 3

    plain = pushed_down({"events": [{"id": "purchase", "type": "events"}]})

    assert plain.exact
    assert "(event IN {v0} AND event = {v1})" == plain.matches
    assert {"v0": ["purchase"], "v1": "purchase"} == dict(plain.values)


VALUES = st.one_of(
    st.sampled_from(SCALARS),
    st.integers(-20, 120),
    st.floats(-200, 200).filter(lambda value: not math.isnan(value)),
    st.text("aAbcx5%_. é", max_size=4),
    st.lists(st.sampled_from(SCALARS), max_size=3),
)
ITEMS = st.one_of(
    st.builds(
        lambda operator, value, kind, key: {"type": kind, "key": key, "operator": operator, "value": value},
        st.sampled_from([name for name in OPERATORS if "regex" not in name]),
        VALUES,
        st.sampled_from(["event", "event", "person", "feature"]),
        st.sampled_from(["x", "y z", "it's", "nothing"]),
    ),
    st.builds(item, st.sampled_from(["regex", "not_regex"]), st.sampled_from(PATTERNS)),
    st.builds(
        lambda key, operator, value: {"type": "event_metadata", "key": key, "operator": operator, "value": value},
        st.sampled_from(["event", "distinct_id", "uuid"]),
        st.sampled_from(["exact", "is_not", "icontains", "gt", "is_set"]),
        st.sampled_from(["purchase", "user 1", "USER", 5, "%page%"]),
    ),
    st.sampled_from(
        [{"key": "x"}, {"key": "properties.x = 5", "type": "hogql"}, {"key": "text", "value": "a", "type": "element"}]
    ),
)
ENTRIES = st.builds(
    lambda entry, items: {**entry, "properties": items},
    st.sampled_from(
        [
            *({"id": name, "type": "events"} for name in (*NAMES, None, "nothing")),
            {"type": "events"},
            {"id": "signup"},
        ]
    ),
    st.lists(ITEMS, max_size=2),
)
FILTERS = st.builds(
    lambda entries, items: {"source": "events", "events": entries, "properties": items},
    st.lists(ENTRIES, max_size=3),
    st.lists(ITEMS, max_size=2),
)


def check(world: World, filters: Mapping[str, Any]) -> None:
    agrees(world, filters, booleans=[("event", "y z")])


ORDINARY = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@ORDINARY
@given(filters=FILTERS)
def test_whole_filters_agree(world: World, filters: dict[str, Any]) -> None:
    """Entries and conditions of every kind: who matches, and which clause turned the others away."""
    check(world, filters)


@pytest.mark.slow
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(filters=FILTERS)
def test_many_whole_filters_agree(world: World, filters: dict[str, Any]) -> None:
    """The same, many times over."""
    check(world, filters)


def test_filters_too_large_for_a_query_are_left_to_the_evaluator(world: World) -> None:
    """What the parser of HogQL would take too long for is not asked of it."""
    entries = [
        {"id": name, "type": "events", "properties": [item("icontains", f"a{at}") for at in range(9)]} for name in NAMES
    ]

    pushed = agrees(world, {"events": entries})

    assert pushed is not None
    assert "event IN {v0}" == pushed.unsure == pushed.possible


def test_filters_that_cannot_be_told_are_left_to_the_evaluator_whole(world: World) -> None:
    """Actions are not pushed down: every event stays possible."""
    filters = {"actions": [{"id": 1, "type": "actions"}]}

    condition, values = necessary(filters)

    assert len(world.events) == len(world.select(condition, values))
