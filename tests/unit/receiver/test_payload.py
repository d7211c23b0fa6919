"""Bodies of deliveries: PostHog's own, the common others, shapes of one's own, and JSON that means harm."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from posthog_events.errors import ConfigError, DeliveryRejected
from posthog_events.receiver.json_body import MAX_DEPTH, MAX_VALUES
from posthog_events.receiver.payload import Person, ReceivedEvent, parse_payload
from posthog_events.receiver.shape import Shape, parse_path
from posthog_events.receiver.verify import MAX_BODY_BYTES

UUID = "0198f2a4-7c11-7d2e-9a4b-5b1f0c3d2e10"
AT = datetime(2026, 8, 20, 10, 15, 30, 123_000, tzinfo=UTC)
EVENT_URL = f"https://us.posthog.com/project/12345/events/{UUID}/2026-08-20T10%3A15%3A30.123Z"

# the body that PostHog sends by default, with what a declaration can add to it
EVENT = {
    "uuid": UUID,
    "event": "user_signed_up",
    "distinct_id": "user_123",
    "properties": {"$lib": "web", "plan": "pro", "seats": 3, "nested": {"a": [1, None, True, 1.5]}},
    "elements_chain": "",
    "timestamp": "2026-08-20T10:15:30.123Z",
    "captured_at": "2026-08-20T10:15:30.900Z",
    "url": EVENT_URL,
}
PERSON = {
    "id": "0198f000-1111-7222-8333-444455556666",
    "properties": {"email": "ada@example.com"},
    "name": "ada@example.com",
    "url": "https://us.posthog.com/project/12345/person/user_123",
}
DEFAULT_BODY = {"event": EVENT, "person": PERSON}


def parse(document: Any, **options: Any) -> ReceivedEvent:
    """Parse a document as JSON."""
    return parse_payload(json.dumps(document).encode(), **options)


def refused(body: bytes, **options: Any) -> tuple[int, str]:
    """Return status and code of a refusal."""
    with pytest.raises(DeliveryRejected) as caught:
        parse_payload(body, **options)
    return caught.value.status, caught.value.code


def flat(**changes: Any) -> dict[str, Any]:
    """Return a flat body."""
    return {"event": "signup", "distinct_id": "ann", **changes}


def test_the_default_body_of_posthog() -> None:
    """Every part in its place and of its type."""
    event = parse(DEFAULT_BODY)

    assert ("user_signed_up", UUID, "user_123") == (event.name, event.uuid, event.distinct_id)
    assert EVENT["properties"] == event.properties
    assert (AT, EVENT_URL) == (event.timestamp, event.url)
    assert Person(PERSON["id"], PERSON["name"], PERSON["url"], PERSON["properties"]) == event.person
    assert ({}, None, None) == (event.groups, event.project, event.source)
    assert DEFAULT_BODY == event.raw
    assert {"event": {"elements_chain": "", "captured_at": "2026-08-20T10:15:30.900Z"}} == event.extra


def test_whatever_else_is_in_the_body_is_kept_where_it_was() -> None:
    """PostHog adds keys; and users add their own."""
    groups = {"company": {"id": "acme", "type": "company", "index": 0, "url": "u", "properties": {}}}
    project, source = {"id": 1, "name": "Acme", "url": "u"}, {"name": "Signups to CRM", "url": "u"}
    body = {
        "event": {**EVENT, "new": {"a": 1}},
        "person": {**PERSON, "cohorts": [1]},
        "groups": groups,
        "project": project,
        "source": source,
        "mine": {"deep": [1]},
        "nothing": None,
    }

    event = parse(body)

    assert (groups, project, source) == (event.groups, event.project, event.source)
    assert {"new": {"a": 1}, "elements_chain": "", "captured_at": EVENT["captured_at"]} == event.extra["event"]
    assert {"cohorts": [1]} == event.extra["person"]
    assert {"event", "person", "mine", "nothing"} == set(event.extra)


@pytest.mark.parametrize(
    "body",
    [
        DEFAULT_BODY,
        {**EVENT, "person": PERSON},
        {
            **{key: value for key, value in EVENT.items() if key != "distinct_id"},
            "distinctId": "user_123",
            "person": PERSON,
        },
        {"event": {**EVENT, "person": PERSON}},
        {"data": DEFAULT_BODY},
        {"payload": {**EVENT, "person": PERSON}, "type": "posthog", "at": {"event": None}},
    ],
    ids=["default", "event at the top", "distinctId", "person in the event", "nested default", "nested event"],
)
def test_common_bodies_say_the_same(body: dict[str, Any]) -> None:
    """The event object by itself, the name as a text, and each under another key."""
    expected, event = parse(DEFAULT_BODY), parse(body)

    for part in ("name", "uuid", "distinct_id", "properties", "timestamp", "url", "person"):
        assert getattr(expected, part) == getattr(event, part), part


def test_a_flat_body_needs_a_name_only() -> None:
    """Everything else may be missing."""
    event = parse({"event": "signup"})

    assert ("signup", None, None, None, None, None) == (
        event.name,
        event.uuid,
        event.distinct_id,
        event.timestamp,
        event.url,
        event.person,
    )
    assert ({}, {}, {}) == (event.properties, event.groups, event.extra)


def test_an_event_without_a_person() -> None:
    """PostHog sends null."""
    assert parse({"event": EVENT, "person": None}).person is None


def test_a_shape_says_where_the_parts_are() -> None:
    """By keys with full stops between them; a full stop in a key has a backslash before it."""
    body = {
        "v1.0": {"what": "signup", "who": {"id": 7, "traits": {"plan": "pro"}}, "when": "2026-08-20T12:15:30+02:00"}
    }
    shape = Shape(
        root=r"v1\.0", name="what", distinct_id=("who.missing", "who.id"), properties="who.traits", timestamp="when"
    )

    event = parse(body, shape=shape)

    assert ("signup", "7", {"plan": "pro"}) == (event.name, event.distinct_id, event.properties)
    assert datetime(2026, 8, 20, 10, 15, 30, tzinfo=UTC) == event.timestamp
    assert {} == event.extra


def test_a_part_can_be_said_not_to_exist() -> None:
    """A `timestamp` that is none of PostHog's then stays in the rest."""
    event = parse(flat(timestamp=1_790_000_000), shape=Shape(timestamp=()))

    assert (None, {"timestamp": 1_790_000_000}) == (event.timestamp, event.extra)


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a\\", "a\\b", None, 3])
def test_paths_have_keys(path: Any) -> None:
    """A path that names nothing is a mistake in the settings."""
    with pytest.raises(ConfigError):
        Shape(uuid=(path,))


