"""The functions a HogQL query may call, and what each becomes in ClickHouse."""

from posthog_events.clickhouse.functions.lookup import lookup, suggest
from posthog_events.clickhouse.functions.model import (
    Function,
    Nullability,
    Refused,
    ReturnRule,
    Role,
    Special,
    check_arity,
    render,
    return_type,
)

__all__ = [
    "Function",
    "Nullability",
    "Refused",
    "ReturnRule",
    "Role",
    "Special",
    "check_arity",
    "lookup",
    "render",
    "return_type",
    "suggest",
]
