"""Verification: the vectors of Standard Webhooks, foreign signers, the emulator, and everything that is refused."""

from __future__ import annotations

import base64
import builtins
import hashlib
import hmac
import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import standardwebhooks
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.datastructures import Headers as StarletteHeaders

from posthog_events.emulator.hog_state import DeliveryRules
from posthog_events.errors import ConfigError, DeliveryRejected, MissingExtra
from posthog_events.receiver.signatures import SigningKeys, sign
from posthog_events.receiver.verify import MAX_BODY_BYTES, HeaderSecret, Verifier
from posthog_events.testing import emulator
from tests.helpers.http_receiver import Receiver, receiver

# the vector that the libraries of Standard Webhooks test themselves with
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SECONDS = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
# and that of the Go library for ed25519: the seed of a private key, and a signature of the same delivery
SEED = "VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
SIGNATURE_A = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="

AT = datetime.fromtimestamp(SECONDS, UTC)
OTHER = "whsec_" + base64.b64encode(b"another secret of 24 byt").decode()


def public_key(seed: str) -> str:
    """Return the public half of a private key."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed))
    return "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def headers(**changes: str | None) -> dict[str, str]:
    """Return the headers of the vector; `signature=None` leaves that one out."""
    given: dict[str, str | None] = {"id": ID, "timestamp": str(SECONDS), "signature": SIGNATURE, **changes}
    return {f"webhook-{name}": value for name, value in given.items() if value is not None}


def verifier(*secrets: str, **options: Any) -> Verifier:
    """Return a verifier whose clock stands at the vector's time."""
    return Verifier(secrets or (SECRET,), **{"clock": lambda: AT, **options})


def refused(made: Verifier, body: bytes, given: Any) -> tuple[int, str]:
    """Return status and code of a refusal."""
    with pytest.raises(DeliveryRejected) as caught:
        made.verify(body, given)
    assert caught.value.reason
    return caught.value.status, caught.value.code


def test_the_vector_of_the_specification_verifies() -> None:
    """Id, time and body come back as they were signed."""
    delivery = verifier().verify(BODY, headers())

    assert (ID, AT, BODY, "signature") == (delivery.id, delivery.sent_at, delivery.body, delivery.verified)


def test_the_vector_for_ed25519_verifies() -> None:
    """With the public half of the key."""
    delivery = verifier(public_key(SEED)).verify(BODY, headers(signature=SIGNATURE_A))

    assert "signature" == delivery.verified


def test_signing_gives_the_vector() -> None:
    """The prefix of the secret may be missing, and the fraction of a second counts for nothing."""
    expected = {"webhook-id": ID, "webhook-timestamp": str(SECONDS), "webhook-signature": SIGNATURE}

    assert expected == sign(BODY, id=ID, timestamp=AT + timedelta(microseconds=999_999), secret=SECRET)
    assert expected == sign(BODY, id=ID, timestamp=AT, secret=SECRET.removeprefix("whsec_"))


@pytest.mark.parametrize("foreign", [standardwebhooks.Webhook, svix.webhooks.Webhook], ids=["standardwebhooks", "svix"])
@pytest.mark.parametrize(
    "body", [b"", b"{}", '{"naïve": "ünï"}'.encode(), b"x" * 70_000], ids=["empty", "{}", "ü", "long"]
)
def test_foreign_libraries_and_this_one_agree(foreign: Callable[[str], Any], body: bytes) -> None:
    """What they sign verifies here, and what is signed here verifies there."""
    now = datetime.now(UTC)
    library = foreign(SECRET)
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": library.sign("msg_1", now, body.decode()),
    }

    assert body == Verifier(SECRET).verify(body, signed).body
    if body.startswith(b"{"):  # they parse what they have verified
        library.verify(body, sign(body, id="msg_2", timestamp=now, secret=SECRET))
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            library.verify(body, sign(body + b" ", id="msg_2", timestamp=now, secret=SECRET))