def test_paths_are_read_with_their_escapes() -> None:
    """Only the full stop and the backslash have any."""
    assert ("a.b", "c\\", "$d e") == parse_path(r"a\.b.c\\.$d e")


def test_a_shape_needs_the_name() -> None:
    """An event without one is none."""
    with pytest.raises(ConfigError, match="name"):
        Shape(name=())


@pytest.mark.parametrize("body", [b'{"text": "a user signed up"}', b"a user signed up", b"", b"\xff"])
def test_bodies_without_an_event_pass_when_that_was_said(body: bytes) -> None:
    """A text for Slack is not an event; the size counts all the same."""
    assert parse_payload(body, shape=None) is None
    assert (413, "too_large") == refused(b"xxxx", shape=None, max_bytes=3)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"text": "a user signed up"}, "no_event_name"),
        ({"text": "x", "blocks": [{"event": "signup"}]}, "no_event_name"),
        ({}, "no_event_name"),
        ({"event": None}, "no_event_name"),
        ({"event": 3}, "no_event_name"),
        ({"event": {}}, "no_event_name"),
        ({"event": {"event": None}, "person": PERSON}, "no_event_name"),
        ({"a": {"b": {"event": "two levels down"}}}, "no_event_name"),
        ({"a": {"event": "x"}, "b": {"event": "y"}}, "not_an_event"),
        ([EVENT], "not_an_event"),
        ("signup", "not_an_event"),
        (3, "not_an_event"),
        (None, "not_an_event"),
        (True, "not_an_event"),
    ],
)
def test_what_names_no_event_is_refused(document: Any, code: str) -> None:
    """One of two names is not chosen."""
    assert (400, code) == refused(json.dumps(document).encode())


