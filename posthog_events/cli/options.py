"""Options that several commands share: one decorator each, which hands the command one value."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from posthog_events.config import DEFAULT_STORE, Settings, load_settings, store_dsn, user_file
from posthog_events.frames.chart_file import ENDINGS as CHART_ENDINGS
from posthog_events.frames.output import FORMATS, Format

if TYPE_CHECKING:
    from posthog_events.connection import Connection
    from posthog_events.result import Value

__all__ = [
    "FORMATS",
    "TERMINAL",
    "Format",
    "Output",
    "Target",
    "chart_option",
    "engine_options",
    "inline_values",
    "local_store_option",
    "named_values",
    "output_options",
    "posthog_options",
    "project_options",
    "properties_option",
    "report_option",
]

TERMINAL = Path("-")
"""Where a chart goes when --chart names no file."""

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """Where queries run, and where query files are looked for."""

    settings: Settings
    fresh: bool = False
    asynchronous: bool = False
    max_wait_s: float | None = None

    @contextmanager
    def connect(self, *, unlimited: bool = False) -> Iterator[Connection]:
        """Lend the engine; `unlimited` lifts PostHog's row limits, and waits for PostHog's are shown meanwhile."""
        from posthog_events.cli.moments import clock
        from posthog_events.cli.waiting import watching
        from posthog_events.connection import open_connection
        from posthog_events.limits import POSTHOG_ROWS, UNLIMITED_ROWS

        settings = self.settings
        with (
            watching() as observer,
            open_connection(
                settings,
                timezone=settings.timezone.value if settings.timezone else None,
                row_limits=UNLIMITED_ROWS if unlimited else POSTHOG_ROWS,
                fresh=self.fresh,
                asynchronous=self.asynchronous,
                max_wait_s=self.max_wait_s,
                observer=observer,
                clock=clock,
            ) as connection,
        ):
            yield connection


@dataclass(frozen=True, slots=True)
class Output:
    """How and where a result is written.

    Args:
        format: As asked for; None: decided by the file's name, or by whether stdout is a terminal.
        path: The file; None: stdout.
        rows: How many rows a table shows; None: the table's own default. Other formats hold every row.
    """

    format: Format | None = None
    path: Path | None = None
    rows: int | None = None


def queries_option(command: Command) -> Command:
    """Add --queries."""
    return click.option(
        "--queries",
        metavar="DIR",
        multiple=True,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Look for query files here first (may be given several times).",
    )(command)


def settings_from(
    *,
    dsn: str | None = None,
    timezone: str | None = None,
    queries: Sequence[Path] = (),
    profile: str | None = None,
) -> Settings:
    """Complete the options given with the environment and the settings files."""
    return load_settings(
        arguments={"dsn": dsn, "timezone": timezone, "queries": queries, "profile": profile},
        environ=os.environ,
        directory=Path(),
        user=user_file(),
    )


def project_settings(*, dsn: str | None = None, **options: Any) -> Settings:
    """As `settings_from`, for PostHog, whatever other engine the settings name."""
    settings = settings_from(dsn=dsn, **options)
    if settings.dsn is not None and settings.dsn.value.startswith("posthog://"):
        return settings
    if dsn is not None:
        raise click.UsageError("this is for PostHog: --dsn begins with posthog://, as in posthog://eu/12345.")
    return settings_from(dsn="posthog://", **options)


def search_folders(settings: Settings) -> tuple[Path, ...]:
    """Return where query files are looked for: folders of the call, ./queries, configured folders, the library."""
    from posthog_events.queryfiles import search_path

    folders = settings.queries.value
    return (*folders, *search_path()) if settings.queries.source == "argument" else search_path(folders)


def engine_options(command: Command) -> Command:
    """Add --dsn, --engine, --store, --profile, --timezone, --queries and what PostHog needs; hands over a `target`."""

    @click.option("--dsn", help="Query this engine: chdb://DIR, clickhouse://user@host/database, posthog://eu/PROJECT.")
    @click.option(
        "--engine",
        type=click.Choice(["local", "posthog"]),
        help="Query the local store, or the PostHog project of your settings.",
    )
    @click.option(
        "--store",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Query the local store in this directory (./events when it is there).",
    )
    @click.option("--timezone", metavar="ZONE", help="Begin days in this IANA time zone, such as Europe/Berlin.")
    @click.option("--fresh", is_flag=True, help="PostHog: compute the answer now, instead of taking a cached one.")
    @click.option("--async", "asynchronous", is_flag=True, help="PostHog: queue the query, for one that runs long.")
    @queries_option
    @posthog_options
    @functools.wraps(command)
    def wrapper(
        *args: Any,
        dsn: str | None,
        engine: str | None,
        store: Path | None,
        timezone: str | None,
        fresh: bool,
        asynchronous: bool,
        queries: Sequence[Path],
        profile: str | None,
        max_wait_s: float | None,
        **kwargs: Any,
    ) -> Any:
        if sum(map(bool, (dsn, engine == "posthog" or None, store))) > 1 or (dsn and engine):
            raise click.UsageError(
                "--dsn and --store both say where the events are, as --engine does: give one of them."
            )
        if store or engine == "local":
            dsn = store_dsn(store or DEFAULT_STORE)
        find = project_settings if engine == "posthog" else settings_from
        settings = find(dsn=dsn, timezone=timezone, queries=queries, profile=profile)
        target = Target(settings, fresh=fresh, asynchronous=asynchronous, max_wait_s=max_wait_s)
        return command(*args, target=target, **kwargs)

    return cast(Command, wrapper)


def posthog_options(command: Command) -> Command:
    """Add --profile and --max-wait; the command receives `profile` and `max_wait_s`."""
    command = click.option(
        "--max-wait",
        "max_wait_s",
        metavar="SECONDS",
        type=click.FloatRange(min=0),
        help="PostHog: wait at most so long for a rate limit, then leave with exit code 5.",
    )(command)
    return click.option("--profile", metavar="NAME", help="PostHog: use this profile of your settings files.")(command)


def project_options(command: Command) -> Command:
    """Add --dsn, --profile and --max-wait for commands that speak to PostHog; hands over a `target`."""

    @click.option("--dsn", help="The project: posthog://eu/PROJECT (else POSTHOG_HOST and POSTHOG_PROJECT_ID).")
    @posthog_options
    @functools.wraps(command)
    def wrapper(*args: Any, dsn: str | None, profile: str | None, max_wait_s: float | None, **kwargs: Any) -> Any:
        settings = project_settings(dsn=dsn, profile=profile)
        return command(*args, target=Target(settings, max_wait_s=max_wait_s), **kwargs)

    return cast(Command, wrapper)


def local_store_option(help_: str) -> Callable[[Command], Command]:
    """Add --store, for commands about a store itself; the command receives a `directory`."""
    return click.option(
        "--store",
        "directory",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(DEFAULT_STORE),
        show_default=True,
        metavar="DIR",
        help=help_,
    )


def properties_option(command: Command) -> Command:
    """Add -p; the command receives `properties`, whose values are JSON, or else text."""
    return click.option(
        "-p",
        "--property",
        "properties",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_named_json,
        help="A property; numbers, true, false, null and JSON are read as such (may be given several times).",
    )(command)


def report_option(help_: str, choices: Sequence[str] = ("text", "json")) -> Callable[[Command], Command]:
    """Add --format for commands that write a report and no rows; the command receives `format_`, text by default."""
    return click.option(
        "--format", "format_", type=click.Choice(choices), default="text", show_default=True, help=help_
    )


def output_options(command: Command) -> Command:
    """Add --format, --output and --rows; the command receives an `output`."""

    @click.option(
        "--format",
        "format_",
        type=click.Choice(FORMATS),
        help="Write this format: a table on a terminal and JSON Lines in a pipe unless told otherwise.",
    )
    @click.option(
        "-o",
        "--output",
        "path",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write to this file, in the format of its ending; - is stdout.",
    )
    @click.option("--rows", type=click.IntRange(min=1), metavar="N", help="Show N rows of a table (20 on a terminal).")
    @functools.wraps(command)
    def wrapper(*args: Any, format_: Format | None, path: Path | None, rows: int | None, **kwargs: Any) -> Any:
        file = None if path is None or str(path) == "-" else path
        return command(*args, output=Output(format_, file, rows), **kwargs)

    return cast(Command, wrapper)


def chart_option(command: Command) -> Command:
    """Add --chart; the command receives a `chart`: a file, TERMINAL when the option stands without one, or None."""

    def check(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
        if value is None or value == str(TERMINAL) or value.lower().endswith(CHART_ENDINGS):
            return None if value is None else Path(value)
        raise click.BadParameter(
            f"{value!r} is no chart file ({', '.join(CHART_ENDINGS)}). To draw in the terminal, put --chart last.",
            context,
            parameter,
        )

    return click.option(
        "--chart",
        metavar="[FILE]",
        is_flag=False,
        flag_value=str(TERMINAL),
        callback=check,
        help="Draw a chart too: below the table, or into a .png, .svg or .html file.",
    )(command)


def named_values(
    context: click.Context, parameter: click.Parameter, pairs: Sequence[str]
) -> Mapping[str, str | list[str]]:
    """Read `name=value` options; a name given twice becomes a list."""
    values: dict[str, str | list[str]] = {}
    for name, value in _pairs(context, parameter, pairs, example="since=-7d"):
        earlier = values.get(name)
        if earlier is None:
            values[name] = value
        else:
            values[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
    return values


def _named_json(context: click.Context, parameter: click.Parameter, pairs: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` options whose values are JSON, or else text; of a name given twice the last one counts."""
    return {name: _json_or_text(value) for name, value in _pairs(context, parameter, pairs, example="amount=20")}


def _pairs(
    context: click.Context, parameter: click.Parameter, pairs: Sequence[str], *, example: str
) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE, such as {example}", context, parameter)
        yield name, value


def inline_values(values: Mapping[str, str | list[str]]) -> dict[str, Value]:
    """Give text its obvious type for HogQL that declares none: `3`, `2.5`, `true`, `null`, `["a"]`; the rest is text.

    A text that looks like a number is written as JSON does: `who="42"`, quotes included.
    """
    return {
        name: [_typed(item) for item in value] if isinstance(value, list) else _typed(value)
        for name, value in values.items()
    }


def _typed(text: str) -> Value:
    value: Value = _json_or_text(text)
    return text if isinstance(value, dict) else value


def _json_or_text(text: str) -> Any:
    """Return the JSON that `text` is, else the text; NaN and Infinity are words."""
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text
