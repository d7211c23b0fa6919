"""`posthog-events destinations init`, `pull` and `schema`: declarations as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from posthog_events.cli.destinations.options import FOLDER, find_rows, say_note
from posthog_events.cli.options import Target, project_options

if TYPE_CHECKING:
    from posthog_events.destinations.pulling import Pulled

__all__ = ["init", "pull", "schema"]

folder_option = click.option(
    "--out",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    show_default=True,
    help="Write the files into this folder.",
)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@folder_option
def init(names: Sequence[str], folder: Path) -> None:
    """Copy declarations of the shipped library, or list them.

    The comments in a file say what to change in it. Files that are there already stay as they are.

    \b
    Example: posthog-events destinations init signup-slack
    """
    from posthog_events.destinations.library import list_library, load_library

    if not names:
        shipped = list_library()
        width = max(len(file.name) for file in shipped)
        for file in shipped:
            click.echo(f"{file.name:<{width}}  {file.title}")
        return
    files = [load_library(name) for name in dict.fromkeys(names)]
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = folder / file.path.name
        try:
            # x: what is there was changed by somebody
            with path.open("x", encoding="utf-8") as copy:
                copy.write(file.text)
        except FileExistsError:
            click.echo(f"left {path} as it was")
        else:
            click.echo(f"wrote {path}")
    click.echo(
        f"Next: change what the comments name, then `posthog-events destinations simulate {folder} --since -7d`",
        err=True,
    )


@click.command()
@click.argument("names", nargs=-1, metavar="[KEY|ID]...")
@click.option("--all", "everything", is_flag=True, help="Pull every destination of the project.")
@folder_option
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
@project_options
def pull(names: Sequence[str], everything: bool, folder: Path, overwrite: bool, target: Target) -> None:
    """Write destinations of the project as declarations.

    Secrets become references, and what has to be set before they are applied is said. To let `apply` manage a
    destination that was not, name it once: `plan --adopt KEY=ID`.

    \b
    Example: posthog-events destinations pull --all --out pulled
    """
    from posthog_events.destinations import pulling, read_declarations

    if bool(names) == everything:
        raise click.UsageError("say which: KEYs or IDs (`destinations list` shows them), or --all.")
    taken = [one.key for one in read_declarations([folder])] if folder.is_dir() else []
    with target.connect() as connection:
        found = connection.destinations
        rows = found.rows() if everything else find_rows(found, tuple(dict.fromkeys(names)))
    pulled = pulling.pull(rows, taken_keys=taken)
    report = pulling.write_pulled(pulled, folder, overwrite=overwrite)
    for path in report.written:
        click.echo(f"wrote {path}")
    for path in report.kept:
        click.echo(f"left {path} as it was; --overwrite replaces it", err=True)
    for one in report.left:
        click.echo(f"left out {one.name} ({one.id}): {_why(one)}", err=True)
    for variable in report.variables:
        say_note(f"to be set before it is applied: {variable}")
    if impossible := [one for one in report.left if one.destination is None and not everything]:
        raise click.ClickException(
            f"{len(impossible)} of {len(rows)} cannot be declared; "
            f"`posthog-events destinations show {impossible[0].id} --raw` shows what PostHog has"
        )


def _why(one: Pulled) -> str:
    return "; ".join(one.reasons) or f"it is declared already, as {one.key}"


@click.command()
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to this file.",
)
def schema(output: Path | None) -> None:
    """Print the JSON Schema of declarations, for editors.

    An editor with a YAML language server completes and checks a file whose first line refers to the schema.

    \b
    Example: posthog-events destinations schema --output destination.schema.json
    """
    from posthog_events.destinations.schema import json_schema
    from posthog_events.frames.output import write_file

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        write_file(text.encode(), output)
        click.echo(f"wrote {output}", err=True)
    name = output.name if output is not None else "destination.schema.json"
    click.echo(f"The first line of a declaration beside it: # yaml-language-server: $schema={name}", err=True)
