"""What happens without the optional packages, and that they are not loaded early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from posthog_events.clickhouse.client import Client
from posthog_events.errors import MissingExtra
from posthog_events.frames.chart_file import save_chart


@pytest.mark.parametrize(
    ("dsn", "package", "says"),
    [
        ("chdb://memory", "chdb", "The local engine needs"),
        ("chdb://memory", "clickhouse_connect", "The local engine needs"),
        ("clickhouse://127.0.0.1:1/", "clickhouse_connect", "A ClickHouse connection needs"),
    ],
)
def test_a_missing_engine_names_the_extra(dsn: str, package: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its packages an engine says what to install."""
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtra, match=says) as caught:
        Client.open(dsn)

    assert str(caught.value).endswith('pip install "posthog-events[local]"')


@pytest.mark.parametrize("package", ["altair", "vl_convert"])
def test_missing_chart_packages_name_the_extra(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without altair or vl-convert a chart file says what to install, and writes nothing."""
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtra, match=r"posthog-events\[reports\]"):
        save_chart(pl.DataFrame({"a": ["x"], "n": [1]}), tmp_path / "chart.png")

    assert [] == list(tmp_path.iterdir())


def test_heavy_packages_are_loaded_when_needed() -> None:
    """Importing the client and the output modules loads none of the heavy packages."""
    code = (
        "import sys, posthog_events.clickhouse.client, posthog_events.frames.output, posthog_events.frames.table, "
        "posthog_events.frames.markup, posthog_events.frames.chart_terminal, posthog_events.frames.chart_file; "
        "print(sorted({'polars', 'chdb', 'clickhouse_connect', 'pandas', 'pyarrow', 'altair', 'vl_convert', 'rich'} "
        "& sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert "[]\n" == done.stdout
