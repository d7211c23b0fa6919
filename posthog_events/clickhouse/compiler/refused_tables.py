"""Tables that PostHog has and a local store does not. Source: reference 2.4 and query-and-events 9."""

from __future__ import annotations

__all__ = ["refused_table"]

_ELSEWHERE = {
    "cohort_people": "import its members with: posthog-events local import FILE --table cohort_people",
    "static_cohort_people": "import its members with: posthog-events local import FILE --table static_cohort_people",
    "session_replay_events": "session replays are not exported as events",
    "raw_session_replay_events": "session replays are not exported as events",
    "heatmaps": "heatmaps are not exported as events",
    "logs": "logs are not exported as events",
    "query_log": "it is PostHog's own log of queries",
    "document_embeddings": "it is kept by PostHog",
    "raw_sessions": "read sessions instead",
    "raw_sessions_v3": "read sessions instead",
    "sessions_v1": "read sessions instead",
    "raw_persons": "read persons instead",
    "raw_person_distinct_ids": "read person_distinct_ids instead",
    "raw_groups": "read groups instead",
    "raw_cohort_people": "read cohort_people instead",
    "person_distinct_id_overrides": "import person_distinct_ids instead",
    "app_metrics": "it is kept by PostHog",
    "console_logs_log_entries": "session replays are not exported as events",
    "log_entries": "it is kept by PostHog",
    "web_overview_preaggregated": "it is kept by PostHog",
    "exchange_rate": "it is kept by PostHog",
    "channel_definition": "it is kept by PostHog",
}
_PREFIXES = {
    "system": "it describes a PostHog project",
    "information_schema": "use posthog-events local schema",
    "posthog": "it is kept by PostHog",
}


def refused_table(name: str) -> str | None:
    """Return why a table of PostHog is not here, or None when PostHog has no such table either."""
    reason = _ELSEWHERE.get(name) or _PREFIXES.get(name.partition(".")[0])
    return f"The table {name} exists in PostHog but not locally: {reason}" if reason else None
