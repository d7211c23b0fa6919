"""Every exception this package raises on purpose.

::

    PostHogEventsError                  exit code 1 unless said otherwise
      ConfigError(ValueError)           unknown DSN, bad setting                               exit 2
      MissingExtra(ImportError)         an optional package is not installed
      HogQLError                        a query that cannot run; carries line, column, excerpt
        HogQLSyntaxError                the text does not parse
        UnresolvedName                  unknown column, table, function or placeholder
        UnsupportedHogQL                valid in PostHog, not available on this engine
      QueryFileError(ValueError)        every fault of a query file, with file:line            exit 2
      ParameterError(ValueError)        every wrong or missing parameter of one call           exit 2
      DeclarationError(ValueError)      every fault of destination declarations, with file:line exit 2
      HogError                          a filter or Hog expression that PostHog cannot evaluate
      QueryError
        EngineError                     ClickHouse refused or failed
          QueryTimeout                  ran longer than the time limit
          MemoryExceeded                needed more memory than allowed
        QueryCancelled                  stopped by the caller
        TruncatedResult                 more rows exist than were returned                     exit 6
        IncompleteExtraction            rows arrived and rows counted differ                   exit 6
        UnexpectedColumns               the frame is not what `returns` promised
        UnknownColumnType               a ClickHouse type without a polars dtype
      ApiError                          PostHog refused a request; status, code and detail are its own
        NotAuthorised                   the key may not do this                                exit 4
          AuthenticationFailed          unknown, revoked, wrong-region or capture-only key
          MissingScope                  the key lacks a scope
          NoProjectAccess               the key is not for this project
        NotFound                        no such project or object
        RateLimited                     not now; wait_s says when                              exit 5
          BudgetExceeded                the project's bytes-read budget is spent
        QuotaExceeded                   the plan's allowance is spent; waiting does not help
        ServerFailed                    PostHog failed, and kept failing
      ConnectionFailed                  no answer: DNS, TLS, refused, reset, timed out
      BadAnswer                         an answer that is not what PostHog's API documents
      ExportFailed                      a bulk export ended without its rows
      StoreError                        the local event store cannot be read or written
        StoreNotFound                   no store at that path
        StoreLocked                     another process is writing
        ImportFailed                    a file could not be imported; nothing was stored
      StalePlan                         what a plan was made of has changed since; nothing was written
      DeliveryRejected                  a webhook delivery that must not be believed; status is the HTTP answer to it
      InboxError                        the inbox of deliveries cannot be read or written
        InboxCorrupt                    its file is damaged; it was set aside
        InboxFull                       more deliveries wait to be written than it holds; retry_after_s says when

A message says what happened, where, and what to do next. Attributes hold the data. No message holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

__all__ = [
    "ApiError",
    "AuthenticationFailed",
    "BadAnswer",
    "BudgetExceeded",
    "ConfigError",
    "ConnectionFailed",
    "DeclarationError",
    "DeliveryRejected",
    "EngineError",
    "ExportFailed",
    "Fault",
    "HogError",
    "HogQLError",
    "HogQLSyntaxError",
    "ImportFailed",
    "InboxCorrupt",
    "InboxError",
    "InboxFull",
    "IncompleteExtraction",
    "MemoryExceeded",
    "MissingExtra",
    "MissingScope",
    "NoProjectAccess",
    "NotAuthorised",
    "NotFound",
    "ParameterError",
    "PostHogEventsError",
    "QueryCancelled",
    "QueryError",
    "QueryFileError",
    "QueryTimeout",
    "QuotaExceeded",
    "RateLimited",
    "ServerFailed",
    "StalePlan",
    "StoreError",
    "StoreLocked",
    "StoreNotFound",
    "TruncatedResult",
    "UnexpectedColumns",
    "UnknownColumnType",
    "UnresolvedName",
    "UnsupportedHogQL",
]


class PostHogEventsError(Exception):
    """The base of all errors below. `exit_code` is what the command line leaves with."""

    exit_code: ClassVar[int] = 1


class ConfigError(PostHogEventsError, ValueError):
    """A setting or a DSN that cannot be used."""

    exit_code = 2


class MissingExtra(PostHogEventsError, ImportError):
    """A feature needs packages of an extra that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(feature, extra)
        self.feature, self.extra = feature, extra

    def __str__(self) -> str:
        return f'{self.feature} needs more packages. Install them with: pip install "posthog-events[{self.extra}]"'


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a file: `line` and `column` are 1-based; a column counts code points."""

    message: str
    path: Path | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = [str(part) for part in (self.path, self.line, self.column) if part is not None]
        return f"{':'.join(where)}: {self.message}" if where else self.message


class HogQLError(PostHogEventsError):
    """A HogQL text that cannot run.

    Args:
        message: One sentence, without position.
        text: The HogQL text that `start` and `end` point into.
        start: First code point of the offending part; None when it is not known.
        end: One past its last code point.
        name: What the text is called in messages: a file, or `<inline>`.
        first_line: The line of `name` on which `text` begins, when the text is part of a file.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        start: int | None = None,
        end: int | None = None,
        name: str = "<inline>",
        first_line: int = 1,
    ) -> None:
        super().__init__(message)
        self.message, self.text, self.start, self.end = message, text, start, end
        self.name, self.first_line = name, first_line

    @property
    def line(self) -> int | None:
        """The 1-based line in `name`."""
        return None if self.start is None else self.first_line + self.text.count("\n", 0, self.start)

    @property
    def column(self) -> int | None:
        """The 1-based column, in code points."""
        return None if self.start is None else self.start - (self.text.rfind("\n", 0, self.start) + 1) + 1

    @property
    def excerpt(self) -> str:
        """The offending line with a caret line below it; empty when the position is not known."""
        if self.start is None or not self.text:
            return ""
        line_start = self.text.rfind("\n", 0, self.start) + 1
        line_end = self.text.find("\n", self.start)
        line = self.text[line_start : len(self.text) if line_end < 0 else line_end]
        offset = self.start - line_start
        stop = max((self.end or self.start + 1) - line_start, offset + 1)
        width = max(1, min(stop, len(line)) - offset)
        # a very long line is cut to a window around the caret
        cut = max(0, offset - 60)
        shown = line[cut : cut + 120]
        pad = "".join("\t" if ch == "\t" else " " for ch in line[cut:offset])
        return f"{shown}\n{pad}{'^' * min(width, max(1, len(shown) - len(pad)))}"

    def __str__(self) -> str:
        if self.start is None:
            return f"{self.name}: {self.message}" if self.name != "<inline>" else self.message
        return f"{self.name}:{self.line}:{self.column}: {self.message}\n{self.excerpt}"


