"""From a query file and parameters to a `Query`: HogQL whose every value is a bound placeholder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from posthog_events.errors import ConfigError, HogQLError, QueryFileError
from posthog_events.queryfiles.binder import Binder
from posthog_events.queryfiles.model import QueryFile
from posthog_events.queryfiles.params import coerce_all
from posthog_events.queryfiles.reading import body_fault
from posthog_events.queryfiles.sql import SqlText
from posthog_events.result import Query, Value

__all__ = ["Rendered", "render", "render_traced"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A query, and the way from its text back to the file."""

    query: Query
    file: QueryFile
    _text: SqlText

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column in the file of a code point of `query.hogql`.

        Exact for what stands in the file; for what an expression produced, the place of its `{{`.
        """
        fault = body_fault("", self.file.body, self._text.origin(offset), self.file.first_line)
        assert fault.line is not None
        assert fault.column is not None
        return fault.line, fault.column

    def relocate(self, error: HogQLError) -> HogQLError:
        """Return the same error, pointing into the file instead of the rendered text."""
        if error.start is None or error.text != self.query.hogql:
            return error
        start = self._text.origin(error.start)
        end = max(start + 1, self._text.origin(max(error.start, (error.end or error.start + 1) - 1)) + 1)
        name, line = str(self.file.path or self.file.name), self.file.first_line
        return type(error)(error.message, text=self.file.body, start=start, end=end, name=name, first_line=line)


def render(
    query_file: QueryFile, params: Mapping[str, object], *, clock: Callable[[], datetime], timezone: str
) -> Query:
    """Check `params` and render the file.

    Args:
        params: Parameter name to value, as Python values or as text from a command line.
        clock: Gives the current moment, aware; asked once.
        timezone: The project's IANA zone; dates and naive datetimes are read in it.

    Raises:
        ParameterError: Lists every missing, unknown and wrong parameter.
        QueryFileError: The template cannot use these values, with file and line.
        ConfigError: There is no such time zone.
    """
    return render_traced(query_file, params, clock=clock, timezone=timezone).query


def render_traced(
    query_file: QueryFile, params: Mapping[str, object], *, clock: Callable[[], datetime], timezone: str
) -> Rendered:
    """Do the same as `render`, and keep the way back from positions in the text to the file."""
    from posthog_events.queryfiles.template import TemplateFault, analyse, render_body

    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"there is no time zone {timezone!r}; use an IANA name such as Europe/Berlin") from error
    values = coerce_all(query_file.params, params, now=clock(), tz=zone)
    plain = analyse(query_file.body).plain
    binder = Binder(taken=plain)
    try:
        text = render_body(query_file.body, values, binder)
    except TemplateFault as fault:
        place = body_fault(fault.message, query_file.body, fault.offset, query_file.first_line, query_file.path)
        raise QueryFileError([place]) from fault
    query = Query(
        hogql=text.text,
        values=MappingProxyType({**_plain_values(query_file, values, plain), **binder.values}),
        name=query_file.name,
        path=query_file.path,
        first_line=query_file.first_line,
        returns=query_file.returns,
    )
    return Rendered(query, query_file, text)


def _plain_values(query_file: QueryFile, values: Mapping[str, object], plain: Mapping[str, int]) -> dict[str, Value]:
    """Return the parameters that the body names as HogQL's own `{placeholder}`."""
    return {name: values[name] for name in plain if name in query_file.params}  # type: ignore[misc]  # not structural
