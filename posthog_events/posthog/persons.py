"""Persons as frames, from PostHog's REST endpoints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from posthog_events.posthog.http import Bucket, Request
from posthog_events.posthog.pages import walk_pages

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType

    from posthog_events.posthog.http import Api

__all__ = ["get_person", "list_persons"]


class _Person(msgspec.Struct):
    id: str | int | None
    uuid: str
    distinct_ids: list[str]
    name: str | None = None
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    created_at: datetime | None = None


class _Page(msgspec.Struct):
    results: list[_Person]
    next: str | None = None


def list_persons(
    api: Api,
    *,
    search: str | None = None,
    email: str | None = None,
    distinct_id: str | None = None,
    properties: Sequence[Mapping[str, Any]] | None = None,
    limit: int | None = None,
) -> pl.DataFrame:
    """List persons: id, uuid, name, distinct_ids, properties (JSON text), created_at (UTC).

    PostHog pages persons by offset, so one that is added or merged meanwhile shifts the others: a person who then
    appears twice is dropped here, but one who moved to a page already read is missed, and nothing tells. For a complete
    set, select from the `persons` table instead.

    Args:
        search: Part of a name, email or distinct id.
        properties: PostHog's property filters, as in `list_events`.
        limit: Stop after this many persons.

    Raises:
        ApiError, ConnectionFailed, BadAnswer: As `Api.send` and `walk_pages`.
    """
    filters = {
        "search": search,
        "email": email,
        "distinct_id": distinct_id,
        "properties": None if properties is None else json.dumps(properties),
    }
    first = Request(
        "GET",
        "persons/",
        {name: value for name, value in filters.items() if value is not None},
        bucket=Bucket.CLICKHOUSE,
    )
    persons: dict[str, _Person] = {}
    for page in walk_pages(api, first, _Page):
        for person in page.results:
            persons.setdefault(person.uuid, person)
        if limit is not None and len(persons) >= limit:
            break
    return _frame(list(persons.values())[:limit])


def get_person(api: Api, person_id: str) -> pl.DataFrame:
    """Return one person, by uuid or numeric id, as a frame of one row with the columns of `list_persons`.

    Raises:
        NotFound: There is no such person.
    """
    reply = api.send(Request("GET", f"persons/{quote(person_id, safe='')}/", bucket=Bucket.CLICKHOUSE))
    return _frame([reply.decode(_Person)])


def _frame(persons: Iterable[_Person]) -> pl.DataFrame:
    import polars as pl

    schema: dict[str, PolarsDataType] = {
        "id": pl.String,
        "uuid": pl.String,
        "name": pl.String,
        "distinct_ids": pl.List(pl.String),
        "properties": pl.String,
        "created_at": pl.Datetime("us", "UTC"),
    }
    rows = [
        (
            None if person.id is None else str(person.id),
            person.uuid,
            person.name,
            person.distinct_ids,
            bytes(person.properties).decode(),
            person.created_at and person.created_at.astimezone(UTC),
        )
        for person in persons
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")
