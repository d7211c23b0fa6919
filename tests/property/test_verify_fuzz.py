"""The fuzz run of `tests/benchmarks/fuzz_verify.py`: short in the ordinary suite, a million and a half as a slow test.

pytest -m slow -n0 tests/property/test_verify_fuzz.py
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_events.errors import DeliveryRejected
from posthog_events.receiver.payload import parse_payload
from posthog_events.receiver.signatures import sign
from posthog_events.receiver.verify import Delivery, Verifier
from tests.benchmarks import fuzz_verify

AT = datetime.fromtimestamp(fuzz_verify.NOW, UTC)


@pytest.fixture(scope="module")
def figures() -> fuzz_verify.Figures:
    """Run it once, with another seed than the long run's."""
    return fuzz_verify.run(6_000, seed=1)


def test_no_mutated_delivery_is_judged_wrong(figures: fuzz_verify.Figures) -> None:
    """And the run was one: each change was made, each refusal but that of size was seen, and harmless ones passed."""
    changes = {change.__name__ for change in (*fuzz_verify.HARMLESS, *fuzz_verify.HARMFUL)}

    assert 6_000 == figures.mutations == figures.passed + figures.refused.total()
    assert changes == set(figures.changes)
    assert set(fuzz_verify.STATUSES) - {"too_large"} == set(figures.refused)
    assert {"not_json", "not_utf8", "empty_body", "no_event_name"} <= set(figures.bodies_refused)
    assert figures.harmless > 100
    assert figures.events > 100


@pytest.mark.slow
def test_no_mutated_delivery_of_a_million_is_judged_wrong() -> None:
    """The documented run: more than a million are refused, the others are right to pass."""
    figures = fuzz_verify.run(1_500_000)

    assert 1_500_000 == figures.mutations == figures.passed + figures.refused.total()
    assert figures.refused.total() > 1_000_000


def believes_everything(self: Verifier, body: bytes, headers: object) -> Delivery:
    """Verify nothing."""
    return Delivery("msg_0", AT, body, "signature")


def refuses_everything(self: Verifier, body: bytes, headers: object) -> Delivery:
    """Refuse even what is right."""
    raise DeliveryRejected("no", status=401, code="bad_signature")


def fails(self: Verifier, body: bytes, headers: object) -> Delivery:
    """Raise what no caller expects."""
    raise ValueError("no")


REAL = Verifier.verify


def forgets_the_time(self: Verifier, body: bytes, headers: object) -> Delivery:
    """Verify at the time that the delivery says it is."""
    self._tolerance_s = 1e12
    return REAL(self, body, headers)  # type: ignore[arg-type]


@pytest.mark.parametrize("verify", [believes_everything, refuses_everything, fails, forgets_the_time])
def test_a_verifier_with_a_fault_is_found_out(
    monkeypatch: pytest.MonkeyPatch, verify: Callable[[Verifier, bytes, object], Delivery]
) -> None:
    """The fuzz run could fail."""
    monkeypatch.setattr(Verifier, "verify", verify)

    with pytest.raises(fuzz_verify.Wrong):
        fuzz_verify.run(2_000, seed=1)


def test_originals_pass() -> None:
    """Unchanged, in every receiver."""
    for kind in ("shared", "public", "header"):
        receiver, figures = fuzz_verify.Receiver(kind), fuzz_verify.Figures()
        for original in receiver.originals:
            fuzz_verify.judge(random.Random(0), receiver, replace(original), figures)

        assert len(receiver.originals) == figures.passed


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = st.text("abcXYZ019_:~+/=@-", min_size=1, max_size=128)


@given(body=st.binary(max_size=200), id_=ids, early_s=st.integers(-300, 300), secret=st.binary(min_size=1, max_size=64))
def test_what_is_signed_verifies(body: bytes, id_: str, early_s: int, secret: bytes) -> None:
    """Any bytes, with any secret."""
    key = base64.b64encode(secret).decode()
    made = Verifier(key, clock=lambda: datetime.fromtimestamp(fuzz_verify.NOW + early_s, UTC))

    assert Delivery(id_, AT, body, "signature") == made.verify(body, sign(body, id=id_, timestamp=AT, secret=key))


@given(
    body=st.binary(max_size=60),
    pairs=st.lists(
        st.tuples(st.sampled_from(["webhook-id", "Webhook-Timestamp", "x"]) | texts, texts | st.binary(max_size=9)),
        max_size=5,
    ),
)
def test_rubbish_is_refused_with_the_one_exception(body: bytes, pairs: list[tuple[str, str | bytes]]) -> None:
    """Whatever the headers and the body are."""
    with pytest.raises(DeliveryRejected):
        Verifier(fuzz_verify.SHARED).verify(body, pairs)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(properties=st.dictionaries(texts, json_values, max_size=5), ascii_only=st.booleans())
def test_any_properties_arrive_as_they_were(properties: dict[str, object], ascii_only: bool) -> None:
    """Through JSON as Python writes it, and with nothing left over."""
    body = json.dumps({"event": {"event": "x", "properties": properties}}, ensure_ascii=ascii_only).encode()

    event = parse_payload(body)

    assert properties == event.properties
    assert {} == event.extra


@given(body=st.binary(max_size=80) | st.text('{}[]",:\\ u0aeE1-+.NIn\0', max_size=60).map(str.encode))
def test_any_bytes_are_an_event_or_refused(body: bytes) -> None:
    """And the standard library agrees about what is JSON."""
    fuzz_verify.judge_body(body, fuzz_verify.Figures())
