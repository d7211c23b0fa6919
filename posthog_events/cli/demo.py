"""`posthog-events demo`: an example store, and five questions that it answers with commands to repeat."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

__all__ = ["STEPS", "Step", "demo"]

MARKER = ".posthog-events-demo"
"""A file in the stores that this command made: no other store is ever rebuilt."""

RANGE = ("-p", "since=2026-03-01", "-p", "until=2026-06-01")


@dataclass(frozen=True, slots=True)
class Step:
    """One question, and the arguments of `posthog-events query run` that answer it."""

    question: str
    arguments: tuple[str, ...]


STEPS: tuple[Step, ...] = (
    Step(
        "Where do new users come from?",
        ("signups_by_referrer", *RANGE, "--chart"),
    ),
    Step(
        "How far do people get from the first visit to a subscription, and how long does it take?",
        (
            "funnel",
            "-p",
            "steps=$pageview,user_signed_up,project_created,subscription_started",
            "-p",
            "window=30d",
            *RANGE,
            "--chart",
        ),
    ),
    Step(
        "Do people stay? The share of each week's new users who come back.",
        (
            "retention",
            "-p",
            "start=user_signed_up",
            "-p",
            "come_back=feature_used",
            "-p",
            "periods=5",
            *RANGE,
            "--rows",
            "12",
            "--chart",
        ),
    ),
    Step(
        "Which features do the plans use?",
        ("feature_adoption_by_plan", *RANGE, "--rows", "12", "--chart"),
    ),
    Step(
        "What do they pay, month by month?",
        ("revenue_by_period", *RANGE, "--chart"),
    ),
)


@click.command()
@click.option(
    "--store",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default="demo-events",
    show_default=True,
    help="Build the example store in this directory.",
)
@click.option("--fresh", is_flag=True, help="Build the example store anew, even when it is there.")
@click.pass_context
def demo(context: click.Context, store: Path, fresh: bool) -> None:
    """Build an example store and walk through five questions.

    The store holds three months of a made-up product, the same on every machine. It stays, to be queried further.

    \b
    Example: posthog-events demo --store demo-events
    """
    prepare(store, fresh=fresh)
    for number, step in enumerate(STEPS, 1):
        walk(context, number, step, store)
    click.echo(f"\nThe store stays in {store}. See what else there is to ask: posthog-events query list", err=True)


def prepare(store: Path, *, fresh: bool) -> None:
    """Make sure that there is a complete example store at `store`."""
    if store.exists() and any(store.iterdir()) and not (store / MARKER).is_file():
        raise click.UsageError(f"{store} is there, and this command did not make it; choose another --store.")
    if (store / MARKER).is_file() and not fresh:
        return
    from posthog_events.demo import build_demo

    store.parent.mkdir(parents=True, exist_ok=True)
    # beside its place first: a store that is there is complete, wherever the building stops
    with tempfile.TemporaryDirectory(prefix=f".{store.name}-", dir=store.parent) as folder:
        built = Path(folder) / store.name
        report = build_demo(built, progress=lambda sentence: click.echo(f"{sentence} ...", err=True))
        (built / MARKER).write_text("made by: posthog-events demo\n", encoding="utf-8")
        shutil.rmtree(store, ignore_errors=True)
        built.rename(store)
    click.echo(f"{report.events:,} events of {report.people:,} people in {store}", err=True)


def walk(context: click.Context, number: int, step: Step, store: Path) -> None:
    """Show a step's question and command line, and run that command line."""
    from posthog_events.cli.query import run

    arguments = [step.arguments[0], "--store", str(store), *step.arguments[1:]]
    click.echo(f"\n{number}. {step.question}\n\n$ posthog-events query run {shlex.join(arguments)}\n")
    # a terminal gets tables anyway; whoever keeps the walk in a file is to read it too
    shown = arguments if sys.stdout.isatty() else [*arguments, "--format", "table"]
    with run.make_context("run", shown, parent=context) as child:
        run.invoke(child)
