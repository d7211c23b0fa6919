"""One destination over the events of a local store: ours by evaluator and pushed down, beside what one would write.

    python tests/benchmarks/bench_simulate.py --events 1_000_000 --directory bench-data

The destination has two entries and three conditions: purchases of 100 or more with Firefox, and sign-ups of people on
the plan `pro`. Events are those of `bench_queries.py` (33 properties, 650 bytes of JSON).

- `pushed down`: `simulate` on the store; the engine counts, by hour and by the clause that turned an event away;
- `evaluator`: the same without pushdown: every event of the two names is read and judged by the rules of Hog;
- `json.loads`: a plain loop over the rows of the same store, with the condition written by hand in Python;
- `duckdb`: SQL written by hand over the raw Parquet files.

All must find as many events. Seconds are the best of `--runs` after one warm-up; events/s counts all events of the
store, once by the clock and once for each second of processor time (all threads).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import posthog_events as ph
from posthog_events.clickhouse.client import Client
from posthog_events.destinations import Webhook
from posthog_events.destinations.simulate import simulate

sys.path.insert(0, str(Path(__file__).parent))
from bench_queries import generate, import_store

SINCE, UNTIL = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)
DESTINATION = Webhook(
    "Bench",
    url="https://example.com/hook",
    events=[
        {"event": "purchase", "where": ["amount >= 100", "$browser = Firefox"]},
        {"event": "signed_up", "where": "person.plan = pro"},
    ],
)
DUCKDB = """
    SELECT count(*) FROM read_parquet('{directory}/raw-*.parquet')
    WHERE (event = 'purchase' AND TRY_CAST(properties->>'$.amount' AS DOUBLE) >= 100
           AND properties->>'$."$browser"' = 'Firefox')
       OR (event = 'signed_up' AND person_properties->>'$.plan' = 'pro')"""


def by_hand(connection: ph.Connection) -> int:
    """Judge every row in Python, as a script would."""
    rows = connection.hogql(
        "SELECT event, properties, person.properties AS person FROM events "
        "WHERE timestamp >= {since} AND timestamp < {until}",
        since=SINCE,
        until=UNTIL,
    )
    found = 0
    for event, properties, person in rows.iter_rows():
        known = json.loads(properties)
        if event == "purchase":
            amount = known.get("amount")
            found += isinstance(amount, int | float) and amount >= 100 and known.get("$browser") == "Firefox"
        elif event == "signed_up":
            found += json.loads(person).get("plan") == "pro"
    return found


def timed(run: Callable[[], int], runs: int) -> tuple[float, float, int]:
    """Return the least seconds, by the clock and of the processor, and the answer."""
    answer = run()
    walls, busy = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = run()
        walls.append(time.perf_counter() - wall)
        busy.append(time.process_time() - cpu)
    return min(walls), min(busy), answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path, default=Path("bench-data"))
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    directory: Path = options.directory / str(options.events)
    directory.mkdir(parents=True, exist_ok=True)

    import duckdb

    raw = generate(Client.open("chdb://memory"), options.events, directory)
    store = directory / "store"
    if not store.exists():
        import_store(raw, store)
    connection = ph.connect(f"chdb://{store}", row_limits=ph.UNLIMITED_ROWS)
    total = connection.hogql("SELECT count() AS n FROM events").item()
    duck = duckdb.connect()
    duck.execute(f"SET threads = {os.cpu_count()}; SET TimeZone = 'UTC'")
    sql = DUCKDB.format(directory=directory)

    def ours(*, pushdown: bool) -> int:
        return simulate(DESTINATION, connection.engine, since=SINCE, until=UNTIL, pushdown=pushdown).delivered

    ways: dict[str, Callable[[], int]] = {
        "pushed down": lambda: ours(pushdown=True),
        "evaluator": lambda: ours(pushdown=False),
        "json.loads": lambda: by_hand(connection),
        "duckdb": lambda: duck.execute(sql).fetchall()[0][0],
    }
    results = {name: timed(run, options.runs) for name, run in ways.items()}
    answers = {name: answer for name, (_, _, answer) in results.items()}
    if len(set(answers.values())) != 1:
        sys.exit(f"the answers differ: {answers}")

    print(f"{total:,} events, {answers['duckdb']:,} of them match; {os.cpu_count()} cores, best of {options.runs}\n")
    print("| way | seconds | events/s | events/s per core | pushed down is faster by |")
    print("|---|---|---|---|---|")
    for name, (wall, cpu, _) in results.items():
        ratio = wall / results["pushed down"][0]
        print(f"| {name} | {wall:.2f} | {total / wall:,.0f} | {total / cpu:,.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
