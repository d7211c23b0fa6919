"""Python values as ClickHouse literals, and the types of arithmetic."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, date, datetime
from typing import Any

from posthog_events.clickhouse.compiler.value import Sql
from posthog_events.clickhouse.quoting import string
from posthog_events.clickhouse.sqltype import (
    BOOLEAN,
    DATE,
    DATETIME64,
    FLOAT,
    INTEGER,
    NULL,
    STRING,
    UNKNOWN,
    UUID,
    Kind,
    SqlType,
    array_of,
    common_type,
)

__all__ = ["arithmetic_type", "constant"]


def arithmetic_type(op: str, left: Sql, right: Sql) -> SqlType:
    """Return the type of an arithmetic operation, as far as later decisions need it."""
    nullable = left.type.nullable or right.type.nullable
    kinds = {left.type.kind, right.type.kind}
    moments = kinds & {Kind.DATE, Kind.DATETIME, Kind.DATETIME64}
    if moments:
        if kinds & {Kind.INTERVAL, Kind.INTEGER}:
            moment = left.type if left.type.kind in moments else right.type
            # adding hours to a date yields a time, so a date's type is not certain
            certain = moment.kind is not Kind.DATE or Kind.INTERVAL not in kinds
            return (moment if certain else UNKNOWN).with_nullable(nullable)
        return INTEGER.with_nullable(nullable) if Kind.DATETIME64 not in kinds else UNKNOWN
    if kinds == {Kind.INTERVAL}:
        return left.type.with_nullable(nullable)
    if Kind.UNKNOWN in kinds or Kind.NULL in kinds:
        return UNKNOWN
    if Kind.DECIMAL in kinds:
        return (left if left.type.kind is Kind.DECIMAL else right).type.with_nullable(nullable)
    if op == "/" or Kind.FLOAT in kinds:
        return FLOAT.with_nullable(nullable)
    return INTEGER.with_nullable(nullable) if kinds <= {Kind.INTEGER, Kind.BOOLEAN} else UNKNOWN


def constant(value: Any, timezone: str) -> Sql:
    """Return a Python value as a ClickHouse literal."""
    if value is None:
        return Sql("NULL", NULL, None)
    if isinstance(value, bool):
        return Sql("true" if value else "false", BOOLEAN, value)
    if isinstance(value, str):
        return Sql(string(value), STRING, value)
    if isinstance(value, int):
        return Sql(str(value), INTEGER, value)
    if isinstance(value, float):
        text = repr(value) if math.isfinite(value) else "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
        return Sql(text, FLOAT, value)
    if isinstance(value, datetime):
        # a local text can name two moments on the night when clocks go back; the UTC text cannot
        text = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        utc = f"toDateTime64('{text}', 6, 'UTC')"
        return Sql(utc if timezone == "UTC" else f"toTimeZone({utc}, {string(timezone)})", DATETIME64, value)
    if isinstance(value, date):
        return Sql(f"toDate('{value.isoformat()}')", DATE, value)
    if isinstance(value, uuid.UUID):
        return Sql(f"toUUID('{value}')", UUID, value)
    if isinstance(value, list | tuple):
        items = [constant(item, timezone) for item in value]
        return Sql(f"[{', '.join(item.text for item in items)}]", array_of(common_type([i.type for i in items])))
    raise TypeError(f"a value of type {type(value).__name__} cannot be bound")
