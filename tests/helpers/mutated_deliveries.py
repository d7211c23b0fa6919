"""Deliveries on their way, and what can be done to them there: for `tests/benchmarks/fuzz_verify.py`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = [
    "HARMFUL",
    "HARMLESS",
    "ID",
    "KEYS",
    "NOW",
    "SECRET_HEADER",
    "SIGNATURE",
    "TIME",
    "Change",
    "Message",
    "other_secret",
]

NOW = 1_790_000_000
ID, TIME, SIGNATURE, SECRET_HEADER = b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"x-webhook-secret"
KEYS: list[bytes] = [b"nobody configured this one", b"", b"whsec_"]
"""What `other_key` signs with; none is a receiver's for HMAC."""


@dataclass(slots=True)
class Message:
    """A delivery on its way.

    Args:
        late_s: When it arrives, in seconds after its time.
        harmless: Nothing was done to it that a receiver may refuse.
        done: What was done to it.
    """

    pairs: list[tuple[bytes, bytes]]
    body: bytes
    late_s: int = 0
    harmless: bool = True
    done: list[str] = field(default_factory=list)

    def get(self, name: bytes) -> bytes:
        """Return the value of the first header of that name, or nothing."""
        return next((value for key, value in self.pairs if key.lower() == name), b"")

    def put(self, name: bytes, value: bytes) -> None:
        """Replace a header."""
        self.pairs = [(key, value if key.lower() == name else old) for key, old in self.pairs]


Change = Callable[[random.Random, Message, list[Message]], None]


def change_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return other bytes: a bit, a byte, a piece more or less, cut off, or twice."""
    if not data:
        return bytes([rng.randrange(256)])
    at, to = sorted((rng.randrange(len(data)), rng.randrange(len(data) + 1)))
    match rng.randrange(7):
        case 0 | 1:
            return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        case 2:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        case 3:
            return data[:at] + rng.randbytes(rng.randint(1, 4)) + data[at:]
        case 4:
            return data[:at] + data[to:]
        case 5:
            return data[:at]
    return data[:to] + data[at:]


def body_bytes(rng: random.Random, message: Message, pool: list[Message]) -> None:
    message.body = change_bytes(rng, message.body)


def body_text(rng: random.Random, message: Message, pool: list[Message]) -> None:
    at = rng.randrange(len(message.body) + 1)
    pieces = (
        b" ",
        b"\n",
        b"\0",
        b"[",
        b'{"a":',
        b'"',
        b"\\",
        b",",
        b"1e999",
        b"\xef\xbb\xbf",
        b'"event":"y",',
        b"\\ud800",
    )
    message.body = message.body[:at] + rng.choice(pieces) * rng.choice((1, 1, 1, 2, 100)) + message.body[at:]


def body_of_another(rng: random.Random, message: Message, pool: list[Message]) -> None:
    other = rng.choice(pool).body
    cut = rng.randrange(len(message.body) + 1)
    message.body = other if rng.random() < 0.5 else message.body[:cut] + other[cut:]


def header_value(rng: random.Random, message: Message, pool: list[Message]) -> None:
    at = rng.randrange(len(message.pairs))
    name, value = message.pairs[at]
    message.pairs[at] = (name, change_bytes(rng, value))


def header_name(rng: random.Random, message: Message, pool: list[Message]) -> None:
    at = rng.randrange(len(message.pairs))
    name, value = message.pairs[at]
    message.pairs[at] = (change_bytes(rng, name), value)


def header_of_another(rng: random.Random, message: Message, pool: list[Message]) -> None:
    name = rng.choice((ID, TIME, SIGNATURE, SECRET_HEADER))
    message.put(name, rng.choice(pool).get(name))


def header_missing(rng: random.Random, message: Message, pool: list[Message]) -> None:
    del message.pairs[rng.randrange(len(message.pairs))]
    message.pairs = message.pairs or [(b"host", b"")]


def header_twice(rng: random.Random, message: Message, pool: list[Message]) -> None:
    name, value = rng.choice(message.pairs)
    other = rng.choice((value, change_bytes(rng, value), rng.choice(pool).get(name.lower())))
    message.pairs.insert(rng.randrange(len(message.pairs) + 1), (rng.choice((name, name.title())), other))


def header_text(rng: random.Random, message: Message, pool: list[Message]) -> None:
    name, value = ((at := rng.randrange(len(message.pairs))), message.pairs[at])[1]
    odd = rng.choice(
        (b" ", b"\t", b"\r\n", b"\0", b"\xc3\xa9", b"\xff", b",", b".", b"0", b"+", b"-", b"=", b"\xd9\xa1")
    )
    message.pairs[at] = (name, rng.choice((odd + value, value + odd, value[:3] + odd + value[3:])))


def other_time(rng: random.Random, message: Message, pool: list[Message]) -> None:
    shifted = NOW + rng.choice((-1, 1)) * rng.choice((1, 60, 300, 301, 86_400, NOW))
    message.put(TIME, rng.choice((b"%d", b"0%d", b"+%d", b"%d.0", b" %d", b"%de0")) % shifted)


def other_id(rng: random.Random, message: Message, pool: list[Message]) -> None:
    message.put(ID, rng.choice((b"msg_99", message.get(ID) + b"0", b"", message.get(ID).upper(), b"a" * 200)))


def boundary(rng: random.Random, message: Message, pool: list[Message]) -> None:
    """Move what separates id, time and body, so that the signed text stays the same."""
    id_, seconds, body = message.get(ID), message.get(TIME), message.body
    if rng.random() < 0.5:
        head, dot, tail = body.partition(b".")
        if dot:
            message.put(ID, id_ + b"." + seconds)
            message.put(TIME, head)
            message.body = tail
    else:
        message.put(ID, id_[:1])
        message.put(TIME, id_[2:] or b"1")
        message.body = seconds + b"." + body


def respelt_signature(rng: random.Random, message: Message, pool: list[Message]) -> None:
    """Other texts for the same bytes, and other bytes for the same text."""
    version, _, text = message.get(SIGNATURE).partition(b",")
    body, pad = text.rstrip(b"="), text[len(text.rstrip(b"=")) :]
    alias = body[:-1] + bytes([(body[-1] + 1) % 256]) if body else b""
    message.put(
        SIGNATURE,
        rng.choice(
            (
                version + b"," + alias + pad,
                version + b"," + body,
                version + b"," + text + b"=",
                version + b"," + text.replace(b"+", b"-").replace(b"/", b"_"),
                rng.choice((b"v1", b"v1a", b"v2", b"V1", b"", b"v01")) + b"," + text,
                version + b"=" + text,
                text,
                version + b"," + base64.b64encode(text),
                b"v1," + base64.b64encode(bytes(32)),
                b"v1a," + base64.b64encode(bytes(64)),
            )
        ),
    )


def other_key(rng: random.Random, message: Message, pool: list[Message]) -> None:
    """Sign what the message says with a key that is not the receiver's, or is but for another purpose."""
    signed = b"%b.%b.%b" % (message.get(ID), message.get(TIME), message.body)
    digest = hmac.digest(
        rng.choice([*KEYS, signed]), signed, rng.choice((hashlib.sha256, hashlib.sha256, hashlib.sha512))
    )
    message.put(SIGNATURE, rng.choice((b"v1,", b"v1a,")) + base64.b64encode(digest))