class HogQLSyntaxError(HogQLError):
    """The text is not HogQL."""


class UnresolvedName(HogQLError):
    """A column, table, function or placeholder that does not exist."""


class UnsupportedHogQL(HogQLError):
    """Valid in PostHog, but this engine cannot give the same answer."""


class _Faults(PostHogEventsError, ValueError):
    """Carries every fault found, one per line of the message."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(tuple(faults))
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


class QueryFileError(_Faults):
    """A query file that cannot be used; lists every fault in it."""


class ParameterError(_Faults):
    """Parameters that are missing, unknown or of the wrong type; lists every one."""


class DeclarationError(_Faults):
    """Declarations of destinations that cannot be used; lists every fault in them."""


class HogError(PostHogEventsError):
    """A filter or Hog expression that PostHog refuses to save, or that fails when an event arrives.

    Args:
        message: One sentence, without place.
        where: Which filter or input, such as `filters.properties[0]` or `inputs.body.text`.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.message, self.where = message, where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class QueryError(PostHogEventsError):
    """A query that was accepted and then did not give a usable result."""


class EngineError(QueryError):
    """ClickHouse refused or failed. `code` and `code_name` are ClickHouse's own, where given."""

    def __init__(self, message: str, *, code: int | None = None, code_name: str | None = None) -> None:
        super().__init__(message)
        self.code, self.code_name = code, code_name


class QueryTimeout(EngineError):
    """The query ran longer than the time limit."""


class MemoryExceeded(EngineError):
    """The query needed more memory than allowed."""


class QueryCancelled(QueryError):
    """The query was stopped before it ended."""


class TruncatedResult(QueryError):
    """More rows exist than were returned; raised because a short frame looks right."""

    exit_code = 6

    def __init__(self, rows: int, limit: int, query: str = "<inline>", *, clamped: bool = False) -> None:
        super().__init__(rows, limit, query)
        self.rows, self.limit, self.query, self.clamped = rows, limit, query, clamped

    def __str__(self) -> str:
        if self.clamped:
            return (
                f"{self.query}: the result was cut at PostHog's maximum of {self.limit:,} rows. "
                "Aggregate or split the query, lift the cap with --no-limit (local engines), "
                "or accept the cut with --allow-truncated."
            )
        return (
            f"{self.query}: more than {self.limit:,} rows exist and the query has no LIMIT (PostHog returns "
            f"{self.limit:,} then). Add a LIMIT, lift the cap with --no-limit (local engines), "
            "or accept the cut with --allow-truncated."
        )


