"""Webhook and Slack destinations: declared in files or in Python, compared with what is live."""

from posthog_events.destinations.constructors import Discord, Slack, Teams, Webhook
from posthog_events.destinations.diff import Change, Diff, diff
from posthog_events.destinations.model import Destination, SecretRef
from posthog_events.destinations.normalise import normalise
from posthog_events.destinations.payload import body_of, declared_body, patch_of
from posthog_events.destinations.reading import parse_declarations, read_declarations
from posthog_events.destinations.schema import json_schema
from posthog_events.destinations.secrets import Secrets
from posthog_events.destinations.writing import yaml_of

__all__ = [
    "Change",
    "Destination",
    "Diff",
    "Discord",
    "SecretRef",
    "Secrets",
    "Slack",
    "Teams",
    "Webhook",
    "body_of",
    "declared_body",
    "diff",
    "json_schema",
    "normalise",
    "parse_declarations",
    "patch_of",
    "read_declarations",
    "yaml_of",
]
