"""PostHog's own functions that are plain expressions: the tags its interface renders.

Source: posthog/hogql/functions/{posthog,sparkline,recording_button,explain_csp_report}.py.
"""

from __future__ import annotations

from posthog_events.clickhouse.functions.model import Function
from posthog_events.clickhouse.functions.rules import fixed, named, never
from posthog_events.clickhouse.sqltype import TUPLE

__all__ = ["TAGS"]

TAGS: tuple[Function, ...] = (
    *named(
        "sparkline",
        1,
        1,
        fixed(TUPLE),
        clickhouse="tuple('__hx_tag', 'Sparkline', 'data', {0})",
        nullability=never,
    ),
    *named(
        "recordingButton",
        1,
        2,
        fixed(TUPLE),
        clickhouse="tuple('__hx_tag', 'RecordingButton', 'sessionId', {0}, 'recordingStatus', {1})",
        by_count={1: "tuple('__hx_tag', 'RecordingButton', 'sessionId', {0})"},
        nullability=never,
    ),
    *named(
        "explainCSPReport",
        1,
        1,
        fixed(TUPLE),
        clickhouse="tuple('__hx_tag', 'ExplainCSPReport', 'properties', {0})",
        nullability=never,
    ),
)