class IncompleteExtraction(QueryError):
    """Rows received and rows counted by the server differ, and fetching again did not settle it."""

    exit_code = 6


class UnexpectedColumns(QueryError):
    """The result's columns differ from the query file's `returns`."""


class UnknownColumnType(QueryError):
    """A column whose ClickHouse type has no exact polars dtype."""

    def __init__(self, column: str, clickhouse_type: str) -> None:
        super().__init__(column, clickhouse_type)
        self.column, self.clickhouse_type = column, clickhouse_type

    def __str__(self) -> str:
        return (
            f"column {self.column!r} has the ClickHouse type {self.clickhouse_type}, which has no exact polars dtype. "
            "Convert it in the query, for example with toString()."
        )


class ApiError(PostHogEventsError):
    """PostHog refused a request.

    Args:
        message: One sentence with the way out; holds no secret.
        status: HTTP status.
        code: The API's own code (`hogql_syntax_error`, `throttled`); programs branch on this and the status.
        detail: The API's own sentence, for people.
        attr: The field that the API names.
        extra: The API's `extra` object.
        ambiguous: The request may have been carried out although it failed; look before sending it again.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        detail: str = "",
        attr: str | None = None,
        extra: Mapping[str, Any] | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.detail, self.attr = status, code, detail, attr
        self.extra: Mapping[str, Any] = extra or {}
        self.ambiguous = ambiguous


class NotAuthorised(ApiError):
    """The key may not do this."""

    exit_code = 4


class AuthenticationFailed(NotAuthorised):
    """PostHog does not know the key: mistyped, revoked, of another region, or for capture only."""


class MissingScope(NotAuthorised):
    """The key lacks a scope; `scope` names it, where PostHog does."""

    def __init__(self, message: str, *, scope: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.scope = scope


class NoProjectAccess(NotAuthorised):
    """The key, or its owner, has no access to the project."""


class NotFound(ApiError):
    """There is no such project or object."""


class RateLimited(ApiError):
    """PostHog asks to wait, longer than the caller allows; what was begun can be resumed.

    Args:
        wait_s: Seconds until it is worth trying again; None when PostHog did not say.
    """

    exit_code = 5

    def __init__(self, message: str, *, wait_s: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.wait_s = wait_s


class BudgetExceeded(RateLimited):
    """The project's bytes-read budget for API queries is spent for now."""


class QuotaExceeded(ApiError):
    """The plan's allowance is spent; waiting does not help."""


class ServerFailed(ApiError):
    """PostHog failed, and kept failing."""


class ConnectionFailed(PostHogEventsError):
    """No answer came: name resolution, TLS, refused, reset, or too slow.

    Args:
        ambiguous: The request may have been carried out all the same; look before sending it again.
    """

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous


class BadAnswer(PostHogEventsError):
    """An answer that is not what PostHog's API documents: HTML, cut off, too large, or of another shape."""


class ExportFailed(PostHogEventsError):
    """A bulk export ended without its rows; what was fetched is kept, and the next run resumes."""


class StoreError(PostHogEventsError):
    """The local event store cannot be read or written."""


class StoreNotFound(StoreError):
    """There is no event store at the path."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"no event store at {self.path}. Create one with: posthog-events local import FILE --store {self.path} "
            "(or try posthog-events demo)"
        )


class StoreLocked(StoreError):
    """Another process is writing to the store."""


class ImportFailed(StoreError):
    """A file could not be imported; the store is as it was before."""


class StalePlan(PostHogEventsError):
    """What a plan was made of has changed since; nothing was written."""


class DeliveryRejected(PostHogEventsError):
    """A webhook delivery that must not be believed or cannot be taken.

    Args:
        reason: One sentence for logs; holds no secret and nothing of the body.
        status: The HTTP status to answer with.
        code: What programs and metrics branch on, such as `bad_signature` or `too_old`.
    """

    def __init__(self, reason: str, *, status: int, code: str) -> None:
        super().__init__(reason)
        self.reason, self.status, self.code = reason, status, code


class InboxError(PostHogEventsError):
    """The inbox of deliveries cannot be read or written; nothing was acknowledged."""


class InboxCorrupt(InboxError):
    """The file of the inbox is damaged; it was set aside and is not served."""


class InboxFull(InboxError):
    """More deliveries wait to be written than the inbox holds in memory; this one was not taken.

    Args:
        retry_after_s: Whole seconds after which there may be room again, as `Retry-After` says them.
    """

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
