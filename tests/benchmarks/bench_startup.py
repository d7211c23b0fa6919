"""Start-up of `--version` and `--help` against an empty click program.

Run it from the repository root: `python tests/benchmarks/bench_startup.py [ROUNDS]`. The programs take turns, so that a
slow moment of the machine hits all of them; each ratio compares medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

EMPTY = "import click; click.version_option('0.1.0')(click.command()(lambda: None))()"
OURS = "import sys; from posthog_events.cli.main import main; sys.exit(main())"

PROGRAMS: dict[str, Sequence[str]] = {
    "python alone": ("-c", "pass"),
    "empty click --version": ("-c", EMPTY, "--version"),
    "posthog-events --version": ("-c", OURS, "--version"),
    "empty click --help": ("-c", EMPTY, "--help"),
    "posthog-events --help": ("-c", OURS, "--help"),
}
AIMS = {"--version": 1.3, "--help": 1.5}


def seconds(arguments: Sequence[str]) -> float:
    """Return the wall time of one run."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, float]:
    """Return the median wall time in seconds of each program, after one round that warms the caches."""
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(rounds + 1):
        for name, arguments in PROGRAMS.items():
            taken = seconds(arguments)
            if number:
                times[name].append(taken)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print the medians, and the ratios with their aims."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    medians = measure(rounds)
    print(f"median of {rounds} alternating runs")
    for name, value in medians.items():
        print(f"  {name:26} {value * 1000:7.1f} ms")
    for flag, aim in AIMS.items():
        ratio = medians[f"posthog-events {flag}"] / medians[f"empty click {flag}"]
        print(f"  {flag:26} {ratio:7.2f} x  (aim: at most {aim} x)")


if __name__ == "__main__":
    main()
