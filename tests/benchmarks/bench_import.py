"""How fast events are imported, and how much memory it takes.

    python tests/benchmarks/bench_import.py --events 10_000_000 --directory bench-data

Writes JSON Lines of about a kilobyte an event (33 property keys, six person keys, one event in twenty with escaped
text; an event's uuid is given unless `--no-uuid`), imports them in a process of its own and prints one line of JSON:
events per second of wall-clock time, CPU seconds, and the peak resident memory of the importing process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from posthog_events.clickhouse.store import EventStore

START, DAYS, PEOPLE = datetime(2025, 1, 1, tzinfo=UTC), 90, 50_000
NAMES = ("$pageview", "$autocapture", "signed_up", "purchase", "feature_used", "$pageleave")
BATCH = 1_000


def events(count: int, *, with_uuid: bool) -> Iterator[dict[str, Any]]:
    """Yield the same events every time."""
    chance = random.Random(1)
    for number in range(count):
        person = chance.randrange(PEOPLE)
        page = f"/page/{chance.randrange(300)}"
        properties: dict[str, Any] = {
            "$browser": chance.choice(("Chrome", "Safari", "Firefox")),
            "$browser_version": chance.randrange(90, 130),
            "$os": chance.choice(("Mac OS X", "Windows", "iOS")),
            "$current_url": f"https://app.example.com{page}?utm_source=ads",
            "$pathname": page,
            "$host": "app.example.com",
            "$referrer": chance.choice(("$direct", "https://www.example.org/", "https://news.example.net/a")),
            "$referring_domain": chance.choice(("$direct", "www.example.org")),
            "$screen_width": chance.choice((1440, 1920, 390)),
            "$screen_height": chance.choice((900, 1080)),
            "$device_type": "Desktop",
            "$lib": "web",
            "$lib_version": "1.130.2",
            "$session_id": str(uuid.UUID(int=chance.getrandbits(128))),
            "$window_id": str(uuid.UUID(int=chance.getrandbits(128))),
            "$ip": f"10.0.{chance.randrange(255)}.{chance.randrange(255)}",
            "$geoip_country_code": chance.choice(("DE", "US", "FR")),
            "$time": 1735689600.123 + number,
            "$insert_id": f"{chance.getrandbits(60):x}",
            "plan": chance.choice(("free", "pro", "team")),
            "$active_feature_flags": ["new-editor", "dark-mode"],
            "$user_agent": "Mozilla/5.0 (Macintosh) AppleWebKit/537.36",
        }
        if number % 3 == 0:
            amount = {"amount": round(chance.random() * 100, 2), "currency": "EUR", "items": [1, 2, 3], "coupon": None}
            properties |= {**amount, "is_trial": chance.random() < 0.5, "context": {"a": {"b": 1}}}
        if number % 4 == 0:
            properties |= {"feature": chance.choice("abcdef"), "label": "Größe", "count": number, "variant": "x"}
        if number % 20 == 0:
            properties["note"] = 'said "hi"\n there'
        event = {
            "event": chance.choice(NAMES),
            "distinct_id": f"user-{person}",
            "timestamp": START + timedelta(days=DAYS) * (number / count),
            "properties": properties,
            "person_properties": {
                "email": f"u{person}@example.com",
                "plan": chance.choice(("free", "pro")),
                "country": "DE",
                "created": "2023-05-06T00:00:00Z",
                "seats": person % 7,
                "name": f"User {person}",
            },
        }
        yield {"uuid": str(uuid.UUID(int=chance.getrandbits(128))), **event} if with_uuid else event


def generate(path: Path, count: int, *, with_uuid: bool) -> None:
    """Write the events, unless an earlier run did."""
    if path.exists():
        return
    encoder, lines = msgspec.json.Encoder(), []
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        for event in events(count, with_uuid=with_uuid):
            lines.append(encoder.encode(event))
            if len(lines) == BATCH:
                file.write(b"\n".join(lines) + b"\n")
                lines.clear()
        file.write(b"".join(line + b"\n" for line in lines))
    unfinished.rename(path)


def measure(path: Path, directory: Path) -> dict[str, float]:
    """Import the file into a new store in this process."""
    shutil.rmtree(directory, ignore_errors=True)
    store = EventStore.create(directory)
    begun = time.perf_counter()
    report = store.import_events([path])
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "events": report.stored,
        "seconds": round(seconds, 1),
        "events_per_s": round(report.stored / seconds),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_rss_mib": used.ru_maxrss >> (20 if sys.platform == "darwin" else 10),
        "input_mb": round(path.stat().st_size / 1e6),
        "stored_mb": round(sum(file.size_bytes for file in store.manifest().files) / 1e6),
        "load_before": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Generate, then measure in a fresh process, whose memory is the import's alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path, default=Path("bench-data"))
    parser.add_argument("--no-uuid", action="store_true")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    if options.measure:
        print(json.dumps(measure(options.measure, options.directory / "import-store")))
        return
    path = options.directory / f"events-{options.events}{'-no-uuid' if options.no_uuid else ''}.jsonl"
    generate(path, options.events, with_uuid=not options.no_uuid)
    subprocess.run([sys.executable, __file__, "--directory", options.directory, "--measure", path], check=True)


if __name__ == "__main__":
    main()
