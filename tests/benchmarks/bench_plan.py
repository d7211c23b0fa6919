"""Planning many destinations: how many requests, and how long.

    python tests/benchmarks/bench_plan.py --count 500 --changed 10

An emulated PostHog on this machine holds `--count` destinations of ours and as many that people made, and `--count` are
declared: half of them webhooks with a secret header, a quarter signed ones, a quarter Slack by webhook, over
`--secrets` different secrets. Prints one line of JSON for each measurement: `unchanged` finds nothing to do, `changed`
finds `--changed` differences, `saved` is to write and read the plan, `reading` reads the declarations from files. All
times are seconds of the wall's clock; `requests` are those of the client, `listing_s` is what PostHog took of the time.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from posthog_events.destinations import Destination, Secrets, Slack, Webhook, body_of, read_declarations, yaml_of
from posthog_events.destinations.manager import Destinations
from posthog_events.destinations.plan_file import load_plan, save_plan
from posthog_events.emulator.world import Limits
from posthog_events.posthog.client import ApiClient
from posthog_events.posthog.hog_functions import create_function, list_functions
from posthog_events.posthog.host import parse_host
from posthog_events.testing import emulator
from tests.helpers.destination_world import Cutting

MAX_REQUESTS = 10


def declared(count: int, secrets: int) -> list[Destination]:
    """Return declarations of several kinds."""
    made: list[Destination] = []
    for number in range(count):
        common: dict[str, Any] = {
            "key": f"d{number}",
            "events": [f"event {number}", {"event": "purchase", "where": ["amount >= 100", "plan in [a, b]"]}],
            "where": ["person.email not_icontains @example.com"],
            "once_per": {"key": "person", "interval": "1h"},
        }
        secret = f"${{env:KEY{number % secrets}}}"
        url = f"https://crm.example.com/hooks/{number}"
        if number % 4 == 3:
            message = "*{event.event}* by {person.name ?? event.distinct_id}"
            made.append(Slack(f"Chat {number}", webhook_url=secret.replace("KEY", "SLACK"), message=message, **common))
        elif number % 4 == 2:
            made.append(Webhook(f"Signed {number}", url=url, signing_secret=secret.replace("KEY", "SIGN"), **common))
        else:
            made.append(Webhook(f"Crm {number}", url=url, headers={"X-Crm": secret}, **common))
    return made


def environ(secrets: int) -> dict[str, str]:
    """Return the secrets."""
    return {
        f"{kind}{number}": value
        for number in range(secrets)
        for kind, value in (
            ("KEY", f"key-{number}"),
            ("SIGN", "whsec_c2VjcmV0"),
            ("SLACK", f"https://hooks.slack.com/services/T0/B0/{number}"),
        )
    }


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """Run an action and return its result and how long it took."""
    begun = time.perf_counter()
    result = action()
    return result, round(time.perf_counter() - begun, 3)


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--changed", type=int, default=10)
    parser.add_argument("--secrets", type=int, default=10, help="different secrets of each of three kinds")
    parser.add_argument("--profile", action="store_true", help="print where the time of an unchanged plan goes")
    options = parser.parse_args()
    facts = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "count": options.count,
        "different_secrets": 3 * options.secrets,
    }
    wanted, values = declared(options.count, options.secrets), environ(options.secrets)
    with emulator(limits=Limits(rates={})) as served, tempfile.TemporaryDirectory() as folder:
        api = ApiClient(parse_host(served.url), served.project_id, served.key)
        found = Secrets.find(wanted, environ=values)
        for one in wanted:
            body = body_of(one, found)
            create_function(api, body)
            create_function(api, {**body, "description": "by hand"})
        changed = [replace(one, name="New") if at < options.changed else one for at, one in enumerate(wanted)]

        def plan(these: list[Destination]) -> dict[str, Any]:
            counting = Cutting(api)
            made, seconds = timed(lambda: Destinations(counting, environ=values).plan(these))
            assert len(counting.sent) <= MAX_REQUESTS, len(counting.sent)
            return {"plan": made, "plan_s": seconds, "requests": len(counting.sent), "result": made.summary}

        _, listing_s = timed(lambda: list_functions(api))
        _, stretching_s = timed(lambda: [Secrets.find([one], environ=values) for one in wanted[:1]])
        fresh = Secrets.find(wanted, environ=values)
        _, stretching_s = timed(lambda: [fresh.fingerprint(one) for one in wanted])
        for name, these in (("unchanged", wanted), ("changed", changed)):
            result = plan(these)
            made = result.pop("plan")
            print(json.dumps({"measured": name, **facts, **result, "listing_s": listing_s, "secrets_s": stretching_s}))
        path = Path(folder) / "plan.json"
        _, save_s = timed(lambda: save_plan(made, path))
        read, load_s = timed(lambda: load_plan(path))
        assert read == made
        print(
            json.dumps({"measured": "saved", **facts, "save_s": save_s, "load_s": load_s, "bytes": path.stat().st_size})
        )
        files = Path(folder) / "declarations"
        files.mkdir()
        for one in wanted:
            (files / f"{one.key}.yaml").write_text(yaml_of([one]))
        again, read_s = timed(lambda: read_declarations([files]))
        assert len(wanted) == len(again)
        print(json.dumps({"measured": "reading", **facts, "read_s": read_s}))
        if options.profile:
            profiler = cProfile.Profile()
            profiler.runcall(plan, wanted)
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(40)


if __name__ == "__main__":
    main()
