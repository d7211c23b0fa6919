"""When a CSV column is a number."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from posthog_events.clickhouse.store.cells import csv_cells


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-20", "0"], "number"),
        (["29.33", "12.00", "5.10"], "number"),
        (["1.5", "2", "0.25"], "number"),
        (["1", "", "3"], "number"),
        (["01234", "99999"], "text"),
        (["1.9", "1.10"], "text"),
        (["1e5", "2"], "text"),
        (["1234567890123456", "1"], "text"),
        (["+1", "2"], "text"),
        (["1", "one"], "text"),
        (["true", "false", ""], "boolean"),
        (["True", "False"], "boolean"),
        (["true", "False"], "text"),
        (["", ""], "text"),
    ],
    ids=str,
)
def test_kind_of_a_column(tmp_path: Path, cells: list[str], kind: str) -> None:
    """Every filled cell has to agree, also when they come in several parts."""
    parts = []
    for number, cell in enumerate(cells):
        parts.append(tmp_path / f"{number}.parquet")
        pl.DataFrame({"c": [cell]}, schema={"c": pl.String}).write_parquet(parts[-1])
    assert {"c": kind} == csv_cells(parts, ["c"])
    pl.DataFrame({"c": cells}, schema={"c": pl.String}).write_parquet(parts[0])
    assert {"c": kind} == csv_cells(parts[:1], ["c"])
