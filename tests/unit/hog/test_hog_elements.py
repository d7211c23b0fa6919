"""Autocaptured elements and the steps of actions."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_events.hog.filters import compile_filters

CHAIN = (
    'button.btn.btn-primary:attr__data-id="7"attr_id="buy"href="/cart"nth-child="2"nth-of-type="1"text="Buy now";'
    'div.card.w-1/2:nth-child="1"nth-of-type="1"text="Card";body:nth-child="1"nth-of-type="1"'
)


def clicked(
    name: str = "$autocapture", url: str = "https://app.example.com/Cart", chain: str = CHAIN
) -> dict[str, Any]:
    return {"event": {"event": name, "elements_chain": chain, "properties": {"$current_url": url}}, "person": None}


@pytest.mark.parametrize(
    ("key", "operator", "value", "expected"),
    [
        ("tag_name", "exact", "button", True),
        ("tag_name", "exact", "a", False),
        ("tag_name", "is_not", "a", True),
        ("tag_name", "exact", ["a", "div"], True),
        ("href", "exact", "/cart", True),
        ("href", "icontains", "CART", True),
        ("href", "exact", "/cart/x", False),
        ("text", "exact", "Buy now", True),
        ("text", "exact", "Card", True),
        ("text", "regex", "^Buy", True),
        ("text", "icontains", "sell", False),
        ("text", "exact", [], False),
        ("selector", "exact", "button", True),
        ("selector", "exact", "button.btn", True),
        ("selector", "exact", ".btn-primary.btn", True),
        ("selector", "exact", ".nope", False),
        ("selector", "exact", "#buy", True),
        ("selector", "exact", "#sell", False),
        ("selector", "exact", "button#buy", True),
        ("selector", "exact", "a#buy", False),
        ("selector", "exact", 'button[data-id="7"]', True),
        ("selector", "exact", "[href='/cart']", True),
        ("selector", "exact", 'button[data-id="8"]', False),
        ("selector", "exact", "div button", True),
        ("selector", "exact", "body button", True),
        ("selector", "exact", "button div", False),
        ("selector", "exact", "div > button", True),
        ("selector", "exact", "div.card > button:nth-child(2)", True),
        ("selector", "exact", "div.card > button:nth-child(3)", False),
        ("selector", "exact", "body > button", False),
        ("selector", "is_not", "form button", True),
    ],
)
def test_element_filters_read_the_chain(key: str, operator: str, value: Any, expected: bool) -> None:
    """Tags, links, texts and selectors are found in the chain of elements."""
    item = {"type": "element", "key": key, "operator": operator, "value": value}

    assert expected is compile_filters({"properties": [item]}).matches(clicked()).matched


def test_chain_may_stand_in_the_properties() -> None:
    """An event without the column has its chain in `$elements_chain`, which is also a property of its own."""
    event = {"event": {"event": "x", "properties": {"$elements_chain": CHAIN}}, "person": None}
    items = [
        {"type": "element", "key": "tag_name", "value": "button"},
        {"type": "event", "key": "$elements_chain", "operator": "icontains", "value": "btn"},
    ]

    assert compile_filters({"properties": items}).matches(event).matched


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], True),
        ([{}], True),
        ([{"event": "$pageview"}], False),
        ([{"event": "$pageview"}, {"event": "$autocapture"}], True),
        ([{"event": "$autocapture", "url": "example.com"}], True),
        ([{"event": "$autocapture", "url": "cart"}], False),  # contains is case-sensitive
        ([{"url": "/Cart$", "url_matching": "regex"}], True),
        ([{"url": "https://app.example.com/Cart", "url_matching": "exact"}], True),
        ([{"url": "https://app.example.com", "url_matching": "exact"}], False),
        ([{"event": "$autocapture", "tag_name": "button", "text": "Buy now"}], True),
        ([{"event": "$autocapture", "text": "buy", "text_matching": "contains"}], True),
        ([{"event": "$autocapture", "text": "buy", "text_matching": "regex"}], False),
        ([{"event": "$autocapture", "href": "/cart", "selector": "div > button"}], True),
        ([{"event": "$autocapture", "href": "/other"}], False),
        # elements count for $autocapture only
        ([{"selector": "nav"}], True),
        ([{"event": "$autocapture", "properties": [{"key": "$current_url", "operator": "is_not_set"}]}], False),
    ],
)
def test_steps_of_an_action_are_alternatives(steps: list[dict[str, Any]], expected: bool) -> None:
    """An action fits when all conditions of one of its steps do."""
    compiled = compile_filters({"actions": [{"id": 1, "type": "actions"}]}, actions={1: {"steps": steps}})

    assert expected is compiled.matches(clicked()).matched


def test_url_pattern_that_re2_refuses_is_an_error() -> None:
    """A broken pattern in an action makes the filters fail, not match."""
    steps = [{"url": "(?=x)", "url_matching": "regex"}]
    compiled = compile_filters({"actions": [{"id": 1, "type": "actions"}]}, actions={1: steps})

    assert "error" == compiled.matches(clicked()).outcome
