"""`posthog-events config`: what is set, and where."""

from __future__ import annotations

import re
from pathlib import Path

import click

from posthog_events.cli.options import Output, output_options, settings_from
from posthog_events.config import VARIABLES, Setting

__all__ = ["config"]

SECRETS = frozenset({"key", "password"})

KEY = re.compile(r"ph[xasr]_")
"""Keys that open something; one can stand in the wrong variable."""

PASSWORD = re.compile(r"(://[^:/@]*:).*@")
"""Of a DSN or an address."""


@click.group()
def config() -> None:
    """Show the settings in use."""


@config.command()
@click.option("--profile", metavar="NAME", help="Show what this profile of the settings files comes to.")
@output_options
def show(profile: str | None, output: Output) -> None:
    """Show each setting, its value and where it comes from; secrets are never shown.

    \b
    Example: posthog-events config show
    """
    import polars as pl

    from posthog_events.cli.output import write_rows

    settings = settings_from(profile=profile)
    rows: list[tuple[str, str | None, str]] = []
    for name, variable in VARIABLES.items():
        setting: Setting[object] | None = getattr(settings, name)
        if setting is None or setting.value in ("", ()):
            rows.append((name, None, f"not set ({variable})"))
        else:
            rows.append((name, _shown(name, setting.value), setting.source))
    limits = ", ".join(f"{name} {value}" for name, value in settings.limits.value.items())
    rows.append(("limits", limits or None, settings.limits.source if limits else "PostHog's usual"))
    schema = {"setting": pl.String, "value": pl.String, "source": pl.String}
    write_rows(pl.DataFrame(rows, schema=schema, orient="row"), output)


def _shown(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(Path(item)) for item in value)
    text = str(value)
    if KEY.match(text):
        return f"{text[:4]}... ({len(text)} characters)"
    return "(set)" if name in SECRETS else PASSWORD.sub(r"\1...@", text)