@pytest.fixture(scope="module")
def fired() -> Iterator[Receiver]:
    """What an emulated PostHog sends for two events, with an attempt that fails, signed and with a header secret."""
    with receiver() as target, emulator(delivery=DeliveryRules(time_scale=0.001)) as served:
        target.statuses = [500]
        body = {
            "type": "destination",
            "template_id": "template-webhook",
            "enabled": True,
            "inputs": {
                "url": {"value": target.url},
                "method": {"value": "POST"},
                "headers": {"value": {"Content-Type": "application/json", "X-Webhook-Secret": "open sesame"}},
                "body": {"value": {"event": "{event}", "person": "{person}"}},
                "signing_secret": {"value": SECRET},
            },
            "filters": {"events": [{"id": "signup", "type": "events"}]},
        }
        made = requests.post(
            f"{served.url}/api/projects/{served.project_id}/hog_functions/",
            headers={"Authorization": f"Bearer {served.key}"},
            json=body,
            timeout=30,
        )
        assert 201 == made.status_code, made.text
        for user in ("ann", "bob — ünï"):
            served.capture("signup", user, {"plan": "pro"})
        served.drain()
        yield target


def test_deliveries_of_the_emulator_verify(fired: Receiver) -> None:
    """Each attempt; those of one delivery are equal, and those of two are not."""
    deliveries = [Verifier(SECRET).verify(got.body.encode(), got.headers) for got in fired.requests]

    assert 3 == len(deliveries)
    assert 2 == len(set(deliveries))
    assert {"signature"} == {delivery.verified for delivery in deliveries}
    assert {"ann", "bob — ünï"} == {json.loads(delivery.body)["event"]["distinct_id"] for delivery in deliveries}


def test_two_attempts_of_one_delivery_are_equal() -> None:
    """Each is signed with a time of its own; the id is that of the delivery."""
    first, second = (
        verifier().verify(BODY, sign(BODY, id=ID, timestamp=AT + timedelta(seconds=late_s), secret=SECRET))
        for late_s in (0, 2)
    )

    assert first == second
    assert timedelta(seconds=2) == second.sent_at - first.sent_at


def test_deliveries_of_the_emulator_do_not_verify_when_changed(fired: Receiver) -> None:
    """Neither with another secret, nor another's headers, nor one more space."""
    got = fired.requests[0]
    other = next(it for it in fired.requests if it.headers["webhook-id"] != got.headers["webhook-id"])
    body = got.body.encode()

    assert (401, "bad_signature") == refused(Verifier(OTHER), body, got.headers)
    assert (401, "bad_signature") == refused(Verifier(SECRET), body, other.headers)
    assert (401, "bad_signature") == refused(Verifier(SECRET), body + b" ", got.headers)


def test_deliveries_of_the_emulator_pass_by_their_header(fired: Receiver) -> None:
    """The id is taken over; the time of the attempt is not, since nobody vouches for it."""
    got = fired.requests[0]
    made = Verifier(header_secret=HeaderSecret("X-Webhook-Secret", ("open sesame",)))

    delivery = made.verify(got.body.encode(), got.headers)

    assert ("header", None, got.headers["webhook-id"]) == (delivery.verified, delivery.sent_at, delivery.id)


@pytest.mark.parametrize(
    "signature",
    [
        f"{SIGNATURE} v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
        f"v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= {SIGNATURE}",
        f"v2,whatever:it-is v1a,{'A' * 86}== {SIGNATURE}",
        " ".join([SIGNATURE] * 32),
    ],
    ids=["first", "last", "after unknown versions", "32 of them"],
)
def test_one_good_signature_suffices(signature: str) -> None:
    """Wherever in the list it is; senders that rotate their secret sign with both."""
    assert ID == verifier().verify(BODY, headers(signature=signature)).id


@pytest.mark.parametrize("secrets", [(SECRET, OTHER), (OTHER, SECRET), (public_key(SEED), OTHER, SECRET)])
def test_every_configured_secret_counts(secrets: tuple[str, ...]) -> None:
    """While one replaces the other, and beside public keys."""
    assert ID == verifier(*secrets).verify(BODY, headers()).id


