"""Answering an event with the result of a query file."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posthog_events.errors import ConfigError, HogQLError, ParameterError, QueryFileError
from posthog_events.receiver.context import Context, GiveUp
from posthog_events.receiver.handlers.posting import TIMEOUT_S, Post, key_of
from posthog_events.receiver.handlers.slack import template_globals
from posthog_events.receiver.payload import ReceivedEvent
from posthog_events.receiver.routing import Handler
from posthog_events.receiver.signatures import sign

if TYPE_CHECKING:
    import polars as pl

    from posthog_events.connection import Connection

__all__ = ["post_result", "run_query"]

Params = Mapping[str, Any] | Callable[[ReceivedEvent], Mapping[str, Any]]
Then = Callable[..., Any]


def run_query(
    name_or_path: str | Path,
    *,
    then: Then,
    params: Params | None = None,
    dsn: str | None = None,
    connect: Callable[[], Connection] | None = None,
) -> Handler:
    """Return a handler that runs a query file and hands its rows on.

    Queries run one after the other, over one connection that is opened by the first.

    Args:
        name_or_path: As for `query run`.
        then: What to do with the frame: called with it and the `Context`, such as `post_result(...)`, or with it alone.
        params: Of the query file; texts in it are templates as in declarations, so that `{event.distinct_id}` is who
            it was. Or a function of the event that returns them.
        dsn: Where to run it; by default what the settings say.
        connect: Opens the connection, instead of `dsn`.

    Raises:
        ConfigError: A template cannot be used, or both `dsn` and `connect` are given.
    """
    if dsn is not None and connect is not None:
        raise ConfigError("a query runs on `dsn` or on what `connect` opens: give one of them")
    made = params if callable(params) else _templates(params or {})
    lock = threading.Lock()
    opened: list[Connection] = []
    with_context = _takes_two(then)

    def run(event: ReceivedEvent | None, context: Context) -> None:
        if event is None:
            raise GiveUp("the delivery holds no event to run a query for")
        try:
            values = made(event)
            with lock:
                if not opened:
                    opened.append(_open(dsn) if connect is None else connect())
                frame = opened[0].query(name_or_path, **values)
        except (QueryFileError, ParameterError, HogQLError) as error:
            # the file is what has to change: a later attempt would meet it as it is now
            raise GiveUp(str(error)) from error
        # outside of the lock: what is done with the rows may take its time
        if with_context:
            then(frame, context)
        else:
            then(frame)

    run.__name__ = Path(str(name_or_path)).stem
    return run


def post_result(url: str, *, secret: str | None = None, timeout_s: float = TIMEOUT_S) -> Then:
    """Return what `run_query` can do with its rows: post them, as `{"rows": [{...}]}`.

    Args:
        url: Where to.
        secret: Signs as Standard Webhooks says.
    """
    post = Post(url, tuple(one for one in (secret,) if one), timeout_s)

    def send(frame: pl.DataFrame, context: Context) -> None:
        from posthog_events.frames.output import frame_bytes

        body = b'{"rows":' + frame_bytes(frame, "json").strip() + b"}"
        signed: Mapping[str, str] = {}
        if secret is not None:
            signed = sign(body, id=key_of(context), timestamp=datetime.now(UTC), secret=secret)
        post.send(body, context=context, headers=signed)

    return send


def _open(dsn: str | None) -> Connection:
    from posthog_events.connection import connect

    return connect(dsn)


def _takes_two(then: Then) -> bool:
    try:
        inspect.signature(then).bind(None, None)
    except TypeError:
        return False
    return True


def _templates(params: Mapping[str, Any]) -> Callable[[ReceivedEvent], Mapping[str, Any]]:
    if not any(isinstance(value, str) and "{" in value for value in params.values()):
        return lambda event: params
    from posthog_events.errors import HogError
    from posthog_events.hog.template import parse_template

    try:
        templates = {
            name: parse_template(value, where=name) for name, value in params.items() if isinstance(value, str)
        }
    except HogError as error:
        raise ConfigError(f"a parameter of the query is no template: {error}") from error

    def render(event: ReceivedEvent) -> Mapping[str, Any]:
        seen = template_globals(event)
        try:
            found = {name: template.render(seen) for name, template in templates.items()}
        except HogError as error:
            raise GiveUp(f"the parameters cannot be made of this event: {error}") from error
        return {**params, **found}

    return render
