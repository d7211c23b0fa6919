"""The local and cluster engine: HogQL to ClickHouse SQL, and the event store."""
