"""The wheel, as it is built and as it works without the repository around it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the backend that pip uses, without an environment of its own, so without a network."""
    pytest.importorskip("hatchling", reason="hatchling is in the dev extra")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


def test_wheel_holds_every_file_of_the_library(wheel: Path) -> None:
    """queries/ and destinations/ of the repository are in the wheel, byte for byte, and typing information too."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    shipped = [path for folder in ("queries", "destinations") for path in (ROOT / folder).rglob("*") if path.is_file()]

    assert [path for path in shipped if path.suffix == ".sql"]
    for path in shipped:
        assert path.read_bytes() == packed[f"posthog_events/_library/{path.relative_to(ROOT).as_posix()}"]
    assert "posthog_events/py.typed" in packed
    assert {name.split("/")[0] for name in packed if ".dist-info" not in name} == {"posthog_events"}


def test_wheel_works_away_from_the_repository(wheel: Path, tmp_path: Path) -> None:
    """Unpacked to any directory, the command finds the library in the package."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    empty = tmp_path / "empty"
    empty.mkdir()

    def command(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "posthog_events", *arguments],
            cwd=empty,
            env={**os.environ, "PYTHONPATH": str(site), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed, shown = command("query", "list", "--format", "csv").splitlines(), command("query", "show", "funnel")

    assert {path.stem for path in (ROOT / "queries").glob("*.sql")} == {line.split(",")[0] for line in listed[1:]}
    assert all(line.endswith(",shipped") for line in listed[1:])
    assert f"File {site}/posthog_events/_library/queries/funnel.sql" in shown
