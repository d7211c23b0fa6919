"""`posthog-events init`: a working folder to start from. It never overwrites."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

__all__ = ["FILES", "create_folder", "init"]

EXAMPLE_QUERY = """\
-- title: Events per day
-- question: How often did each event happen, day by day?
-- params:
--   since: {type: when, default: -30d}
-- returns:
--   day: Date
--   event: String
--   events: UInt64
--   people: UInt64
-- grain: one row per day and event

-- The header above is YAML. It names the parameters, their types and their defaults, and the columns that come back.
-- Run this file, and give a parameter another value, with:
--   posthog-events query run queries/example.sql -p since=-7d
-- Check it without running it with:
--   posthog-events query lint queries
--
-- Below is HogQL, as it runs in PostHog. What stands in double braces becomes a bound value, never text, so no value
-- can change what the query does.
SELECT
    toDate(timestamp) AS day,
    event,
    count() AS events,
    uniq(person_id) AS people
FROM events
WHERE timestamp >= {{ since }} AND timestamp < now()
GROUP BY day, event
ORDER BY day, event
LIMIT 10000
"""

SETTINGS = """\
# Settings of this folder for posthog-events. An option on the command line wins over the environment
# (POSTHOG_EVENTS_DSN, POSTHOG_EVENTS_TIMEZONE, POSTHOG_EVENTS_QUERIES), the environment over this file, and this
# file over the one in your home directory. Take the # away from a line to use it.

# Where the events are: a local store, or a ClickHouse server. Without it, ./events is used when it is there.
# dsn = "chdb://./events"
# dsn = "clickhouse://user@host:8443/database?secure=1"

# The time zone that days begin in, as set in your PostHog project.
# timezone = "Europe/Berlin"

# More folders with query files. ./queries is always read; a file there replaces a shipped one of the same name.
# queries = ["shared/queries"]
"""

README = """\
# Event analysis

| here | what it is |
|---|---|
| `queries/` | HogQL query files; `posthog-events query list` shows them with the shipped ones |
| `posthog-events.toml` | settings of this folder |
| `events/` | the local event store, once there is one; not for version control |

```bash
posthog-events local import FILE --store events    # CSV, JSON Lines, Parquet or a PostHog export
posthog-events query run queries/example.sql
posthog-events query run queries/example.sql -p since=-7d --format csv --output events.csv
posthog-events query lint queries
```

No events at hand? `posthog-events demo` makes some.
"""

IGNORED = """\
# local event stores, and the rows an import refused
/events/
/demo-events/
*.rejected.jsonl
"""

FILES: Mapping[str, str] = {
    "queries/example.sql": EXAMPLE_QUERY,
    "posthog-events.toml": SETTINGS,
    "README.md": README,
    ".gitignore": IGNORED,
}


def create_folder(directory: Path) -> tuple[list[Path], list[Path]]:
    """Write the files that are not there yet; return the paths written, and the paths left alone."""
    written: list[Path] = []
    kept: list[Path] = []
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # x: a file that appears between a check and the write must not be lost either
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            kept.append(path)
        else:
            written.append(path)
    return written, kept


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".")
def init(directory: Path) -> None:
    """Create a working folder with commented examples.

    Files that are there already stay as they are.

    \b
    Example: posthog-events init my-analysis
    """
    written, kept = create_folder(directory)
    for path in written:
        click.echo(f"wrote {path}")
    for path in kept:
        click.echo(f"left {path} as it was")
    click.echo(f"Next: import events with `posthog-events local import FILE --store {directory / 'events'}`", err=True)