def test_a_signature_of_each_kind_needs_its_own_key() -> None:
    """A shared secret says nothing about ed25519, nor a public key about HMAC with its bytes."""
    key = public_key(SEED)
    raw = base64.b64decode(key.removeprefix("whpk_"))
    digest = hmac.new(raw, b"%b.%d.%b" % (ID.encode(), SECONDS, BODY), hashlib.sha256).digest()
    forged = f"v1,{base64.b64encode(digest).decode()}"

    assert (401, "bad_signature") == refused(verifier(), BODY, headers(signature=SIGNATURE_A))
    assert (401, "bad_signature") == refused(verifier(key), BODY, headers(signature=SIGNATURE))
    assert (401, "bad_signature") == refused(verifier(key), BODY, headers(signature=forged))


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        (SIGNATURE.replace("v1,", "v2,"), "bad_signature"),
        (SIGNATURE.replace("v1,", "v1a,"), "bad_signature"),
        (SIGNATURE.replace("v1,", "V1,"), "bad_signature"),
        (SIGNATURE.replace("=", ""), "bad_signature"),
        (SIGNATURE.replace("E=", "F="), "bad_signature"),  # the same bytes in base64, spelt differently
        (SIGNATURE.replace("+", "-").replace("/", "_"), "bad_signature"),
        (SIGNATURE + ",", "bad_signature"),
        ("v1,x", "bad_signature"),
        ("v1,", "malformed_signature"),
        ("v1", "malformed_signature"),
        ("", "malformed_signature"),
        (SIGNATURE.removeprefix("v1,"), "malformed_signature"),
        (f"{SIGNATURE}  {SIGNATURE}", "malformed_signature"),
        (f" {SIGNATURE}", "malformed_signature"),
        (f"{SIGNATURE}\n", "malformed_signature"),
        (f"{SIGNATURE}\t{SIGNATURE}", "malformed_signature"),
        (f"{SIGNATURE}\x00", "malformed_signature"),
        (" ".join([SIGNATURE] * 33), "malformed_signature"),
        (f"{SIGNATURE} v9,{'x' * 4096}", "malformed_signature"),
    ],
)
def test_other_signatures_are_refused(signature: str, code: str) -> None:
    """What is no list of signatures is malformed; what is one and proves nothing is bad."""
    expected = {"bad_signature": 401, "malformed_signature": 400}[code]

    assert (expected, code) == refused(verifier(), BODY, headers(signature=signature))


@pytest.mark.parametrize("spelling", ["wrong", SIGNATURE_A[:-3] + "h==", SIGNATURE_A[:-2], SIGNATURE_A + "AAAA"])
def test_other_ed25519_signatures_are_refused(spelling: str) -> None:
    """Also the same bytes, spelt differently."""
    given = spelling if spelling.startswith("v1a,") else f"v1a,{base64.b64encode(bytes(64)).decode()}"

    assert (401, "bad_signature") == refused(verifier(public_key(SEED)), BODY, headers(signature=given))


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_a_header_that_is_missing_is_named(name: str) -> None:
    """All three are needed."""
    with pytest.raises(DeliveryRejected, match=f"webhook-{name}") as caught:
        verifier().verify(BODY, headers(**{name: None}))

    assert (401, "missing_signature") == (caught.value.status, caught.value.code)


