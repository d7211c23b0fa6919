"""The security boundary: nothing in a query, a value, a filter or a name reads what is not a table of the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import posthog_events as ph
from posthog_events.connection import Connection
from posthog_events.errors import ConfigError, HogQLError, PostHogEventsError
from posthog_events.result import Query, QueryResult
from tests.contract.corpus.hostile import HARMLESS, HOSTILE_TEXTS, REFUSED, Attempt
from tests.helpers.corpus_store import build_store

SECRET = "the-secret-that-must-not-leak-5f2c"


class Target:
    """A connection, the file it must not read, and a look at everything that came out."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.connection, self.folder = connection, folder
        self.secret = folder / "secret.csv"

    def fill(self, value: Any) -> Any:
        """Put the secret's path where `@` stands."""
        if isinstance(value, str):
            return value.replace("@", str(self.secret))
        if isinstance(value, Mapping):
            return {key: self.fill(item) for key, item in value.items()}
        return [self.fill(item) for item in value] if isinstance(value, list) else value

    def run(self, attempt: Attempt) -> QueryResult:
        """Run one attempt; whatever comes back, result or error, must not hold the secret."""
        query = Query(self.fill(attempt.hogql), values=self.fill(attempt.values), filters=self.fill(attempt.filters))
        try:
            result = self.connection.run(query, allow_truncated=True)
        except PostHogEventsError as error:
            if SECRET in repr(error) + str(error):
                pytest.fail("an error message gave the secret away")
            raise
        assert SECRET not in repr(result.frame.rows()) + repr(result.frame.columns) + repr(result.warnings)
        return result

    def files(self) -> set[str]:
        """Every file below the folder."""
        return {str(path) for path in self.folder.rglob("*")}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A store, and beside it a secret; afterwards no file may have appeared or gone."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret.csv").write_text(f"{SECRET}\n")
    store = build_store(folder)
    before_cwd = set(Path.cwd().iterdir())
    with ph.connect(f"chdb://{store.path}") as connection:
        target = Target(connection, folder)
        connection.hogql("SELECT count() FROM events")
        before = target.files()
        yield target
        assert before == target.files()
        assert before_cwd == set(Path.cwd().iterdir())
        assert (folder / "secret.csv").read_text() == f"{SECRET}\n"


def test_the_engine_could_read_the_secret(target: Target) -> None:
    """Without the boundary the same engine gives the file away, so the tests below can fail."""
    _, frame = target.connection.engine.client.query(f"SELECT * FROM file('{target.secret}', LineAsString)")

    assert [(SECRET,)] == frame.rows()


@pytest.mark.parametrize("attempt", REFUSED, ids=[attempt.id for attempt in REFUSED])
def test_attempt_is_refused_before_the_engine_sees_it(target: Target, attempt: Attempt) -> None:
    """The compiler refuses, in one sentence and not with a bug's traceback; ClickHouse is never asked."""
    with pytest.raises(HogQLError) as caught:
        target.run(attempt)

    assert caught.value.message


@pytest.mark.parametrize("attempt", HARMLESS, ids=[attempt.id for attempt in HARMLESS])
def test_attempt_is_harmless(target: Target, attempt: Attempt) -> None:
    """The attempt runs as the plain data it is, or fails with an error of ours; either way nothing leaks."""
    with suppress(PostHogEventsError):
        target.run(attempt)


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_bound_text_comes_back_unchanged(target: Target, text: str) -> None:
    """A value is one string literal, whatever is in it."""
    filled = target.fill(text)

    result = target.run(Attempt("echo", "SELECT {v} AS v, length({v}) AS n", {"v": text}))

    assert [(filled, len(filled.encode()))] == result.frame.rows()


def test_environment_is_out_of_reach(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of this process cannot be named by any placeholder or function."""
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", SECRET)

    for text in ("SELECT {POSTHOG_PERSONAL_API_KEY}", "SELECT getenv('POSTHOG_PERSONAL_API_KEY')", "SELECT {env.HOME}"):
        with pytest.raises(HogQLError):
            target.run(Attempt("environment", text))


def test_time_zone_setting_is_no_way_in(target: Target) -> None:
    """The zone of a connection must be one of the IANA database."""
    with pytest.raises(ConfigError):
        ph.connect(f"chdb://{target.folder}/store", timezone="UTC') FROM file('x') --")


def test_user_table_named_like_a_table_function_is_only_a_table(tmp_path: Path) -> None:
    """A table called `file` may be refused; if not, `file` reads it and `file(...)` is still no function."""
    import polars as pl

    secret = tmp_path / "secret.csv"
    secret.write_text(f"{SECRET}\n")
    source = tmp_path / "t.parquet"
    pl.DataFrame({"n": [7]}).write_parquet(source)
    store = build_store(tmp_path / "events")
    for name in ("file", "numbers", "url", "a b", "a'b", "x; DROP TABLE events", "../up", f"file('{secret}')"):
        try:
            store.import_table(name, source)
        except PostHogEventsError:
            continue
        with ph.connect(f"chdb://{store.path}") as connection:
            quoted = name.replace("`", "``")
            with suppress(HogQLError):  # a name that HogQL cannot say is a fair refusal
                assert [(7,)] == connection.hogql(f"SELECT n FROM `{quoted}`").rows()
            with pytest.raises(HogQLError):
                connection.hogql(f"SELECT * FROM `{quoted}`('{secret}')")


def test_hostile_column_and_property_names_are_only_names(tmp_path: Path) -> None:
    """Names that come from data, not from queries, end up quoted in SQL and read what they name."""
    import json

    import polars as pl

    secret = tmp_path / "secret.csv"
    secret.write_text(f"{SECRET}\n")
    names = [f"a`) FROM file('{secret}') --", "it's", 'double"quote', "back\\slash", "new\nline", "tick`s", "{a,b}*?"]
    source = tmp_path / "hostile.jsonl"
    event = {"event": "x", "distinct_id": "u", "timestamp": "2025-01-01T00:00:00Z", "properties": {}}
    event["properties"] = {name: f"value {number}" for number, name in enumerate(names)}
    source.write_text(json.dumps(event) + "\n")
    table = tmp_path / "odd.parquet"
    pl.DataFrame({name: [number] for number, name in enumerate(names)}).write_parquet(table)
    store = build_store(tmp_path / "events")
    assert store.import_events([source]).stored == 1

    with ph.connect(f"chdb://{store.path}") as connection:
        for number, name in enumerate(names):
            key = name.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
            frame = connection.hogql(f"SELECT properties['{key}'] AS v FROM events WHERE event = 'x'")
            assert [(f"value {number}",)] == frame.rows()

        with suppress(PostHogEventsError):  # refusing such columns is a fair answer
            store.import_table("odd", table)
            assert [tuple(range(len(names)))] == connection.hogql("SELECT * FROM odd").rows()
