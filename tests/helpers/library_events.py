"""What each declaration of the shipped library is about: an event that fires it, near misses, and what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EXAMPLES", "PROJECT_URL", "Example", "globals_of"]

PROJECT_URL = "https://eu.posthog.com/project/1"
ADA = {"email": "ada@tidewater.dev", "plan": "team"}


@dataclass(frozen=True)
class Example:
    """One declaration at work.

    Args:
        event: The name of the event that fires it.
        properties: Its properties.
        misses: Events that look much like it and must not fire: name, properties, person properties.
        text: What a Slack message says, as the first block or the text for notifications.
        body: What a webhook is sent.
        test_account: The project's filter for test accounts is asked for.
    """

    event: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    misses: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...] = ()
    text: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    test_account: bool = True


ALERT = {
    "alert_id": "0198aaaa-0000-7000-8000-000000000001",
    "alert_name": "Signups low",
    "insight_name": "Daily signups",
    "insight_id": "aBc123",
    "state": "Firing",
    "breaches": "The value for current day (7) is less than lower threshold (10)",
}
MILESTONE = {
    **ALERT,
    "alert_id": "00000000-0000-0000-0000-000000000000",
    "insight_name": "Weekly active users",
    "breaches": "The value for current week (1002) is more than upper threshold (1000)",
}

EXAMPLES: Mapping[str, Example] = {
    "signup-slack": Example(
        "user_signed_up",
        {"$referring_domain": "search.example"},
        misses=(
            ("user_signed_in", {"$referring_domain": "search.example"}, ADA),
            ("user_signed_up", {}, {"email": "bob@EXAMPLE.com"}),
            ("user_signed_up", {}, {"email": "qa@tidewater.dev", "is_test": "yes"}),
        ),
        text="*ada@tidewater.dev* signed up from search.example",
    ),
    "big-purchase-slack": Example(
        "purchase",
        {"amount": 500, "currency": "EUR", "plan": "business"},
        misses=(
            ("purchase", {"amount": 499.99}, ADA),
            ("purchase", {}, ADA),
            ("refund", {"amount": 900}, ADA),
        ),
        text=f"*ada@tidewater.dev* paid 500 EUR for business\n<{PROJECT_URL}/person/u_1|Who is this?>",
    ),
    "subscription-webhook": Example(
        "subscription_cancelled",
        {"plan": "team"},
        misses=(("subscription_renewed", {"plan": "team"}, ADA), ("Subscription_Started", {"plan": "team"}, ADA)),
        body={
            "uuid": "0198f2a4-0000-7000-8000-000000000001",
            "event": "subscription_cancelled",
            "timestamp": "2026-08-20T10:15:30.123Z",
            "distinct_id": "u_1",
            "email": "ada@tidewater.dev",
            "plan": "team",
            "properties": {"plan": "team"},
        },
    ),
    "error-spike": Example(
        "$error_tracking_issue_spiking",
        {"name": "TypeError", "description": "x is <!channel>", "current_bucket_value": 48},
        misses=(("$error_tracking_issue_created", {"name": "TypeError"}, {}), ("$exception", {}, {})),
        text="TypeError is spiking",
        test_account=False,
    ),
    "new-feature-used": Example(
        "feature_used",
        {"feature": "ai_summary"},
        misses=(
            ("feature_used", {"feature": "board"}, ADA),
            ("feature_used", {"feature": "AI_summary"}, ADA),
            ("feature_used", {}, ADA),
        ),
        text=f"*ada@tidewater.dev* (team) used the AI summary\n<{PROJECT_URL}/person/u_1|Who is this?>",
    ),
    "weekly-active-milestone": Example(
        "$insight_alert_firing",
        MILESTONE,
        misses=(("$insight_alert_firing", ALERT, {}), ("$pageview", MILESTONE, {})),
        text=(
            "We did it: *Weekly active users*, The value for current week (1002) is more than upper threshold (1000)\n"
            "<https://eu.posthog.com/project/1/insights/aBc123|See the curve>"
        ),
        test_account=False,
    ),
    "insight-alert-slack": Example(
        "$insight_alert_firing",
        ALERT,
        misses=(("$error_tracking_issue_spiking", ALERT, {}), ("insight_alert_firing", ALERT, {})),
        text="*Signups low* on Daily signups: The value for current day (7) is less than lower threshold (10)",
        test_account=False,
    ),
    "filter-digest": Example(
        "payment_failed",
        {"amount": 29, "reason": "card_declined"},
        misses=(
            ("payment_failed", {"amount": 9, "reason": "card_declined"}, ADA),
            ("payment_failed", {"reason": "card_declined"}, ADA),
            ("payment_failed", {"amount": 29, "reason": "test_card"}, ADA),
            ("payment_succeeded", {"amount": 29}, ADA),
        ),
        text=(
            "Payments fail today. The first: 29 by ada@tidewater.dev (card_declined)\n"
            "<https://eu.posthog.com/project/1/activity/explore|See the others>"
        ),
    ),
    "events-webhook": Example(
        "user_signed_up",
        {"method": "sso"},
        misses=(("user_signed_up_again", {}, ADA), ("subscription_cancelled", {}, ADA)),
        body={
            "event": "user_signed_up",
            "distinct_id": "u_1",
            "properties": {"method": "sso"},
            "timestamp": "2026-08-20T10:15:30.123Z",
            "uuid": "0198f2a4-0000-7000-8000-000000000001",
        },
        test_account=False,
    ),
    "events-slack": Example(
        "subscription_started",
        {"plan": "team"},
        misses=(("subscription_cancelled", {"plan": "team"}, ADA), ("$identify", {}, ADA)),
        text="*subscription_started* by ada@tidewater.dev (team)",
        test_account=False,
    ),
}
"""By the key of the declaration."""


def globals_of(event: str, properties: Mapping[str, Any], person: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what filters and templates see of an event, written by hand after reference 2.4."""
    known = ADA if person is None else person
    internal = event.startswith(("$insight_", "$error_"))
    who = {"id": "0198f000", "name": known.get("email"), "url": f"{PROJECT_URL}/person/u_1", "properties": dict(known)}
    return {
        "event": {
            "uuid": "0198f2a4-0000-7000-8000-000000000001",
            "event": event,
            "distinct_id": "issue-9" if internal else "u_1",
            "timestamp": "2026-08-20T10:15:30.123Z",
            "elements_chain": "",
            "url": f"{PROJECT_URL}/events/x",
            "properties": dict(properties),
        },
        "person": None if internal else who,
        "groups": {},
        "project": {"id": 1, "name": "Tidewater", "url": PROJECT_URL},
        "source": {"name": "x", "url": f"{PROJECT_URL}/functions/x"},
        "inputs": {},
    }