def signed_as(id_: bytes, timestamp: bytes, body: bytes = BODY) -> str:
    """Return a signature that is right for whatever it signs, computed without the code under test."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, id_ + b"." + timestamp + b"." + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "0x60",
        "+1614265330",
        "-1",
        "1614265330.0",
        "1.6e9",
        " 1614265330",
        "1614265330 ",
        "01614265330",
        "1_614_265_330",
        "1614265330\n",
        "161426533000",
        "9" * 4000,
        "NaN",
        "Infinity",
        "2021-02-25T15:02:10Z",
    ],
)
def test_timestamps_are_digits(timestamp: str) -> None:
    """However rightly signed: what one reader takes for a time, another takes for a different one."""
    given = headers(timestamp=timestamp, signature=signed_as(ID.encode(), timestamp.encode()))

    assert (400, "bad_timestamp") == refused(verifier(), BODY, given)


@pytest.mark.parametrize("id_", ["", "a.b", "a b", "a,b", "a\n", "a" * 129, "a;b", "{a}", "a\x00", "a\\b"])
def test_ids_have_a_grammar(id_: str) -> None:
    """However rightly signed; with a full stop in it, one text could be signed for two deliveries."""
    given = headers(id=id_, signature=signed_as(id_.encode(), str(SECONDS).encode()))

    assert (400, "bad_id") == refused(verifier(), BODY, given)


def test_the_end_of_the_id_cannot_be_moved() -> None:
    """The signed text `a.1.2.body` is that of one delivery only."""
    seconds = str(SECONDS)
    good = {"webhook-id": "a", "webhook-timestamp": seconds, "webhook-signature": ""}
    good["webhook-signature"] = signed_as(b"a", seconds.encode(), seconds.encode() + b".b")

    assert seconds.encode() + b".b" == verifier().verify(seconds.encode() + b".b", good).body
    assert (400, "bad_id") == refused(verifier(), b"b", {**good, "webhook-id": f"a.{seconds}"})


@pytest.mark.parametrize("off_s", [-300, -1, 0, 1, 300])
def test_times_within_the_tolerance_pass(off_s: int) -> None:
    """Five minutes in either direction."""
    assert ID == verifier(clock=lambda: AT + timedelta(seconds=off_s)).verify(BODY, headers()).id


@pytest.mark.parametrize(
    ("off_s", "code"), [(300.001, "too_old"), (86_400, "too_old"), (-300.001, "too_new"), (-1e9, "too_new")]
)
def test_other_times_do_not(off_s: float, code: str) -> None:
    """A replay is too old; the reason says by how much, for the case that it is the clock."""
    assert (401, code) == refused(verifier(clock=lambda: AT + timedelta(seconds=off_s)), BODY, headers())


def test_only_what_is_rightly_signed_is_called_too_old() -> None:
    """What strangers send says nothing about clocks."""
    late = verifier(clock=lambda: AT + timedelta(days=1))

    assert (401, "bad_signature") == refused(late, BODY + b" ", headers())


def test_the_tolerance_can_be_chosen() -> None:
    """In seconds."""
    late = {"clock": lambda: AT + timedelta(seconds=10)}

    assert ID == verifier(tolerance_s=10, **late).verify(BODY, headers()).id
    assert (401, "too_old") == refused(verifier(tolerance_s=9.5, **late), BODY, headers())


@pytest.mark.parametrize(
    "shaped",
    [
        lambda given: {name.title(): value for name, value in given.items()},
        lambda given: [(name.encode(), value.encode()) for name, value in given.items()],
        lambda given: [(name.upper(), value.encode()) for name, value in given.items()],
        lambda given: iter([*given.items(), ("user-agent", "né"), (b"x-\xff", b"\xff"), ("x-a", ""), ("x-a", "")]),
        lambda given: {**given, "content-type": "application/json; charset=UTF-8", "Accept": "*/*"},
        lambda given: StarletteHeaders(given),
        lambda given: requests.structures.CaseInsensitiveDict(given),
    ],
    ids=["title", "bytes", "mixed", "others", "json", "starlette", "requests"],
)
def test_headers_come_in_many_forms(shaped: Callable[[dict[str, str]], Any]) -> None:
    """And those that do not matter may be anything."""
    assert ID == verifier().verify(BODY, shaped(headers())).id


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"])
def test_headers_that_come_twice_are_refused(name: str) -> None:
    """Even with the same value: which of them another reader takes is anyone's guess."""
    given = {**headers(), "content-type": "application/json"}
    pairs = [*given.items(), (name.title(), given[name])]

    assert (400, "duplicate_header") == refused(verifier(), BODY, pairs)
    assert (400, "duplicate_header") == refused(verifier(), BODY, {**given, name.upper(): given[name]})


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"])
@pytest.mark.parametrize("value", ["١٦١٤٢٦٥٣٣٠", "ä", "\udcff", b"\xff", b"1614265330\x85", None, 1614265330, ["a"]])
def test_headers_that_are_not_ascii_are_refused(name: str, value: object) -> None:
    """Whatever they are instead."""
    assert (400, "bad_header") == refused(verifier(), BODY, {**headers(), name: value})


