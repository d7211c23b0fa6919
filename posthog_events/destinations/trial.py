"""Trying a destination out: what it would send for one event, or sending it once. Source: reference 5.1.

What comes out holds no secret: neither ours, nor the token that PostHog puts into a request to Slack.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from posthog_events.destinations.marker import split_description
from posthog_events.destinations.model import Destination
from posthog_events.destinations.payload import body_of, schema_to_send
from posthog_events.destinations.secrets import Secrets, secret_header
from posthog_events.destinations.templates import honours_signing
from posthog_events.errors import ApiError, BadAnswer
from posthog_events.posthog.hog_function_runs import Invocation, LogLine, invoke
from posthog_events.posthog.hog_functions import get_template
from posthog_events.posthog.redact import Redactor

if TYPE_CHECKING:
    from posthog_events.posthog.http import Api

__all__ = ["Outgoing", "Trial", "try_destination"]

HIDDEN = "…"
_FETCH = "fetch('"
_ARGUMENTS = "', {"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request that a destination would make, without what is secret in it.

    Args:
        body: A JSON value when PostHog encodes it; a text goes out as it is.
    """

    method: str
    url: str
    headers: Mapping[str, Any]
    body: Any


@dataclass(frozen=True, slots=True)
class Trial:
    """How trying a destination out went.

    Args:
        mock: Nothing was sent.
        status: PostHog's word; `skipped`: the filters do not match the event, or the inputs could not be built.
        failed: Something went wrong, be it only in the log.
        requests: What would have been sent; empty when it was sent, since PostHog does not tell then.
        notes: What may surprise, as sentences.
        event: The event it ran on, as templates see it.
    """

    key: str
    mock: bool
    status: Literal["success", "error", "skipped"]
    failed: bool
    requests: tuple[Outgoing, ...]
    errors: tuple[str, ...]
    logs: tuple[LogLine, ...]
    notes: tuple[str, ...] = ()
    event: Mapping[str, Any] = field(default_factory=dict)

    @property
    def delivered(self) -> bool:
        """Whether the run went through, for real or as far as PostHog can tell without sending."""
        return self.status == "success" and not self.failed


def try_destination(
    api: Api,
    destination: Destination,
    secrets: Secrets,
    *,
    globals_: Mapping[str, Any],
    row: Mapping[str, Any] | None = None,
    mock: bool = True,
    slack_workspace: int | None = None,
) -> Trial:
    """Run a declaration on one event, without storing it.

    Args:
        globals_: The event, as templates see it; see `sample_globals`.
        row: The live destination, when there is one: its code is what runs, and its secrets are used if they are ours.
        mock: Nothing is sent; otherwise the receiver gets a delivery.
        slack_workspace: The id of the Slack integration that `workspace: auto` means.

    Raises:
        ApiError: PostHog refuses the declaration; when `ambiguous`, something may have been sent.
        ConfigError: A Slack workspace is needed and not given.
    """
    spellings = _spellings(secrets)
    redact = Redactor(*spellings, origin=api.origin)
    configuration, notes = _configuration(api, destination, secrets, row, slack_workspace)
    try:
        id_ = None if row is None else str(row["id"])
        tried = invoke(api, id_, configuration, globals_=globals_, mock=mock)
    except ApiError as error:
        # PostHog may quote what it refuses; the first error of a chain is shown as well
        raise _cleared(error, redact) from None
    if tried.status == "skipped" and not tried.failed:
        notes.append("the filters do not match the event")
    if not tried.errors and tried.status == "success" and tried.failed:
        notes.append("PostHog would try again what failed; a test does not wait for that")
    if mock and tried.status == "success":
        notes.append("nothing was sent: PostHog took 200 and an empty object for the answer")
    return Trial(
        key=destination.key,
        mock=mock,
        status=tried.status,
        failed=tried.failed,
        requests=tuple(_shown(one, redact, spellings) for one in _requests(tried)),
        errors=tuple(redact.text(error) for error in tried.errors),
        logs=tuple(replace(line, message=redact.text(line.message)) for line in tried.logs),
        notes=tuple(notes),
        event=globals_.get("event") or {},
    )