def other_secret(rng: random.Random, message: Message, pool: list[Message]) -> None:
    value = message.get(SECRET_HEADER)
    others = (b"", value[:-1], value + b" ", value.upper(), b"open", value * 2, change_bytes(rng, value))
    message.put(SECRET_HEADER, rng.choice(others))


def other_content(rng: random.Random, message: Message, pool: list[Message]) -> None:
    name = rng.choice((b"content-type", b"content-encoding"))
    message.pairs = [pair for pair in message.pairs if pair[0].lower() != name]
    message.pairs.append((name, rng.choice((b"text/html", b"gzip", b"", b"application/json;charset=latin-1", b";;=;"))))


def far_clock(rng: random.Random, message: Message, pool: list[Message]) -> None:
    message.late_s += rng.choice((-1, 1)) * rng.choice((301, 310, 3600, 86_400 * 365))


def near_clock(rng: random.Random, message: Message, pool: list[Message]) -> None:
    message.late_s = rng.randint(-250, 250)


def header_case(rng: random.Random, message: Message, pool: list[Message]) -> None:
    message.pairs = [(rng.choice((name.upper(), name.title(), name)), value) for name, value in message.pairs]


def header_order(rng: random.Random, message: Message, pool: list[Message]) -> None:
    rng.shuffle(message.pairs)


def header_more(rng: random.Random, message: Message, pool: list[Message]) -> None:
    message.pairs.insert(0, (rng.choice((b"accept", b"x-webhook-id", b"\xff")), rng.choice((b"*/*", b"\xff\xfe", b""))))


def signature_more(rng: random.Random, message: Message, pool: list[Message]) -> None:
    given = message.get(SIGNATURE)
    if given:
        more = [b"v2,x", b"v1," + base64.b64encode(bytes(32)), b"v1a,AA==", *given.split(b" ")]
        parts = [*given.split(b" "), rng.choice(more)]
        rng.shuffle(parts)
        message.put(SIGNATURE, b" ".join(parts))


HARMLESS: tuple[Change, ...] = (near_clock, header_case, header_order, header_more, signature_more)
HARMFUL: tuple[Change, ...] = (
    *(body_bytes, body_text, body_of_another, header_value, header_name, header_of_another, header_missing),
    *(header_twice, header_text, other_time, other_id, boundary, respelt_signature, other_key, other_secret),
    *(other_content, far_clock),
)