@pytest.mark.parametrize("pairs", [["webhook-id"], [("a", "b", "c")], [None], [(1, "a")], [{}], [("webhook-id",)]])
def test_what_is_no_list_of_pairs_is_refused(pairs: list[object]) -> None:
    """With the exception for bad input."""
    assert (400, "bad_header") == refused(verifier(), BODY, pairs)


def test_names_that_only_look_alike_are_others() -> None:
    """The Kelvin sign is a `k` in lower case, to those who ask Unicode."""
    given = headers()
    given["webhoo\u212a-id"] = given.pop("webhook-id")

    assert (401, "missing_signature") == refused(verifier(), BODY, given)


def test_a_body_that_is_too_large_is_refused_first() -> None:
    """One byte more than allowed, before any signature is computed."""
    made = verifier(max_body_bytes=len(BODY))

    assert BODY == made.verify(BODY, headers()).body
    assert (413, "too_large") == refused(made, BODY + b" ", headers())
    assert (413, "too_large") == refused(verifier(), bytes(MAX_BODY_BYTES + 1), {})


@pytest.mark.parametrize("body", [BODY.decode(), bytearray(BODY), memoryview(BODY), None])
def test_a_body_that_was_decoded_is_a_mistake_of_the_caller(body: Any) -> None:
    """What was signed is bytes."""
    with pytest.raises(TypeError, match="bytes that arrived"):
        verifier().verify(body, headers())


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "APPLICATION/JSON;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/ld+json",
        "text/plain;charset=UTF-8",
        "text/json",
        "application/json; v=1",
    ],
)
def test_content_types_of_json_pass(value: str) -> None:
    """Or none at all, which is what a destination with own headers may send."""
    assert ID == verifier().verify(BODY, {**headers(), "content-type": value}).id


@pytest.mark.parametrize(
    "value",
    [
        "",
        "multipart/form-data; boundary=x",
        "text/html",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json; charset=utf-16",
        "image/svg+xml",
        "text/x+json",
        ";",
        "application/json, text/html",
    ],
)
def test_other_content_types_are_refused_when_all_else_is_right(value: str) -> None:
    """Strangers do not learn what would be accepted; whoever takes any content type can say so."""
    given = {**headers(), "content-type": value}

    assert (415, "wrong_content_type") == refused(verifier(), BODY, given)
    assert (401, "bad_signature") == refused(verifier(OTHER), BODY, given)
    assert ID == verifier(media_types=None).verify(BODY, given).id


def test_compressed_bodies_are_refused() -> None:
    """A small body that becomes a large one is decided about before; PostHog compresses nothing."""
    assert ID == verifier().verify(BODY, {**headers(), "content-encoding": "identity"}).id
    for value in ("gzip", "identity, br", ""):
        assert (415, "content_encoding") == refused(verifier(), BODY, {**headers(), "content-encoding": value})


@pytest.fixture
def by_header() -> Verifier:
    """A verifier that accepts two values of one header."""
    return Verifier(header_secret=HeaderSecret("X-Webhook-Secret", ("new secret", "old")))


@pytest.mark.parametrize("value", ["new secret", "old", b"old"])
def test_a_shared_secret_in_a_header_passes(by_header: Verifier, value: str | bytes) -> None:
    """Without an id: such deliveries are told apart by the uuid of their event."""
    delivery = by_header.verify(BODY, [("x-webhook-secret", value)])

    assert ("header", None, None, BODY) == (delivery.verified, delivery.id, delivery.sent_at, delivery.body)