def _spellings(secrets: Secrets) -> list[str]:
    """Return each secret, also as it stands inside JSON and in addresses, the longest first."""
    found = set()
    for secret in filter(None, secrets.values()):
        found |= {secret, quote(secret, safe="")}
        found |= {json.dumps(secret, ensure_ascii=ascii_)[1:-1] for ascii_ in (True, False)}
    return sorted(found, key=len, reverse=True)


def _configuration(
    api: Api,
    destination: Destination,
    secrets: Secrets,
    row: Mapping[str, Any] | None,
    slack_workspace: int | None,
) -> tuple[dict[str, Any], list[str]]:
    """Return what is to run, and what is to be said about it."""
    body = body_of(destination, secrets, slack_workspace=slack_workspace)
    if row is None:
        # of a template, a test takes nothing by itself (reference 5.1)
        template = get_template(api, destination.template_id)
        code = template.get("code")
        if not isinstance(code, str):
            raise BadAnswer(f"PostHog's template {destination.template_id} has no code")
        runs: Mapping[str, Any] = {"hog": code.rstrip(), "template": template}
        body |= {"hog": code, "inputs_schema": body.get("inputs_schema") or template.get("inputs_schema") or []}
    else:
        runs = row
        if (changed := schema_to_send(destination, row)) is not None:
            body["inputs_schema"] = changed
        _, marker = split_description(row.get("description"))
        if marker is not None and marker.secrets and marker.secrets == secrets.fingerprint(destination):
            stored = row.get("inputs") or {}
            body["inputs"] |= {name: {"secret": True} for name in destination.secrets if _is_secret(stored.get(name))}
    notes = _dropped(body["inputs"], body.get("inputs_schema") or (row or {}).get("inputs_schema") or ())
    if "signing_secret" in body["inputs"] and not honours_signing(runs):
        notes.append("the delivery is not signed: the code that runs is from before PostHog signed webhooks")
    return body, notes


def _is_secret(stored: Any) -> bool:
    return isinstance(stored, Mapping) and bool(stored.get("secret"))


def _dropped(inputs: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which inputs PostHog leaves out without a word."""
    known = {item.get("key") for item in schema}
    return [f"PostHog drops the input `{name}`, which its template does not know" for name in inputs.keys() - known]


def _requests(tried: Invocation) -> Iterator[Outgoing]:
    """Yield the requests that a mocked run logged: `fetch('<url>', <arguments as JSON>)`."""
    for line in tried.logs:
        head, found, rest = line.message.partition(_ARGUMENTS)
        if not (found and head.startswith(_FETCH) and rest.endswith(")")):
            continue
        try:
            arguments = json.loads("{" + rest[:-1])
        except ValueError:
            continue  # it was too long for the log, where it still can be read
        headers = arguments.get("headers")
        yield Outgoing(
            method=str(arguments.get("method") or "POST"),
            url=head.removeprefix(_FETCH),
            headers=headers if isinstance(headers, Mapping) else {},
            body=arguments.get("body"),
        )


def _shown(request: Outgoing, redact: Redactor, spellings: Sequence[str]) -> Outgoing:
    headers = {
        name: HIDDEN if isinstance(value, str) and secret_header(name, value) else _masked(value, spellings)
        for name, value in request.headers.items()
    }
    return Outgoing(request.method, redact.text(request.url), headers, _masked(request.body, spellings))


def _masked(value: Any, spellings: Sequence[str]) -> Any:
    """Return a JSON value as it is, but for our secrets: what would be sent must be seen to the letter."""
    match value:
        case str():
            for one in spellings:
                value = value.replace(one, HIDDEN)
            return value
        case Mapping():
            return {_masked(key, spellings): _masked(item, spellings) for key, item in value.items()}
        case list():
            return [_masked(item, spellings) for item in value]
        case _:
            return value


def _cleared(error: ApiError, redact: Redactor) -> ApiError:
    """Return the error without secrets, and without the one that led to it."""
    error.args = tuple(redact.data(list(error.args)))
    error.detail, error.extra = redact.text(error.detail), redact.data(error.extra)
    error.__cause__ = error.__context__ = None
    return error
