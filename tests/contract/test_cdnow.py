"""Eighteen months of a real shop: every figure of the library beside the same figure from polars.

The dates have no time of day, and many customers order more than once on a date. By the definition in `funnel.sql`
events of one moment count one after the other, so the second order of a date is a second purchase, 0 seconds later.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from posthog_events.clickhouse.store import ColumnMapping, EventStore
from posthog_events.connection import Connection, connect
from tests.helpers.library_store import NOW

DATA = Path(__file__).parents[3] / "shared" / "data" / "cdnow_purchases.csv.gz"
ALL = {"since": "1997-01-01", "until": "1998-07-01"}
MONTHS = 18

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the CDNOW data is not there")


@pytest.fixture(scope="module")
def orders() -> pl.DataFrame:
    """The file, read by polars."""
    return pl.read_csv(DATA, schema_overrides={"customer_id": pl.String}, try_parse_dates=True)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    store = EventStore.create(tmp_path_factory.mktemp("cdnow") / "store", now=lambda: NOW)
    report = store.import_events([DATA], ColumnMapping(event="purchase", time="date", user="customer_id"))
    assert (69_659, 0, 0) == (report.stored, report.duplicates, report.rejected)
    with connect(f"chdb://{store.path}", clock=lambda: NOW) as opened:
        yield opened


def test_every_order_is_there(connection: Connection) -> None:
    """All 69,659 orders of 23,570 customers are kept, also those that share customer, date and price."""
    frame = connection.query("event_counts", **ALL)
    assert [("purchase", 69_659, 23_570, 1.0)] == frame.rows()


def test_purchases_per_month(connection: Connection, orders: pl.DataFrame) -> None:
    """Orders, buyers, revenue and average order of each month."""
    expected = (
        orders.group_by(pl.col("date").dt.truncate("1mo").alias("period"))
        .agg(
            pl.len().cast(pl.UInt64).alias("orders"),
            pl.col("customer_id").n_unique().cast(pl.UInt64).alias("buyers"),
            pl.col("dollars").sum().alias("revenue"),
        )
        .with_columns(
            average_order=pl.col("revenue") / pl.col("orders"), revenue_per_buyer=pl.col("revenue") / pl.col("buyers")
        )
        .sort("period")
    )
    assert MONTHS == expected.height
    assert_frame_equal(expected, connection.query("revenue_by_period", amount="dollars", **ALL))


def active_months(orders: pl.DataFrame) -> pl.DataFrame:
    """Return one row per customer and month with an order: cohort, months since the cohort's own, orders, dollars."""
    month = pl.col("date").dt.truncate("1mo")
    number = pl.col("month").dt.year() * 12 + pl.col("month").dt.month()
    cohort_number = pl.col("cohort").dt.year() * 12 + pl.col("cohort").dt.month()
    return (
        orders.with_columns(month=month)
        .with_columns(cohort=pl.col("month").min().over("customer_id"))
        .with_columns(number=(number - cohort_number).cast(pl.Int64))
        .group_by("customer_id", "cohort", "number")
        .agg(pl.len().alias("orders"), pl.col("dollars").sum())
    )


def grid(orders: pl.DataFrame) -> pl.DataFrame:
    """Return every month of every cohort until the data ends, with the cohort's size."""
    sizes = active_months(orders).filter(number=0).group_by("cohort").agg(size=pl.len().cast(pl.UInt64))
    months_left = MONTHS - 1 - ((pl.col("cohort").dt.year() - 1997) * 12 + pl.col("cohort").dt.month() - 1)
    return (
        sizes.with_columns(number=pl.int_ranges(0, months_left + 1, dtype=pl.Int64))
        .explode("number", empty_as_null=True)
        .sort("cohort", "number")
    )


def test_monthly_retention_of_the_first_quarter(connection: Connection, orders: pl.DataFrame) -> None:
    """Which part of each first-quarter cohort orders again, month by month."""
    returned = active_months(orders).group_by("cohort", "number").agg(people=pl.len().cast(pl.UInt64))
    expected = (
        grid(orders)
        .join(returned, on=["cohort", "number"], how="left", maintain_order="left")
        .with_columns(pl.col("people").fill_null(0))
        .with_columns(rate=pl.col("people") / pl.col("size"), complete=pl.lit(1, pl.UInt8))
        .select("cohort", "size", "number", "people", "rate", "complete")
    )
    frame = connection.query(
        "retention", start="purchase", come_back="purchase", period="month", periods=17, history="1997-01-01", **ALL
    )
    # everyone first bought in January, February or March
    assert 3 == frame["cohort"].n_unique()
    assert 23_570 == frame.filter(number=0)["size"].sum()
    assert_frame_equal(expected, frame)


def test_revenue_per_cohort(connection: Connection, orders: pl.DataFrame) -> None:
    """What each cohort spends in each month, and per head so far."""
    spent = (
        active_months(orders)
        .group_by("cohort", "number")
        .agg(
            buyers=pl.len().cast(pl.UInt64),
            orders=pl.col("orders").sum().cast(pl.UInt64),
            revenue=pl.col("dollars").sum(),
        )
    )
    expected = (
        grid(orders)
        .join(spent, on=["cohort", "number"], how="left", maintain_order="left")
        .with_columns(pl.col("buyers", "orders", "revenue").fill_null(0))
        .with_columns(
            revenue_per_person=pl.col("revenue") / pl.col("size"),
            revenue_per_person_so_far=pl.col("revenue").cum_sum().over("cohort") / pl.col("size"),
        )
    )
    assert_frame_equal(expected, connection.query("cohort_revenue", amount="dollars", **ALL))


def test_funnel_from_the_first_to_the_third_purchase(connection: Connection, orders: pl.DataFrame) -> None:
    """How many buy a second and a third time, and the time between, with several orders on a date."""
    dates = (
        orders.sort("customer_id", "date").group_by("customer_id", maintain_order=True).agg("date")["date"].to_list()
    )
    expected = []
    for step in range(3):
        waits = sorted((days[step] - days[step - 1]).total_seconds() for days in dates if len(days) > step)
        middle = (waits[(len(waits) - 1) // 2] + waits[len(waits) // 2]) / 2
        p90 = waits[int(0.9 * len(waits))]
        expected.append((len(waits), middle if step else None, p90 if step else None))
    frame = connection.query("funnel", steps=["purchase"] * 3, window="600d", **ALL)
    assert 23_570 == expected[0][0]
    assert expected == frame.select("people", "median_seconds", "p90_seconds").rows()