@pytest.mark.parametrize("value", ["", "new", "new secret ", " old", "OLD", "old\n", "new secret, old", "o" * 100_000])
def test_other_values_do_not(by_header: Verifier, value: str) -> None:
    """Not even nearly the same."""
    assert (401, "bad_secret") == refused(by_header, BODY, {"X-Webhook-Secret": value})


def test_the_header_must_be_there_once(by_header: Verifier) -> None:
    """And in ASCII."""
    twice = [("X-Webhook-Secret", "old"), ("x-webhook-secret", "old")]

    assert (401, "missing_secret") == refused(by_header, BODY, headers())
    assert (400, "duplicate_header") == refused(by_header, BODY, twice)
    assert (400, "bad_header") == refused(by_header, BODY, {"X-Webhook-Secret": "öld"})


def test_a_bearer_token_is_a_header_secret() -> None:
    """The value is the whole of it."""
    made = Verifier(header_secret=HeaderSecret("Authorization", "Bearer abc"))

    assert "header" == made.verify(BODY, {"authorization": "Bearer abc"}).verified
    assert (401, "bad_secret") == refused(made, BODY, {"authorization": "Bearer ab"})
    assert (401, "bad_secret") == refused(made, BODY, {"authorization": "B"})


def test_an_id_of_a_delivery_that_is_not_signed_is_kept(by_header: Verifier) -> None:
    """A destination can send `webhook-id: {event.uuid}` by itself; what is no id is refused."""
    given = {"X-Webhook-Secret": "old", "webhook-id": "0198f2a4-7c11-7d2e-9a4b-5b1f0c3d2e10"}

    assert "0198f2a4-7c11-7d2e-9a4b-5b1f0c3d2e10" == by_header.verify(BODY, given).id
    assert (400, "bad_id") == refused(by_header, BODY, {**given, "webhook-id": "a.b"})


def test_with_both_kinds_of_secret_a_signature_is_never_overruled() -> None:
    """The header is for deliveries that have no signature, not for those whose signature is wrong."""
    made = verifier(SECRET, header_secret=HeaderSecret("x-secret", ("s",)))

    assert "signature" == made.verify(BODY, headers()).verified
    assert "header" == made.verify(BODY, headers(signature=None) | {"x-secret": "s"}).verified
    assert (401, "bad_signature") == refused(made, BODY + b" ", headers() | {"x-secret": "s"})
    assert (400, "malformed_signature") == refused(made, BODY, headers(signature="") | {"x-secret": "s"})
    assert (401, "missing_secret") == refused(made, BODY, headers(signature=None))


def test_unsigned_deliveries_pass_when_that_was_said() -> None:
    """They are marked as what they are, and limits hold all the same."""
    made = Verifier(allow_unsigned=True, max_body_bytes=100)

    assert ("none", "x", None) == ((it := made.verify(b"", {"webhook-id": "x"})).verified, it.id, it.sent_at)
    assert (413, "too_large") == refused(made, bytes(101), {})
    assert (415, "wrong_content_type") == refused(made, b"", {"content-type": "text/html"})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"secrets": []},
        {"secrets": ""},
        {"secrets": ["", SECRET]},
        {"secrets": [SECRET, "whsec_"]},
        {"secrets": [None]},
        {"secrets": [b"whsec_c2VjcmV0"]},
        {"secrets": "whsec_not base64!"},
        {"secrets": "whsec_abcde"},
        {"secrets": "whsec_c2Vj-mV0"},
        {"secrets": "whsec_gehéim=="},
        {"secrets": "whsk_" + SEED},
        {"secrets": "whpk_c2VjcmV0"},
        {"secrets": "whpk_"},
        {"secrets": SECRET, "allow_unsigned": True},
        {"allow_unsigned": "false"},
        {"allow_unsigned": 1},
        {"secrets": SECRET, "tolerance_s": 0},
        {"secrets": SECRET, "tolerance_s": -1},
        {"secrets": SECRET, "tolerance_s": math.inf},
        {"secrets": SECRET, "tolerance_s": math.nan},
        {"secrets": SECRET, "tolerance_s": True},
    ],
    ids=str,
)
def test_a_verifier_that_could_not_verify_does_not_exist(options: dict[str, Any]) -> None:
    """A variable that is not set is no permission; messages do not repeat what was given for a secret."""
    with pytest.raises(ConfigError) as caught:
        Verifier(**options)

    assert not any(part in str(caught.value) for part in ("c2Vj", "geh", "not base64!", SEED))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("", ("s",)),
        ("x y", ("s",)),
        ("x-é", ("s",)),
        ("webhook-id", ("s",)),
        ("Content-Type", ("s",)),
        ("X", ()),
        ("X", ("",)),
        ("X", ("s", "")),
        ("X", (" s",)),
        ("X", ("s\n",)),
        ("X", ("ß",)),
        ("X", (None,)),
        ("X", ""),
    ],
)
def test_a_header_secret_has_a_name_and_values(name: str, values: Any) -> None:
    """That a header can have."""
    with pytest.raises(ConfigError):
        HeaderSecret(name, values)


