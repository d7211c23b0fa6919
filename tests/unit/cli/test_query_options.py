"""Parameters, files and formats as they are written on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthog_events.cli.main import main
from posthog_events.cli.options import inline_values, search_folders, settings_from


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("u1", "u1"),
        ("42", 42),
        ('"42"', "42"),
        ("2.5", 2.5),
        ("-1", -1),
        ("true", True),
        ("null", None),
        ('["a", 1]', ["a", 1]),
        ('{"a": 1}', '{"a": 1}'),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("2026-01-31", "2026-01-31"),
        ("", ""),
        ("'; DROP TABLE events", "'; DROP TABLE events"),
    ],
)
def test_inline_value_has_its_obvious_type(text: str, value: object) -> None:
    """Numbers, booleans, null, lists and quoted text are read as JSON; everything else is text."""
    found = inline_values({"v": text})["v"]

    assert (type(value), value) == (type(found), found)


def test_value_given_twice_is_a_list() -> None:
    """Each element has a type of its own."""
    assert inline_values({"v": ["a", "1"]}) == {"v": ["a", 1]}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["query", "run"], "give either the NAME of a query file or --execute HOGQL."),
        (["query", "run", "funnel", "-e", "SELECT 1"], "give either the NAME of a query file or --execute HOGQL."),
        (["query", "run", "funnel", "-p", "steps"], "'steps' is not NAME=VALUE, such as since=-7d"),
        (["query", "run", "funnel", "-p", "=1"], "'=1' is not NAME=VALUE"),
        (["query", "run", "funnel", "--dsn", "chdb://./a", "--store", "a"], "--dsn and --store both say where"),
        (["query", "run", "--chart", "funnel"], "'funnel' is no chart file (.png, .svg, .html)"),
        (["query", "run", "funnel", "--rows", "0"], "0 is not in the range x>=1"),
        (["query", "run", "funnel", "--format", "xlsx"], "'xlsx' is not one of"),
    ],
)
def test_wrong_usage_is_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    """A command line that makes no sense is exit code 2 and one message, without an engine."""
    code = main(argv)
    out, err = capsys.readouterr()

    assert (2, "") == (code, out)
    assert message in err


def test_folders_of_the_call_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is: --queries, ./queries, configured folders, the shipped library."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTHOG_EVENTS_QUERIES", raising=False)
    (tmp_path / "posthog-events.toml").write_text('queries = ["configured"]\n')

    given = search_folders(settings_from(queries=[Path("given")]))
    configured = search_folders(settings_from())

    assert [Path("given"), Path("queries")] == list(given[:2])
    assert [Path("queries"), Path("configured")] == list(configured[:2])
    assert given[-1] == configured[-1]
    assert (configured[-1] / "funnel.sql").is_file()
