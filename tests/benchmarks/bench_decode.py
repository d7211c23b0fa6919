"""From the body of a /query/ answer to a typed frame, against json.loads with polars and with pandas.

Run it from the repository root: `python tests/benchmarks/bench_decode.py [ROUNDS]`. The answer has 50,000 rows of 7
columns, one of them JSON text of about 600 bytes. Every measurement is a process of its own that first decodes a small
answer and then reads the body; the ways take turns, so that a slow moment of the machine hits all of them, and the
ratios compare medians.

Peak memory is the process's highest resident size minus its resident size just before it read the body, so the body
itself is counted: 1.0 x is the least possible.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

ROWS = 50_000
TYPES = (
    ("uuid", "UUID"),
    ("event", "String"),
    ("timestamp", "DateTime64(6, 'UTC')"),
    ("distinct_id", "String"),
    ("person_id", "UUID"),
    ("amount", "Nullable(Float64)"),
    ("properties", "String"),
)
NAMES = [name for name, _ in TYPES]
AIM_SPEED, AIM_MEMORY = 2.2, 3.0


def body(rows: int) -> bytes:
    """Return an answer in the form of reference 2.3 and 2.8; the same one each time."""
    draw = random.Random(7)

    def identifier() -> str:
        return str(uuid.UUID(int=draw.getrandbits(128)))

    def properties() -> str:
        values = {
            "$browser": draw.choice(["Chrome", "Safari", "Firefox"]),
            "$current_url": f"https://example.com/{draw.randrange(10**9)}/pricing?campaign={draw.randrange(10**12)}",
            "$geoip_city_name": draw.choice(["Berlin", "London", "Paris", "Lyon", "Zürich"]),
            "$ip": "203.0.113.7",
            "$lib": "web",
            "$lib_version": "1.257.0",
            "$os": "Mac OS X",
            "$pageview": True,
            "$referrer": "https://search.example/?q=product+analytics",
            "$screen_height": 1080,
            "$screen_width": 1920,
            "$session_id": identifier(),
            "$user_agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)",
            "$window_id": identifier(),
            "amount": round(draw.random() * 100, 2),
            "plan": draw.choice(["free", "pro"]),
            "utm_source": None,
        }
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    at = datetime(2026, 9, 1)
    results: list[list[Any]] = []
    for _ in range(rows):
        at += timedelta(microseconds=draw.randrange(3_000_000))
        event = draw.choice(["$pageview", "purchase", "user_signed_up"])
        amount = draw.random() * 100 if event == "purchase" else None
        results.append([identifier(), event, f"{at.isoformat()}Z", identifier(), identifier(), amount, properties()])
    answer = {"results": results, "columns": NAMES, "types": TYPES, "hasMore": None, "timings": [], "is_cached": False}
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def ours(raw: bytes) -> pl.DataFrame:
    """Decode as the package does."""
    from posthog_events.frames.wire import frame_from_json_rows
    from posthog_events.posthog.answer import read_answer
    from posthog_events.posthog.http import Reply

    answer = read_answer(Reply(200, {}, raw, "benchmark"))
    return frame_from_json_rows(answer.results or [], answer.types or ())


def with_polars(raw: bytes) -> pl.DataFrame:
    """Decode as a careful script would with polars."""
    import polars as pl

    schema = {name: pl.Float64 if name == "amount" else pl.String for name in NAMES}
    frame = pl.DataFrame(json.loads(raw)["results"], schema=schema, orient="row")
    return frame.with_columns(
        pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC")
    )


def with_pandas(raw: bytes) -> pd.DataFrame:
    """Decode as a careful script would with pandas."""
    import pandas as pd

    frame = pd.DataFrame(json.loads(raw)["results"], columns=NAMES)
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], format="ISO8601", utc=True)
    frame["amount"] = frame["amount"].astype("float64")
    return frame


WAYS: dict[str, Callable[[bytes], Any]] = {"ours": ours, "json + polars": with_polars, "json + pandas": with_pandas}


def resident_bytes() -> int:
    """Return this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure_here(way: str, path: Path) -> None:
    """Print wall-clock seconds, CPU seconds and peak bytes of one decoding in this process."""
    decode = WAYS[way]
    decode(body(100))
    before = resident_bytes()
    raw = path.read_bytes()
    start, start_cpu = time.perf_counter(), time.process_time()
    frame = decode(raw)
    taken, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert len(frame) == ROWS
    print(json.dumps([taken, cpu, peak]))


def measure(way: str, path: Path) -> tuple[float, float, int]:
    """Return wall-clock seconds, CPU seconds and peak bytes of one decoding in a new process."""
    done = subprocess.run([sys.executable, __file__, way, str(path)], check=True, capture_output=True, text=True)
    taken, cpu, peak = json.loads(done.stdout)
    return taken, cpu, peak


def main() -> None:
    """Print the medians, and the ratios with their aims."""
    if len(sys.argv) == 3:
        measure_here(sys.argv[1], Path(sys.argv[2]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    found: dict[str, list[tuple[float, float, int]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "body.json")
        # written by another process, because a child's peak begins at its parent's
        subprocess.run(
            [
                sys.executable,
                "-c",
                f"import {Path(__file__).stem} as b; open({str(path)!r}, 'wb').write(b.body(b.ROWS))",
            ],
            check=True,
            cwd=Path(__file__).parent,
        )
        size = path.stat().st_size
        for _ in range(rounds):
            for way in WAYS:
                found[way].append(measure(way, path))
    wall, cpu, peak = (
        {way: statistics.median(value[part] for value in values) for way, values in found.items()} for part in range(3)
    )
    print(f"{ROWS:,} rows x {len(TYPES)} columns, {size / 1e6:.1f} MB; median of {rounds} alternating processes")
    for way in WAYS:
        print(
            f"  {way:14} {wall[way] * 1000:7.1f} ms   {cpu[way] * 1000:7.1f} ms of CPU"
            f"   peak memory {peak[way] / size:4.2f} x the body"
        )
    for way in list(WAYS)[1:]:
        print(
            f"  faster than {way:14} {wall[way] / wall['ours']:5.2f} x   (aim: at least {AIM_SPEED} x)"
            f"   {cpu[way] / cpu['ours']:5.2f} x less CPU"
        )
    print(f"  peak memory {peak['ours'] / size:.2f} x the body (aim: at most {AIM_MEMORY} x)")


if __name__ == "__main__":
    main()
