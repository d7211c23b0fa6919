"""What an export may be asked for; everything else is a 400 with PostHog's sentence.

Source: PostHog/posthog:products/batch_exports/backend/api/file_download.py (2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from posthog_events.emulator.endpoint import Refusal
from posthog_events.emulator.export_files import FileFormat
from posthog_events.emulator.listing import invalid
from posthog_events.errors import HogQLError
from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_select
from posthog_events.hogql.tree import transform

__all__ = ["ExportRequest", "check_hogql", "read_request"]

MAX_RANGE = timedelta(weeks=1)
MODELS = ("events", "persons", "sessions", "hogql")
COMPRESSIONS = {"Parquet": ("zstd", "gzip", "brotli", "lz4", "snappy"), "JSONLines": ("gzip", "brotli")}
_BOUNDS = "'data_interval_start' and 'data_interval_end'"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A request that is in order.

    Args:
        start: First moment of arrival that belongs to it.
        end: First moment that does not.
        hogql: The query of the hogql model; None for the others.
        max_size_mb: 0 writes one file.
    """

    model: str
    start: datetime
    end: datetime
    format: str
    compression: str | None
    max_size_mb: int
    include: list[str]
    exclude: list[str]
    hogql: str | None = None

    def form(self, bytes_per_mb: int) -> FileFormat:
        """Return how the files are written."""
        return FileFormat(self.format, self.compression, self.max_size_mb * bytes_per_mb or None)


def read_request(body: Any, *, now: datetime, hogql: bool) -> ExportRequest:
    """Check the body of a request.

    Args:
        hogql: Whether the hogql model is enabled.

    Raises:
        Refusal: It is not in order.
    """
    data: Mapping[str, Any] = body if isinstance(body, dict) else {}
    model = _choice(data, "model", MODELS)
    form = data.get("file")
    if not isinstance(form, dict):
        raise _required("file")
    name = _choice({"format": "Parquet"} | form, "format", tuple(COMPRESSIONS), attr="file__format")
    compression = form.get("compression")
    if compression is not None and compression not in COMPRESSIONS[name]:
        raise invalid(f'"{compression}" is not a valid choice.', attr="file__compression", code="invalid_choice")
    size = form.get("max_size_mb") or 0
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise invalid("A valid integer is required.", attr="file__max_size_mb", code="invalid")
    include, exclude = (_names(data, key) for key in ("include", "exclude"))
    start, end = (_moment(data, key) for key in ("data_interval_start", "data_interval_end"))
    query = None
    if model == "hogql":
        query = check_hogql(data, enabled=hogql)
        start = end = now
    elif data.get("hogql_query") is not None:
        raise invalid("'hogql_query' is only supported when 'model' is 'hogql'")
    if start is None or end is None:
        raise invalid(f"{_BOUNDS} are required for '{model}'")
    if start > end or (start == end and query is None):
        raise invalid("'data_interval_end' must occur after 'data_interval_start'")
    if end - start > MAX_RANGE:
        raise invalid("data interval range too big")
    if end > now:
        raise invalid(f"The provided 'data_interval_end' ({end.isoformat()}) is in the future")
    return ExportRequest(model, start, end, name, compression, size, include, exclude, query)


def check_hogql(data: Mapping[str, Any], *, enabled: bool) -> str:
    """Return the query of a request for the hogql model.

    Raises:
        Refusal: The model is not enabled (403), or the query cannot be exported.
    """
    if not enabled:
        detail = "HogQL batch exports are not enabled for this team."
        raise Refusal(403, "authentication_error", "permission_denied", detail)
    if data.get("data_interval_start") is not None or data.get("data_interval_end") is not None:
        reason = "the query runs as of the time the export starts"
        raise invalid(f"{_BOUNDS} are not supported when 'model' is 'hogql': {reason}")
    if data.get("include") is not None or data.get("exclude") is not None:
        raise invalid("'include' and 'exclude' are not supported when 'model' is 'hogql'")
    text = data.get("hogql_query")
    if not isinstance(text, str) or not text:
        raise invalid("'hogql_query' is required when 'model' is 'hogql'")
    try:
        _check_query(text)
    except HogQLError as exc:
        raise invalid(exc.message, attr="hogql_query") from exc
    return text


def _check_query(text: str) -> None:
    tree = parse_select(text, name="hogql_query")

    def check(node: ast.Node) -> ast.Node:
        if isinstance(node, ast.Placeholder):
            raise HogQLError("Placeholders are not supported")
        return node

    transform(tree, check)
    if isinstance(tree, ast.SelectQuery):
        for column in tree.select:
            if not isinstance(column, ast.Alias | ast.Field):
                raise HogQLError("Every expression needs an alias")


def _choice(data: Mapping[str, Any], key: str, choices: tuple[str, ...], *, attr: str = "") -> str:
    value = data.get(key)
    if value is None:
        raise _required(key)
    if value not in choices:
        raise invalid(f'"{value}" is not a valid choice.', attr=attr or key, code="invalid_choice")
    return str(value)


def _required(key: str) -> Refusal:
    return invalid("This field is required.", attr=key, code="required")


def _names(data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key) or []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise invalid("Expected a list of items.", attr=key, code="not_a_list")
    return value


def _moment(data: Mapping[str, Any], key: str) -> datetime | None:
    value = data.get(key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        raise invalid("Datetime has wrong format.", attr=key, code="invalid") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
