"""Deliveries, signed by foreign libraries and then changed at random: none passes that was not sent just so.

    python tests/benchmarks/fuzz_verify.py --mutations 1_500_000
    python tests/benchmarks/fuzz_verify.py --mutations 50_000 --seed 7

Three receivers: one with two shared secrets, one with a public key (ed25519), one with a secret in a header. Each
mutated delivery takes one to three changes: bits, bytes and pieces of the body and of headers, headers of another
delivery, moved boundaries, other spellings of a signature, other keys, other times, and harmless ones. What happened is
judged without the code under test:

- what passes has id, time and body of one of the originals, and its time is within five minutes of the clock; for the
  receiver with the header, that header is there once and right;
- what took harmless changes only passes;
- what is refused is refused with `DeliveryRejected`, a known status and code, and a reason that holds no secret;
- every fourth body is parsed, too: what `json` of the standard library reads differently, or not at all, is refused,
  and what is refused as no JSON it cannot read either.

Prints one line of JSON with the counts, and ends with status 1 and the delivery at the first that is judged wrong.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from posthog_events.errors import DeliveryRejected
from posthog_events.receiver.payload import parse_payload
from posthog_events.receiver.verify import HeaderSecret, Verifier
from tests.helpers.mutated_deliveries import (
    HARMFUL,
    HARMLESS,
    ID,
    KEYS,
    NOW,
    SECRET_HEADER,
    SIGNATURE,
    TIME,
    Message,
    other_secret,
)

TOLERANCE_S = 300
SHARED = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + base64.b64encode(b"the secret before that one").decode())
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
IN_HEADER = ("open sesame", "open barley")
# right bytes in the wrong place: a public key, and a secret that was not decoded
KEYS.extend([PUBLIC, SHARED[0].encode(), SHARED[0].removeprefix("whsec_").encode()])
STATUSES = {
    "bad_header": 400,
    "duplicate_header": 400,
    "bad_id": 400,
    "bad_timestamp": 400,
    "malformed_signature": 400,
    "missing_signature": 401,
    "bad_signature": 401,
    "too_old": 401,
    "too_new": 401,
    "missing_secret": 401,
    "bad_secret": 401,
    "too_large": 413,
    "wrong_content_type": 415,
    "content_encoding": 415,
}
BODY_CODES = {
    *("empty_body", "byte_order_mark", "not_utf8", "not_json", "too_deep", "duplicate_key", "number_out_of_range"),
    *("not_an_event", "no_event_name", "bad_field"),
}
PARSE_EVERY = 4


@dataclass
class Figures:
    """What a run was: mutations, those that passed, refusals by code, bodies parsed, and seconds."""

    mutations: int = 0
    passed: int = 0
    harmless: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    parsed: int = 0
    events: int = 0
    bodies_refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Wrong(AssertionError):
    """A delivery was judged wrong."""


def bodies() -> list[bytes]:
    """Return bodies as destinations send them."""
    event = {
        "uuid": "0198f2a4-7c11-7d2e-9a4b-5b1f0c3d2e10",
        "event": "user_signed_up",
        "distinct_id": "user_123",
        "properties": {"plan": "pro", "n": [1, 2.5, -3e10, None, True], "text": 'a "quoted" \\ {text} — ünï 😀'},
        "timestamp": "2026-08-20T10:15:30.123Z",
    }
    person = {"id": "0198f000-1111-7222-8333-444455556666", "properties": {"email": "ada@example.com"}, "name": "ada"}
    documents: list[Any] = [{"event": event, "person": person}, event, {"data": {"event": "x", "uuid": "1"}}, {"a": 1}]
    compact = [json.dumps(it, separators=(",", ":"), ensure_ascii=False).encode() for it in documents]
    return [*compact, json.dumps(documents[0], indent=1).encode(), b"a text for Slack", b"", b"1790000000.{}"]


def shared_signature(id_: bytes, seconds: bytes, body: bytes, secret: str = SHARED[0]) -> bytes:
    """Return what the library of Standard Webhooks makes of it."""
    at = datetime.fromtimestamp(int(seconds), UTC)
    return standardwebhooks.Webhook(secret).sign(id_.decode(), at, body.decode()).encode()


def public_signature(id_: bytes, seconds: bytes, body: bytes) -> bytes:
    """Return an ed25519 signature."""
    return b"v1a," + base64.b64encode(PRIVATE.sign(b"%b.%b.%b" % (id_, seconds, body)))


class Receiver:
    """One way to verify, and the originals that it accepts."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.now = float(NOW)
        self.changes = [it for it in HARMFUL if kind == "header" or it is not other_secret]
        self.verifier = Verifier(
            {"shared": SHARED, "public": ["whpk_" + base64.b64encode(PUBLIC).decode()], "header": ()}[kind],
            header_secret=HeaderSecret("X-Webhook-Secret", IN_HEADER) if kind == "header" else None,
            clock=lambda: datetime.fromtimestamp(self.now, UTC),
        )
        self.originals: list[Message] = []
        for number, body in enumerate(bodies()):
            id_, seconds = b"msg_%d" % number, b"%d" % (NOW - number)
            pairs = [(b"host", b"x.io"), (b"content-type", b"application/json"), (ID, id_), (TIME, seconds)]
            if kind == "header":
                pairs.append((SECRET_HEADER, IN_HEADER[number % 2].encode()))
            elif kind == "public":
                pairs.append((SIGNATURE, public_signature(id_, seconds, body)))
            else:
                made = [shared_signature(id_, seconds, body, secret) for secret in SHARED]
                pairs.append((SIGNATURE, (made[0], made[1], b" ".join(made))[number % 3]))
            self.originals.append(Message(pairs, body))
        self._known = {(it.get(ID), it.get(TIME), it.body) for it in self.originals}

    def may_pass(self, message: Message, id_: str | None, sent_at: datetime | None, body: bytes) -> bool:
        """Return whether it is right that this passed."""
        if body != message.body:
            return False
        if self.kind == "header":
            values = [value for name, value in message.pairs if name.lower() == SECRET_HEADER]
            return len(values) == 1 and values[0].decode("latin-1") in IN_HEADER and sent_at is None
        if id_ is None or sent_at is None or abs(self.now - sent_at.timestamp()) > TOLERANCE_S:
            return False
        return (id_.encode(), b"%d" % sent_at.timestamp(), body) in self._known


