"""Receiving webhooks of PostHog: verified, kept before they are acknowledged, each handled at least once."""

from posthog_events.receiver.context import Context, GiveUp, TryAgain
from posthog_events.receiver.inbox import Entry, Inbox
from posthog_events.receiver.intake import Answer
from posthog_events.receiver.payload import Person, ReceivedEvent, parse_payload
from posthog_events.receiver.receiver import Receiver
from posthog_events.receiver.routing import Retries
from posthog_events.receiver.shape import Shape
from posthog_events.receiver.signatures import sign
from posthog_events.receiver.verify import Delivery, HeaderSecret, Verifier

__all__ = [
    "Answer",
    "Context",
    "Delivery",
    "Entry",
    "GiveUp",
    "HeaderSecret",
    "Inbox",
    "Person",
    "ReceivedEvent",
    "Receiver",
    "Retries",
    "Shape",
    "TryAgain",
    "Verifier",
    "parse_payload",
    "sign",
]