def test_a_root_that_is_not_there_is_refused() -> None:
    """The shape is another destination's."""
    assert (400, "not_an_event") == refused(b'{"event": "x"}', shape=Shape(root="data"))
    assert (400, "no_event_name") == refused(b'{"data": {}, "event": "x"}', shape=Shape(root="data"))


@pytest.mark.parametrize(
    "changes",
    [
        {"event": ""},
        {"event": "x" * 1001},
        {"event": "a\0b"},
        {"uuid": 3},
        {"uuid": ""},
        {"uuid": ["x"]},
        {"distinct_id": True},
        {"distinct_id": 1.5},
        {"distinct_id": {}},
        {"distinct_id": "x" * 1001},
        {"properties": "a"},
        {"properties": []},
        {"timestamp": 1_790_000_000},
        {"timestamp": ""},
        {"timestamp": "yesterday"},
        {"timestamp": "2026-08-20"},
        {"timestamp": "2026-W34-4"},
        {"timestamp": "2026-13-01T00:00:00Z"},
        {"timestamp": "2026-08-20T25:00:00Z"},
        {"timestamp": "0001-01-01T00:00:00+23:59"},
        {"timestamp": "2026-08-20T00:00:00Z\n"},
        {"timestamp": "２０２６-08-20T00:00:00Z"},
    ],
    ids=str,
)
def test_parts_of_another_type_are_refused(changes: dict[str, Any]) -> None:
    """The reason names the path, and holds nothing of the value."""
    with pytest.raises(DeliveryRejected, match=next(iter(changes))) as caught:
        parse(flat(**changes))

    assert (400, "bad_field") == (caught.value.status, caught.value.code)
    assert "xxx" not in caught.value.reason


@pytest.mark.parametrize("part", ["person", "groups", "project", "source", "url"])
@pytest.mark.parametrize("value", [["acme"], 3, True])
def test_other_parts_of_another_type_are_not_those_parts(part: str, value: Any) -> None:
    """A custom body may call something else a source; it is kept as it is."""
    event = parse(flat(**{part: value}))

    assert not getattr(event, part)
    assert {part: value} == event.extra


def test_a_person_without_known_parts_is_kept() -> None:
    """Bare properties of a person, say, where a body has those in place of the person."""
    event = parse(flat(person={"email": "ada@example.com"}))

    assert (None, {"person": {"email": "ada@example.com"}}) == (event.person, event.extra)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-08-20T10:15:30.123Z", AT),
        ("2026-08-20T12:15:30.123+02:00", AT),
        ("2026-08-20 10:15:30.123000", AT),
        ("2026-08-20T10:15:30.123000999Z", AT),
        ("2026-08-20T05:15:30.123-0500", AT),
        ("2026-08-20T10:15Z", datetime(2026, 8, 20, 10, 15, tzinfo=UTC)),
    ],
)
def test_timestamps_are_utc(text: str, expected: datetime) -> None:
    """Whatever their zone; ClickHouse writes none, and means UTC."""
    timestamp = parse(flat(timestamp=text)).timestamp

    assert expected == timestamp
    assert timestamp is not None
    assert UTC is timestamp.tzinfo


