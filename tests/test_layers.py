"""Imports point down, and heavy packages are imported where they are used."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "posthog_events"

# From the top down: what stands in one line may import its own line and the lines below it.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"cli", "__main__"}),
    frozenset({"testing"}),
    frozenset({"emulator"}),
    frozenset({"demo"}),
    frozenset({"doctor"}),
    frozenset({"receiver"}),
    frozenset({"connection"}),
    frozenset({"destinations"}),
    frozenset({"posthog"}),
    frozenset({"clickhouse"}),
    frozenset({"queryfiles"}),
    frozenset({"hog"}),
    frozenset({"hogql"}),
    frozenset({"frames"}),
    frozenset(
        {"result", "config", "config_file", "errors", "limits", "causes", "clock", "interrupt", "listening", "version"}
    ),
)
HEAVY = {
    "altair",
    "chdb",
    "clickhouse_connect",
    "duckdb",
    "hogql_parser",
    "jinja2",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "prometheus_client",
    "psycopg",
    "pydantic",
    "requests",
    "rich",
    "ruamel",
    "starlette",
    "tenacity",
    "uvicorn",
    "vcr",
    "vl_convert",
}
# These are themselves imported inside the functions that need them: frames are made of polars, and a subclass of
# Jinja's sandbox cannot be written without Jinja.
MAY_IMPORT = {
    "emulator": {"polars", "starlette", "uvicorn"},
    "frames": {"polars"},
    "queryfiles/environment.py": {"jinja2"},
    "queryfiles/template.py": {"jinja2"},
}

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_library" not in path.parts)
IDS = [str(path.relative_to(PACKAGE)) for path in MODULES]


def noun(path: Path) -> str:
    """Return the folder or file of the package that a module belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def layer(name: str) -> int:
    """Return the position of a noun in LAYERS; a new noun must be given its place there."""
    return next(number for number, nouns in enumerate(LAYERS) if name in nouns)


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every module name that the code imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def eager_imports(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the imports that run when the module is imported, those under TYPE_CHECKING left out."""
    for node in body:
        if isinstance(node, ast.If):
            if "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from eager_imports(node.body)
            yield from eager_imports(node.orelse)
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            yield from eager_imports(node.body)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)


def own(names: Iterator[str]) -> set[str]:
    """Return the nouns of this package among imported names; the package itself is the empty noun."""
    parts = [name.split(".") for name in names]
    found = {part[1] for part in parts if part[0] == PACKAGE.name and len(part) > 1}
    known = {name for nouns in LAYERS for name in nouns}
    return {
        name if name in known or (PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists() else ""
        for name in found
    }


# the public API, in __init__.py, names things of every layer
@pytest.mark.parametrize("path", MODULES[1:], ids=IDS[1:])
def test_imports_point_down(path: Path) -> None:
    """A module imports only from its own layer and from those below it."""
    here = layer(noun(path))

    used = own(imports(ast.parse(path.read_text(encoding="utf-8"))))
    upward = {name for name in used if (layer(name) < here if name else here > layer("cli"))}

    assert set() == upward


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_heavy_packages_are_not_imported_with_a_module(path: Path) -> None:
    """No module imports a heavy package when it is imported itself, but for the few that consist of one."""
    name = path.relative_to(PACKAGE).as_posix()
    allowed = MAY_IMPORT.get(name, set()) | MAY_IMPORT.get(noun(path), set())

    eager = {name.split(".")[0] for name in eager_imports(ast.parse(path.read_text(encoding="utf-8")).body)}

    assert set() == (eager & HEAVY) - allowed


def test_errors_and_limits_know_nothing_of_the_package() -> None:
    """The lowest files can be read, and imported, alone."""
    for name in ("errors", "limits"):
        tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))

        assert set() == own(imports(tree)), name


@pytest.mark.parametrize(
    "code",
    [
        "import posthog_events; posthog_events.connect",
        "import posthog_events.queryfiles, posthog_events.clickhouse.client, posthog_events.clickhouse.store",
        "from posthog_events.cli.main import main; main(['--version'])",
        "from posthog_events.cli.main import main; main(['--help'])",
        "from posthog_events.cli.main import main; main(['query', 'run', '--help'])",
        "from posthog_events.cli.main import main; main(['local', 'import', '--help'])",
    ],
)
def test_help_loads_no_heavy_package(code: str) -> None:
    """Importing the package and reading its help stay cheap."""
    script = f"{code}\nimport json, sys; print(); print(json.dumps(sorted(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}

    assert set() == loaded & HEAVY


def test_importing_the_package_opens_no_file_socket_or_process() -> None:
    """An import has no side effects: only Python's own files of code are read."""
    script = (
        "import sys\n"
        "seen = []\n"
        "watched = {'open', 'socket.connect', 'subprocess.Popen'}\n"
        "sys.addaudithook(lambda name, args: seen.append(str(args[0])) if name in watched else None)\n"
        "import posthog_events\n"
        "print([path for path in seen if not path.endswith(('.py', '.pyc', '.so'))])\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)

    assert "[]" == done.stdout.strip()
