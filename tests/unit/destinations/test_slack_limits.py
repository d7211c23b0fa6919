"""Slack's limits, counted without expressions."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_events.destinations.slack_limits import check_blocks, check_text, fixed_length


def section(text: str, **more: Any) -> dict[str, Any]:
    """Return a section with a text."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def button(**more: Any) -> dict[str, Any]:
    """Return a block with a button."""
    plain = {"type": "plain_text", "text": "Open"}
    return {"type": "actions", "elements": [{"type": "button", "text": plain, **more}]}


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("Hello {person.name}!", 7),
        ("{event.event}", 0),
        (r"a \{b}", 5),
        ("{f('}')} x", 2),
        ("{ {'a': 1}.a }!", 1),
        (r"{'\'}'}ab", 2),
    ],
)
def test_expressions_count_for_nothing(text: str, length: int) -> None:
    """Only what is sure to be sent is counted."""
    assert length == fixed_length(text)


@pytest.mark.parametrize(
    "blocks",
    [
        [section("x" * 3000)] * 50,
        [section("x" * 3000 + "{event.properties.note}")],
        [{"type": "header", "text": {"type": "plain_text", "text": "x" * 150}}, {"type": "divider"}],
        [button(url="https://x.io", value="v" * 2000)],
        [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 10}],
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2000}] * 10}],
        [{"type": "image", "image_url": "https://x.io/a.png", "alt_text": "a"}],
    ],
    ids=range(7),
)
def test_message_at_the_limit_passes(blocks: list[Any]) -> None:
    """The largest message that Slack takes is not refused."""
    assert [] == list(check_blocks(blocks))


@pytest.mark.parametrize(
    ("blocks", "path", "why"),
    [
        ([section("x")] * 51, (50,), "50 blocks"),
        ([section("x"), section("x" * 3001)], (1, "text", "text"), "3,001 characters; the most is 3,000"),
        ([section("")], (0, "text", "text"), "empty text"),
        ([{"type": "section"}], (0,), "needs `text` or `fields`"),
        ([{"type": "section", "text": "plain"}], (0, "text"), "type: mrkdwn"),
        ([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}], (0, "fields"), "11 entries"),
        (
            [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}],
            (0, "fields", 0, "text"),
            "the most is 2,000",
        ),
        ([section("x", block_id="i" * 256)], (0, "block_id"), "the most is 255"),
        ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}], (0, "text", "text"), "150"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], (0, "text", "type"), "plain_text"),
        ([button(text={"type": "plain_text", "text": "x" * 76})], (0, "elements", 0, "text", "text"), "75"),
        ([button(value="v" * 2001)], (0, "elements", 0, "value"), "2,000"),
        ([button(url="u" * 3001)], (0, "elements", 0, "url"), "3,000"),
        (
            [section("x", accessory={"type": "button", "text": {"type": "plain_text", "text": "x" * 76}})],
            (0, "accessory", "text", "text"),
            "75",
        ),
        ([{"type": "actions", "elements": [button()["elements"][0]] * 26}], (0, "elements"), "the most is 25"),
        ([{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11}], (0, "elements"), "the most is 10"),
        ([{"type": "image", "alt_text": "a"}], (0,), "`image_url`"),
        ([{"type": "sektion"}], (0, "type"), "did you mean `section`"),
        (["text"], (0,), "a mapping with a `type`"),
    ],
    ids=range(19),
)
def test_what_slack_refuses_is_named_with_its_place(blocks: list[Any], path: tuple[Any, ...], why: str) -> None:
    """Each limit is told with the part that breaks it."""
    ((found, message),) = check_blocks(blocks)

    assert path == found
    assert why in message


def test_text_over_the_limit_is_told() -> None:
    """The text beside the blocks has a limit of its own."""
    assert check_text("x" * 40_000 + "{event}") is None
    assert "40,001" in (check_text("x" * 40_001) or "")