def test_uuids_are_written_in_one_way() -> None:
    """In lower case; what is no uuid is left alone."""
    assert UUID == parse(flat(uuid=UUID.upper())).uuid
    assert "Order-7" == parse(flat(uuid="Order-7")).uuid


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b" \r\n\t", "empty_body"),
        (b"\xef\xbb\xbf{}", "byte_order_mark"),
        (b"\xef\xbb\xbf", "byte_order_mark"),
        (b'{"event": "\xff"}', "not_utf8"),
        (b'{"\xc0\xaf": 1}', "not_utf8"),
        (b'{"event": "\xed\xa0\x80"}', "not_utf8"),
        (b'{"event": "\xf5\x80\x80\x80"}', "not_utf8"),
        (b"\xff", "not_json"),
        ('{"event": "x"}'.encode("utf-16"), "not_json"),
        ('{"event": "x"}'.encode("utf-32"), "not_json"),
        (b'{"event": "x", "a": NaN}', "not_json"),
        (b'{"event": "x", "a": -Infinity}', "not_json"),
        (b'{"event": "x",}', "not_json"),
        (b'{"event": "x"} {"event": "y"}', "not_json"),
        (b'{"event": "x"', "not_json"),
        (b'{"event": "x', "not_json"),
        (b'{"event": "x\\', "not_json"),
        (b'{"event": "x\n"}', "not_json"),
        (b"{'event': 'x'}", "not_json"),
        (b'{"event": "x", "a": 01}', "not_json"),
        (b'{"event": "x", "a": 0x1}', "not_json"),
        (b'{"event": "x"} // y', "not_json"),
        (b"event=x&a=b", "not_json"),
        (b"\x00", "not_json"),
        (b"\x1f\x8b\x08\x00", "not_json"),
        (b'{"event": "x", "event": "y"}', "duplicate_key"),
        (b'{"event": "x", "\\u0065vent": "x"}', "duplicate_key"),
        (b'{"event": "x", "p": [{"a": {"b": 1, "c:": ":", "b": 1}}]}', "duplicate_key"),
        (b'{"event": "x", "a": {"b": 1}, "a": {}}', "duplicate_key"),
        (b'{"event": "x", "a": 1e400}', "number_out_of_range"),
        (b'{"event": "x", "a": -1e400}', "number_out_of_range"),
        (b'{"event": "x", "a": 1000000000000000000000}', "number_out_of_range"),
        (b'{"event": "x", "a": [-1000000000000000000000]}', "number_out_of_range"),
        (b'{"event": "x", "a": ' + b"9" * 1_000_000 + b"}", "number_out_of_range"),
        (b"[" * 65 + b"]" * 65, "too_deep"),
        (b"[" * 1_000_000, "too_deep"),
        (b'{"a":' * 300_000, "too_deep"),
        (b'{"event": "x", "a": ' + b'[{"b": ' * 32 + b"1" + b"}]" * 32 + b"}", "too_deep"),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value,
)
def test_hostile_json_is_refused(body: bytes, code: str) -> None:
    """With status 400, and in a time that grows with its length only."""
    assert (400, code) == refused(body)


@pytest.mark.parametrize(
    "made",
    [
        lambda: b'{"event": "x", "a": [' + b"0," * MAX_VALUES + b"0]}",
        lambda: b'{"event": "x", "a": [' + b"[]," * MAX_VALUES + b"0]}",
    ],
    ids=["numbers", "lists"],
)
def test_bodies_of_too_many_values_are_refused(made: Callable[[], bytes]) -> None:
    """A few megabytes do not become a hundred."""
    assert (413, "too_many_values") == refused(made())


def test_bodies_that_are_too_large_are_refused() -> None:
    """Unread."""
    assert (413, "too_large") == refused(b"x" * (MAX_BODY_BYTES + 1))
    assert (413, "too_large") == refused(b'{"event": "x"}', max_bytes=13)
    assert "x" == parse_payload(b'{"event": "x"}', max_bytes=14).name