def mutated(rng: random.Random, receiver: Receiver) -> Message:
    """Return an original with one to three changes."""
    original = rng.choice(receiver.originals)
    message = Message(list(original.pairs), original.body)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = rng.choice(HARMLESS if rng.random() < 0.1 else receiver.changes)
        change(rng, message, receiver.originals)
        message.harmless &= change in HARMLESS
        message.done.append(change.__name__)
    return message


def as_headers(rng: random.Random, pairs: list[tuple[bytes, bytes]]) -> Any:
    """Return headers as one framework or another would hand them over."""
    if rng.random() < 0.5:
        return pairs
    texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
    # a mapping cannot hold a header twice
    return dict(texts) if rng.random() < 0.5 and len({name for name, _ in texts}) == len(texts) else texts


def judge(rng: random.Random, receiver: Receiver, message: Message, figures: Figures) -> None:
    """Verify one delivery, and say so when the outcome is wrong."""
    receiver.now = float(NOW + message.late_s)
    figures.mutations += 1
    figures.harmless += message.harmless
    figures.changes.update(message.done)
    try:
        delivery = receiver.verifier.verify(message.body, as_headers(rng, message.pairs))
    except DeliveryRejected as exc:
        if message.harmless:
            raise Wrong(f"refused, though harmless: {exc.code} {message}") from exc
        if (
            STATUSES.get(exc.code) != exc.status
            or not exc.reason
            or any(it in exc.reason for it in (*SHARED, *IN_HEADER))
        ):
            raise Wrong(f"refused wrongly: {exc.status} {exc.code} {exc.reason} {message}") from exc
        figures.refused[exc.code] += 1
    except Exception as exc:
        raise Wrong(f"an exception that is none of ours: {exc!r} {message}") from exc
    else:
        if not receiver.may_pass(message, delivery.id, delivery.sent_at, delivery.body):
            raise Wrong(f"passed: {delivery} {message}")
        figures.passed += 1
    if figures.mutations % PARSE_EVERY == 0:
        judge_body(message.body, figures)


def judge_body(body: bytes, figures: Figures) -> None:
    """Parse one body, and say so when the standard library disagrees."""
    figures.parsed += 1
    try:
        event = parse_payload(body)
    except DeliveryRejected as exc:
        if exc.code not in BODY_CODES or exc.status != 400:
            raise Wrong(f"refused wrongly: {exc.status} {exc.code} {body!r}") from exc
        if exc.code == "not_json" and readable(body):
            raise Wrong(f"refused as no JSON: {exc.reason} {body!r}") from exc
        figures.bodies_refused[exc.code] += 1
        return
    except Exception as exc:
        raise Wrong(f"an exception that is none of ours: {exc!r} {body!r}") from exc
    figures.events += 1
    if not readable(body, event.raw):
        raise Wrong(f"parsed differently: {event.raw} {body!r}")


def readable(body: bytes, expected: Any = None) -> bool:
    """Return whether the standard library reads the body, strictly, and as what is expected."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    def refuse(_: str) -> None:
        raise ValueError

    try:
        value = json.loads(body.decode(), object_pairs_hook=once, parse_constant=refuse)
        text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        value = json.loads(text)  # half of a surrogate pair is read as U+FFFD
    except (ValueError, RecursionError):
        return False
    return expected is None or bool(value == expected)


def run(mutations: int, *, seed: int = 0) -> Figures:
    """Judge so many mutated deliveries; nine of ten go to those that want a signature, one of these to the public key.

    Raises:
        Wrong: One was judged wrong.
    """
    rng = random.Random(seed)
    receivers = [*[Receiver("shared")] * 8, Receiver("header"), Receiver("public")]
    figures, started = Figures(), time.perf_counter()
    for number in range(mutations):
        receiver = receivers[number % len(receivers)]
        judge(rng, receiver, mutated(rng, receiver), figures)
    figures.seconds = time.perf_counter() - started
    return figures


def main() -> None:
    """Run, and print what it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=1_500_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        figures = run(given.mutations, seed=given.seed)
    except Wrong as exc:
        sys.exit(f"wrong: {exc}")
    print(json.dumps({**vars(figures), "seconds": round(figures.seconds, 1)}))


if __name__ == "__main__":
    main()
