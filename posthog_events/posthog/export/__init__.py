"""Bulk export: PostHog's file downloads, or windowed queries, into a directory that proves what it holds."""

from posthog_events.posthog.export.download import Fetch, download
from posthog_events.posthog.export.ledger import ExportedFile, SliceRecord
from posthog_events.posthog.export.progress import ExportProgress, ExportReport
from posthog_events.posthog.export.run import Via, export_events
from posthog_events.posthog.export.slices import Slice

__all__ = [
    "ExportProgress",
    "ExportReport",
    "ExportedFile",
    "Fetch",
    "Slice",
    "SliceRecord",
    "Via",
    "download",
    "export_events",
]
