"""The parser beside the PostHog SDK, which is another package of the same name. Each case is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PARSE = (
    "from posthog_events.hogql.loader import load_grammar\n"
    "assert 'SelectQuery' in load_grammar().parse_select_json('SELECT 1')\n"
    "assert '\"error\"' in load_grammar().parse_select_json('SELEC 1')\n"
)
USE_SDK = (
    "import posthog, posthog.client\n"
    "assert 'captured x' == posthog.capture('x') == posthog.client.Client().capture('x')\n"
)
NO_STAND_INS = (
    "import sys\n"
    "assert 'posthog.hogql' not in sys.modules and 'posthog.hogql.errors' not in sys.modules, 'a stand-in was left'\n"
)


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    """Return a path that holds a package like PostHog's SDK."""
    package = tmp_path / "site" / "posthog"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from posthog.client import Client\ncapture = Client().capture\n")
    (package / "client.py").write_text(
        "class Client:\n    def capture(self, name):\n        return f'captured {name}'\n"
    )
    return package.parent


def run(script: str, *paths: Path) -> str:
    """Run a script with more import paths and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT)))}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_parser_loads_without_the_sdk() -> None:
    """Nothing named posthog needs to be installed, and nothing of that name stays behind."""
    run(f"{PARSE}{NO_STAND_INS}assert 'posthog' not in sys.modules")


def test_parser_leaves_an_installed_sdk_alone(sdk: Path) -> None:
    """An SDK that nobody imported is not imported by the parser either."""
    run(f"{PARSE}{NO_STAND_INS}assert 'posthog' not in sys.modules", sdk)


def test_sdk_imported_before_stays_usable(sdk: Path) -> None:
    """The module that the program already holds is the one it keeps."""
    run(
        f"{USE_SDK}before = posthog\n{PARSE}{NO_STAND_INS}assert sys.modules['posthog'] is before\n{USE_SDK}{PARSE}",
        sdk,
    )


def test_sdk_imported_after_is_the_real_one(sdk: Path) -> None:
    """The stand-in does not hide the SDK, and the parser goes on without its stand-ins."""
    run(f"{PARSE}{NO_STAND_INS}{USE_SDK}{PARSE}", sdk)


def test_missing_parser_names_the_extra(tmp_path: Path) -> None:
    """Without hogql-parser the error says what to install, and leaves no stand-in."""
    script = (
        "import sys\n"
        "sys.modules['hogql_parser'] = None\n"
        "from posthog_events.errors import MissingExtra\n"
        "from posthog_events.hogql.parser import parse_select\n"
        "try:\n    parse_select('SELECT 1')\n"
        "except MissingExtra as error:\n    print(error)\n"
        f"{NO_STAND_INS}assert 'posthog' not in sys.modules"
    )

    assert 'HogQL needs more packages. Install them with: pip install "posthog-events[local]"\n' == run(script)


def test_parser_is_imported_once() -> None:
    """Every caller gets the same grammar."""
    run("from posthog_events.hogql.loader import load_grammar\nassert load_grammar() is load_grammar()")
