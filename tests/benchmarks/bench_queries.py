"""Four everyday queries over generated events: this package against hand-written SQL, raw JSON and DuckDB.

    python tests/benchmarks/bench_queries.py --events 10_000_000 --directory bench-data

Everything runs in one go on the same events: raw Parquet with properties as JSON text (as PostHog exports them) is
generated, imported into a store, and then each query runs on

- `ours`: HogQL through `posthog_events`, on the store;
- `by hand`: ClickHouse SQL written by hand for the same store files;
- `raw json`: chdb on the raw Parquet, reading properties with JSONExtractString;
- `duckdb`: DuckDB on the raw Parquet, reading properties with `->>`.

Answers are compared before times are believed. Each time is the median of `--runs` runs after one warm-up, in seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import posthog_events as ph
from posthog_events.clickhouse.client import Client

START, DAYS, PEOPLE_PER_EVENT = "2025-01-01 00:00:00", 90, 20
EVENTS = ("$pageview", "signed_up", "feature_used", "purchase", "$autocapture", "logged_in")
OTHER_KEYS = 24

HOGQL = {
    "funnel": """
        SELECT level, count() AS people FROM (
            SELECT person_id, windowFunnel(1209600)(toDateTime(timestamp), event = 'signed_up', event = 'feature_used', event = 'purchase') AS level
            FROM events WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01' AND event IN ('signed_up', 'feature_used', 'purchase')
            GROUP BY person_id)
        GROUP BY level ORDER BY level LIMIT 100""",
    "weekly retention": """
        SELECT cohort, dateDiff('week', cohort, week) AS period, count() AS people FROM (
            SELECT person_id, min(toStartOfWeek(timestamp, 1)) AS cohort, arrayJoin(groupUniqArray(toStartOfWeek(timestamp, 1))) AS week
            FROM events WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01' GROUP BY person_id)
        GROUP BY cohort, period ORDER BY cohort, period LIMIT 10000""",
    "property breakdown": """
        SELECT properties.$browser AS browser, person.properties.plan AS plan, count() AS n, sum(properties.amount) AS amount
        FROM events WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01'
        GROUP BY browser, plan ORDER BY browser, plan LIMIT 1000""",
    "daily uniques": """
        SELECT toDate(timestamp) AS day, uniqExact(person_id) AS people FROM events
        WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01' AND properties.$browser = 'Firefox'
        GROUP BY day ORDER BY day LIMIT 1000""",
}  # fmt: skip

# {events} is the table; {browser}, {plan}, {amount} read properties from it
CLICKHOUSE = {
    "funnel": """
        SELECT level, count() AS people FROM (
            SELECT person_id, windowFunnel(1209600)(toDateTime(timestamp), event = 'signed_up', event = 'feature_used', event = 'purchase') AS level
            FROM {events} WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01' AND event IN ('signed_up', 'feature_used', 'purchase')
            GROUP BY person_id)
        GROUP BY level ORDER BY level""",
    "weekly retention": """
        SELECT cohort, dateDiff('week', cohort, week) AS period, count() AS people FROM (
            SELECT person_id, min(toStartOfWeek(timestamp, 1)) AS cohort, arrayJoin(groupUniqArray(toStartOfWeek(timestamp, 1))) AS week
            FROM {events} WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01' GROUP BY person_id)
        GROUP BY cohort, period ORDER BY cohort, period""",
    "property breakdown": """
        SELECT {browser} AS browser, {plan} AS plan, count() AS n, sum(toFloat64OrNull({amount})) AS amount
        FROM {events} WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01'
        GROUP BY browser, plan ORDER BY browser, plan""",
    "daily uniques": """
        SELECT toDate(timestamp) AS day, uniqExact(person_id) AS people FROM {events}
        WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01' AND {browser} = 'Firefox'
        GROUP BY day ORDER BY day""",
}  # fmt: skip

DUCKDB = {
    # the earliest later step within the window of each start is the one that windowFunnel finds
    "funnel": """
        WITH e AS (SELECT person_id, event, date_trunc('second', timestamp) AS ts FROM {events}
                   WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01' AND event IN ('signed_up', 'feature_used', 'purchase')),
        s1 AS (SELECT DISTINCT person_id, ts FROM e WHERE event = 'signed_up'),
        s2 AS (SELECT s1.person_id, s1.ts AS t1, min(e.ts) AS t2 FROM s1 LEFT JOIN e ON e.person_id = s1.person_id AND e.event = 'feature_used'
               AND e.ts >= s1.ts AND e.ts <= s1.ts + INTERVAL 1209600 SECOND GROUP BY ALL),
        s3 AS (SELECT s2.person_id, s2.t1, s2.t2, min(e.ts) AS t3 FROM s2 LEFT JOIN e ON e.person_id = s2.person_id AND e.event = 'purchase'
               AND e.ts >= s2.t2 AND e.ts <= s2.t1 + INTERVAL 1209600 SECOND GROUP BY ALL),
        levels AS (SELECT person_id, max(CASE WHEN t3 IS NOT NULL THEN 3 WHEN t2 IS NOT NULL THEN 2 ELSE 1 END) AS level FROM s3 GROUP BY 1)
        SELECT coalesce(level, 0) AS level, count(*) AS people FROM (SELECT DISTINCT person_id FROM e) LEFT JOIN levels USING (person_id)
        GROUP BY 1 ORDER BY 1""",
    "weekly retention": """
        WITH weeks AS (SELECT DISTINCT person_id, date_trunc('week', timestamp)::DATE AS week FROM {events}
                       WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01'),
        cohorts AS (SELECT person_id, week, min(week) OVER (PARTITION BY person_id) AS cohort FROM weeks)
        SELECT cohort, (week - cohort) // 7 AS period, count(*) AS people FROM cohorts GROUP BY ALL ORDER BY ALL""",
    "property breakdown": """
        SELECT properties->>'$."$browser"' AS browser, person_properties->>'$.plan' AS plan, count(*) AS n,
               sum(TRY_CAST(properties->>'$.amount' AS DOUBLE)) AS amount
        FROM {events} WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01' GROUP BY ALL ORDER BY ALL""",
    "daily uniques": """
        SELECT timestamp::DATE AS day, count(DISTINCT person_id) AS people FROM {events}
        WHERE timestamp >= '2025-01-01' AND timestamp < '2025-04-01' AND properties->>'$."$browser"' = 'Firefox'
        GROUP BY 1 ORDER BY 1""",
}  # fmt: skip


def generate(client: Client, events: int, directory: Path) -> list[Path]:
    """Write raw events, a file a month, with JSON of about 650 bytes in `properties` and 33 keys."""
    names = ", ".join(f"'{name}'" for name in EVENTS)
    parts = [
        "'{\"$browser\":\"'", "['Chrome','Firefox','Safari','Edge'][h % 4 + 1]",
        "'\",\"$current_url\":\"https://example.com/'", "toString(h % 500)",
        "'\",\"amount\":'", "toString((h % 20000) / 100)",
        "',\"$referrer\":\"https://ref'", "toString(h % 30)", "'.example/\",\"$lib\":\"web\",\"feature\":\"f'", "toString(h % 12)",
        "'\",\"seats\":'", "toString(h % 9)", "',\"trial\":'", "if(h % 2 = 0, 'true', 'false')", "',\"$screen_width\":1920'",
        *(part for key in range(OTHER_KEYS) for part in (f"',\"key_{key}\":\"value '", f"toString((h + {key}) % 1000)", "'\"'")),
        "'}'",
    ]  # fmt: skip
    written = []
    for month in range(3):
        path = directory / f"raw-{month}.parquet"
        written.append(path)
        if path.exists():
            continue
        client.command(f"""
            INSERT INTO FUNCTION file('{path.resolve()}', Parquet)
            SELECT reinterpretAsUUID(concat(reinterpretAsString(number), reinterpretAsString(h))) AS uuid,
                   [{names}][h % {len(EVENTS)} + 1] AS event,
                   toDateTime64('{START}', 6, 'UTC') + toIntervalSecond({month * 30 * 86400} + intDiv(number * {30 * 86400}, {events // 3}))
                       + toIntervalMicrosecond(h % 1000000) AS timestamp,
                   concat('user-', toString(person)) AS distinct_id,
                   toUUID(concat('00000000-0000-4000-8000-', leftPad(toString(person), 12, '0'))) AS person_id,
                   concat({", ".join(parts)}) AS properties,
                   concat('{{"plan":"', ['free','pro','team'][person % 3 + 1], '","email":"user', toString(person), '@example.com","country":"',
                          ['DE','US','FR','JP'][person % 4 + 1], '"}}') AS person_properties,
                   timestamp AS created_at
            FROM (SELECT number, cityHash64(number, {month}) AS h, cityHash64(h, 1) % {events // PEOPLE_PER_EVENT} AS person
                  FROM numbers({events // 3}))
            SETTINGS output_format_parquet_compression_method = 'zstd', session_timezone = 'UTC'""")  # fmt: skip
    return written


def import_store(raw: list[Path], store: Path) -> dict[str, Any]:
    """Import in a process of its own, so that its peak memory is the import's alone."""
    script = (
        "import sys, json, time, resource; from pathlib import Path; from posthog_events.clickhouse.store import EventStore\n"
        "t = time.perf_counter(); store = EventStore.create(Path(sys.argv[1]))\n"
        "report = store.import_events([Path(p) for p in sys.argv[2:]])\n"
        "print(json.dumps({'seconds': time.perf_counter() - t, 'peak_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(store), *map(str, raw)], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def timed(run: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Return the median time in seconds and the last answer."""
    run()
    times = []
    answer = None
    for _ in range(runs):
        started = time.perf_counter()
        answer = run()
        times.append(time.perf_counter() - started)
    return statistics.median(times), answer


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Make rows of different engines comparable: plain numbers, floats to six digits."""
    return sorted(
        tuple(float(f"{value:.6g}") if isinstance(value, float) else str(value) for value in row) for row in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--directory", type=Path, default=Path("bench-data"))
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    directory: Path = options.directory / str(options.events)
    directory.mkdir(parents=True, exist_ok=True)

    import duckdb

    client = Client.open("chdb://memory")
    raw = generate(client, options.events, directory)
    store = directory / "store"
    if not store.exists():
        figures = import_store(raw, store)
        print(
            f"import: {options.events / figures['seconds']:,.0f} events/s, {figures['seconds']:.0f} s, "
            f"peak {figures['peak_mib']:,.0f} MiB"
        )
    connection = ph.connect(f"chdb://{store}")
    source = connection.engine.catalog().tables["events"].source
    raw_files = f"file('{directory.resolve()}/raw-*.parquet', Parquet)"
    by_hand = {"events": source, "browser": "`e:$browser`", "plan": "`p:plan`", "amount": "`e:amount`"}
    raw_json = {
        "events": raw_files,
        "browser": "JSONExtractString(properties, '$browser')",
        "plan": "JSONExtractString(person_properties, 'plan')",
        "amount": "JSONExtractRaw(properties, 'amount')",
    }
    duck = duckdb.connect()
    duck.execute(f"SET threads = {os.cpu_count()}; SET TimeZone = 'UTC'")
    duck_files = {"events": f"read_parquet('{directory}/raw-*.parquet')"}

    print(f"\n{options.events:,} events, {os.cpu_count()} cores, median of {options.runs} runs, seconds\n")
    print("| query | ours | by hand | raw json | duckdb | ours / by hand | raw json / ours | duckdb / ours |")
    print("|---|---|---|---|---|---|---|---|")
    for name in HOGQL:
        ours, answer = timed(lambda: connection.run(HOGQL[name]).frame.rows(), options.runs)  # noqa: B023
        hand, hand_rows = timed(lambda: client.query(CLICKHOUSE[name].format(**by_hand))[1].rows(), options.runs)  # noqa: B023
        slow, raw_rows = timed(lambda: client.query(CLICKHOUSE[name].format(**raw_json))[1].rows(), options.runs)  # noqa: B023
        other, duck_rows = timed(lambda: duck.execute(DUCKDB[name].format(**duck_files)).fetchall(), options.runs)  # noqa: B023
        for label, rows in (("by hand", hand_rows), ("raw json", raw_rows), ("duckdb", duck_rows)):
            if rounded(rows) != rounded(answer):
                sys.exit(
                    f"{name}: the answer of {label} differs from ours: {rounded(rows)[:3]} / {rounded(answer)[:3]}"
                )
        print(
            f"| {name} | {ours:.2f} | {hand:.2f} | {slow:.2f} | {other:.2f} "
            f"| {ours / hand:.2f} | {slow / ours:.1f} | {other / ours:.1f} |"
        )


if __name__ == "__main__":
    main()
