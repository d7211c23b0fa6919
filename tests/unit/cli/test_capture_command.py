"""`events capture` sends what was typed, with the types that were meant, and refuses what PostHog would drop."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from posthog_events.cli.main import main
from posthog_events.testing import EmulatedPostHog, emulator


@pytest.fixture(scope="module")
def served() -> Iterator[EmulatedPostHog]:
    with emulator() as one:
        yield one


@pytest.fixture(autouse=True)
def settings(served: EmulatedPostHog, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)


def test_properties_have_the_types_that_were_meant(served: EmulatedPostHog, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers, booleans, null and JSON are read as such; all else is text, and quotes make text of a number."""
    typed = ["amount=20", "vip=true", "note=null", "plan=pro", 'code="42"', 'tags=["a"]', "ratio=NaN", "eq=a=b"]
    arguments = [part for text in typed for part in ("-p", text)]

    assert main(["events", "capture", "purchase", "--user", "ann", *arguments, "--verify"]) == 0

    (event,) = served.events().to_dicts()
    said = capsys.readouterr().out
    properties = json.loads(event["properties"])
    expected = {"amount": 20, "vip": True, "note": None, "plan": "pro", "code": "42", "tags": ["a"], "ratio": "NaN"}
    assert expected | {"eq": "a=b"} == {name: properties[name] for name in (*expected, "eq")}
    assert ("purchase", "ann") == (event["event"], event["distinct_id"])
    assert f"sent purchase of ann: {event['uuid']}\n" == said


def test_what_posthog_would_drop_is_refused(served: EmulatedPostHog, capsys: pytest.CaptureFixture[str]) -> None:
    """An event of nobody and a property without a value are said before anything is sent."""
    before = len(served.requests)

    assert main(["events", "capture", "purchase", "--user", ""]) == 2
    assert "distinct_id" in capsys.readouterr().err
    assert main(["events", "capture", "purchase", "--user", "ann", "-p", "amount"]) == 2
    assert "'amount' is not NAME=VALUE, such as amount=20" in capsys.readouterr().err
    assert before == len(served.requests)


def test_missing_project_token_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A personal key sends no events."""
    monkeypatch.delenv("POSTHOG_PROJECT_TOKEN")

    assert main(["events", "capture", "purchase", "--user", "ann"]) == 2
    assert "set POSTHOG_PROJECT_TOKEN" in capsys.readouterr().err
