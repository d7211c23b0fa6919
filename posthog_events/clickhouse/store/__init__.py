"""The local event store: immutable Parquet files and a manifest, written by imports, read in place by ClickHouse."""

from posthog_events.clickhouse.store.report import ColumnMapping, FileReport, ImportReport, Progress
from posthog_events.clickhouse.store.store import EventStore

__all__ = ["ColumnMapping", "EventStore", "FileReport", "ImportReport", "Progress"]