@pytest.mark.parametrize("piece", [b'"', b'\\"', b'"\\', b'""', b'"\\"', b"{", b'{"', b'":', b",", b"\\"])
def test_no_body_takes_long(piece: bytes) -> None:
    """Two megabytes of what makes naive readers start again and again; seconds would be quadratic time."""
    body = piece * (MAX_BODY_BYTES // len(piece))
    started = time.process_time()

    with pytest.raises(DeliveryRejected):
        parse_payload(body)

    assert time.process_time() - started < 2


def test_depth_is_bounded_and_not_forbidden() -> None:
    """The deepest that is allowed; brackets in texts are none, and many beside each other are not deep."""
    deepest = MAX_DEPTH - 1
    body = b'{"event": "x", "properties": ' + b'{"a":' * deepest + b"1" + b"}" * deepest + b"}"
    wide = body[:-1] + b', "more": ' + b"[" + b"[[]]," * 100 + b"0]}"
    shallow = {"d": "\\", "e": '\\"', "event": "x", "a": "[" * 1000, "b": '"{' * 1000, "c\\[[": [[[]]] * 100}

    assert "x" == parse_payload(body).name == parse_payload(wide).name
    assert shallow == parse(shallow).raw


def test_depth_does_not_crash_an_interpreter_without_a_limit() -> None:
    """The decoder's own guard is the recursion limit; where that was raised, depth overflows the stack of C."""
    script = (
        "import sys\n"
        "from posthog_events.errors import DeliveryRejected\n"
        "from posthog_events.receiver.payload import parse_payload\n"
        "sys.setrecursionlimit(10**9)\n"
        "for body in (b'[' * 2_000_000, b'[' * 1_000_000 + b']' * 1_000_000, b'{\"a\":' * 400_000):\n"
        "    try:\n"
        "        parse_payload(body)\n"
        "    except DeliveryRejected as exc:\n"
        "        print(exc.code)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (0, ["too_deep"] * 3) == (done.returncode, done.stdout.split()), done.stderr


@pytest.mark.parametrize(
    "value",
    [0, -1, 2**63, -(2**63), 2**64, 10**21 - 1, 1e21, 1e308, 5e-324, 0.1, True, None, "😀", "\0", "é\u2028", [], {}],
)
def test_ordinary_values_arrive_unharmed(value: Any) -> None:
    """Integers are exact as far as JavaScript writes their digits."""
    kept = parse(flat(properties={"a": value, "b": [value]})).properties

    assert {"a": value, "b": [value]} == kept
    assert type(value) is type(kept["a"])


def test_reasons_hold_nothing_of_the_body() -> None:
    """They go to logs."""
    for body in (b'{"event": "x", "secret@x.io"}', b'{"secret@x.io": {}}', b'{"event": 1, "secret@x.io": 01}'):
        with pytest.raises(DeliveryRejected) as caught:
            parse_payload(body)
        assert "secret" not in f"{caught.value}{caught.value.reason}"


def test_an_event_shows_no_personal_data_by_itself() -> None:
    """Whoever logs an event logs its name and ids, not what is known of the person."""
    event = parse(DEFAULT_BODY)

    assert not any(part in f"{event!r} {event.person!r}" for part in ("ada@example.com", "seats", "person/user_123"))
    assert "user_signed_up" in repr(event)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"\ud800", "\ufffd"),
        (rb"cut \ud83d here", "cut \ufffd here"),
        (rb"\udc00\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\\ud800 \uD83D", "\\ud800 \ufffd"),
        (rb"\u00e9\uDBFF", "\u00e9\ufffd"),
    ],
)
def test_half_of_a_surrogate_pair_does_not_lose_the_event(written: bytes, read: str) -> None:
    """JavaScript writes one for an emoji that was cut; whole pairs and escaped backslashes beside it stay."""
    event = parse_payload(b'{"event": "signup", "distinct_id": "ann", "properties": {"name": "' + written + b'"}}')

    assert {"name": read} == event.properties
