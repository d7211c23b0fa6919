"""Secret inputs of destinations in recordings: known by their schema, by how PostHog shows them, or by their name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from posthog_events.posthog.scrub import Exchange, Scrubber

SECRET = "https://hidden.example.com/abcdef123456"
SIGN = "whsec_Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"


def scrubbed(*bodies: tuple[Any, Any]) -> str:
    """Return requests and replies without secrets, gone over twice as a recording is."""
    scrubber = Scrubber(b"salt", personal=False)
    exchanges = [
        Exchange(
            "PATCH",
            "https://eu.posthog.com/api/projects/7/hog_functions/a/",
            {"Content-Type": ["application/json"]},
            json.dumps(sent).encode(),
            200,
            "OK",
            {"Content-Type": ["application/json"]},
            json.dumps(answered).encode(),
        )
        for sent, answered in bodies
    ]
    for exchange in exchanges:
        scrubber.exchange(exchange)
    return "".join(str(scrubber.exchange(exchange)) for exchange in exchanges)


def sent(**inputs: Any) -> dict[str, Any]:
    """Return the body of a change."""
    return {"inputs": {name: {"value": value} for name, value in inputs.items()}}


@pytest.mark.parametrize(
    "bodies",
    [
        [({**sent(url=SECRET), "inputs_schema": [{"key": "url", "secret": True}]}, {"detail": "no"})],
        [(sent(url=SECRET), {"inputs": {"url": {"secret": True}}})],
        [(sent(url=SECRET), {"detail": "no"}), (None, {"results": [{"inputs": {"url": {"secret": True}}}]})],
        [({"configuration": sent(url=SECRET)}, {"configuration": {"inputs": {"url": {"secret": True}}}})],
        [(sent(headers={"X": [SECRET]}), {"inputs": {"headers": {"secret": True}}})],
        [(sent(signing_secret=SECRET), {"detail": "no"})],
        [(sent(url=SECRET), {"inputs": {"url": {"secret": True}}}), (None, {"detail": f"cannot reach {SECRET}"})],
    ],
    ids=["schema", "reply", "later", "test", "inside", "name", "elsewhere"],
)
def test_secret_input_is_not_recorded(bodies: list[tuple[Any, Any]]) -> None:
    """However it is known."""
    assert "abcdef123456" in json.dumps(bodies)
    assert "abcdef123456" not in scrubbed(*bodies)


def test_signing_secret_is_not_recorded() -> None:
    """Its name says what it is."""
    assert "Y29ycmVj" not in scrubbed((sent(signing_secret=SIGN), {}))


def test_what_is_not_secret_is_recorded() -> None:
    """A recording shows what was sent."""
    shown = scrubbed(
        ({**sent(url=SECRET, body={"a": 1}), "inputs_schema": [{"key": "url"}, "x", {}]}, {"inputs": {"url": None}})
    )

    assert SECRET in shown
    assert '{"a": 1}' in shown or '{"a":1}' in shown