@pytest.mark.parametrize("secret", [f" {SECRET}\n", SECRET.removeprefix("whsec_")])
def test_secrets_are_read_as_they_lie_about(secret: str) -> None:
    """With the line's end of the file they were in, and without the prefix."""
    assert ID == verifier(secret).verify(BODY, headers()).id


def test_padding_of_a_secret_is_optional() -> None:
    """As in the libraries of Standard Webhooks."""
    given = sign(BODY, id=ID, timestamp=AT, secret="whsec_c2VjcmV0cw")

    assert standardwebhooks.Webhook("whsec_c2VjcmV0cw").sign(ID, AT, BODY.decode()) == given["webhook-signature"]
    assert ID == verifier("whsec_c2VjcmV0cw==").verify(BODY, given).id


def test_public_keys_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it there is no verifier, and the message says how to get one."""
    real = builtins.__import__

    def without_it(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_it)

    with pytest.raises(MissingExtra, match=r"posthog-events\[connect\]"):
        Verifier(public_key_of_the_seed)
    assert ID == verifier().verify(BODY, headers()).id


public_key_of_the_seed = public_key(SEED)


@pytest.mark.parametrize(
    ("changes"),
    [
        {"id": "a.b"},
        {"id": ""},
        {"id": "é"},
        {"secret": ""},
        {"secret": public_key_of_the_seed},
        {"timestamp": AT.replace(tzinfo=None)},
        {"timestamp": datetime(1969, 12, 31, tzinfo=UTC)},
    ],
    ids=str,
)
def test_nothing_is_signed_that_would_not_verify(changes: Mapping[str, Any]) -> None:
    """It is a mistake in the settings of the sender."""
    with pytest.raises(ConfigError):
        sign(BODY, **{"id": ID, "timestamp": AT, "secret": SECRET, **changes})


def test_nothing_shows_a_secret_or_a_body() -> None:
    """Neither the representation of anything, nor the reason of a refusal."""
    secret = HeaderSecret("X-Webhook-Secret", ("open sesame",))
    made = verifier(header_secret=secret)
    delivery = made.verify(BODY, headers())
    with pytest.raises(DeliveryRejected) as caught:
        made.verify(BODY, {"x-webhook-secret": "open barley"})

    shown = f"{secret!r} {made!r} {delivery!r} {SigningKeys([SECRET])!r} {caught.value!r}"
    assert not any(part in shown for part in ("sesame", "barley", SECRET[6:], "2432232314"))


def test_all_candidates_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time a verification takes does not tell which of the keys or signatures it was."""
    seen: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        seen.append((one, other))
        return real(one, other)

    monkeypatch.setattr("posthog_events.receiver.signatures.hmac.compare_digest", counting)
    verifier(SECRET, OTHER).verify(BODY, headers(signature=f"{SIGNATURE} v1,a v1,b"))
    assert 6 == len(seen)

    seen.clear()
    Verifier(header_secret=HeaderSecret("x-s", ("a", "b", "c"))).verify(BODY, {"x-s": "a"})
    assert 3 == len(seen)
