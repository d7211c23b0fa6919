"""What the boundary prints and which code it leaves with."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import click
import pytest

from posthog_events.cli.errors import report
from posthog_events.errors import (
    ConfigError,
    Fault,
    HogQLSyntaxError,
    MissingExtra,
    ParameterError,
    StoreNotFound,
    TruncatedResult,
)

HOGQL = HogQLSyntaxError("unexpected FORM", text="SELECT 1\nFORM events", start=9, end=13, name="a.sql", first_line=4)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("no such engine: x://"), 2, "error: no such engine: x://\n"),
        (HOGQL, 1, "error: a.sql:5:1: unexpected FORM\nFORM events\n^^^^\n"),
        (
            ParameterError([Fault("since is missing"), Fault("n is no integer", Path("a.sql"), 3, 7)]),
            2,
            "error: since is missing\nerror: a.sql:3:7: n is no integer\n",
        ),
        (
            MissingExtra("The local engine", "local"),
            1,
            'error: The local engine needs more packages. Install them with: pip install "posthog-events[local]"\n',
        ),
        (KeyboardInterrupt(), 130, "error: stopped\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.csv"), 1, "error: a.csv does not exist\n"),
        (
            IsADirectoryError(errno.EISDIR, "Is a directory", "out"),
            1,
            "error: out is a directory, but a file is needed\n",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", b"out.csv"),
            1,
            "error: out.csv may not be used by this user; check its permissions\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            "error: no space is left on the disk of the output; free some, or choose another place\n",
        ),
        (OSError(errno.ELOOP, "Too many links", "a"), 1, "error: a cannot be used: Too many links\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_error_is_one_sentence_with_its_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    """People read a sentence on stderr, nothing on stdout, and no traceback."""
    returned = report(error, as_json=False, debug=False)

    assert ((code, "", message)) == (returned, *capsys.readouterr())


def test_json_document_carries_the_position(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the error is one document on stdout; its message leaves position and excerpt to their own fields."""
    report(HOGQL, as_json=True, debug=False)
    out, err = capsys.readouterr()

    expected = {
        "ok": False,
        "error": {
            "type": "HogQLSyntaxError",
            "message": "unexpected FORM",
            "exit_code": 1,
            "name": "a.sql",
            "line": 5,
            "column": 1,
            "excerpt": "FORM events\n^^^^",
        },
    }
    assert (expected, "") == (json.loads(out), err)


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (TruncatedResult(100, 100, "trends"), {"rows": 100, "limit": 100, "query": "trends", "clamped": False}),
        (StoreNotFound(Path("events")), {"path": "events"}),
        (
            ParameterError([Fault("n is no integer", Path("a.sql"), 3)]),
            {"faults": [{"message": "n is no integer", "path": "a.sql", "line": 3, "column": None}]},
        ),
    ],
    ids=["truncated", "path", "faults"],
)
def test_json_document_carries_the_data_of_the_error(
    capsys: pytest.CaptureFixture[str], error: Exception, data: dict[str, object]
) -> None:
    """Every attribute of an error is in the document, as plain JSON."""
    report(error, as_json=True, debug=False)
    document = json.loads(capsys.readouterr().out)["error"]

    assert data == {key: value for key, value in document.items() if key not in ("type", "message", "exit_code")}


def test_usage_error_shows_how_to_get_help(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option is click's own message and exit code 2; with --json it is a document too."""
    error = click.UsageError("No such option: --bogus", click.Context(click.Command("run"), info_name="run"))

    assert report(error, as_json=False, debug=False) == 2
    out, err = capsys.readouterr()
    assert ("", True) == (out, err.endswith("Error: No such option: --bogus\n"))
    assert report(error, as_json=True, debug=False) == 2
    out, err = capsys.readouterr()
    assert ("No such option: --bogus", "") == (json.loads(out)["error"]["message"], err)


@pytest.mark.parametrize("as_json", [False, True])
def test_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    """An exception that we did not raise on purpose shows where it came from, and where to report it."""
    try:
        _ = {}["timestamp"]
    except KeyError as error:
        code = report(error, as_json=as_json, debug=False)
    out, err = capsys.readouterr()

    assert code == 1
    assert err.startswith("Traceback (most recent call last):")
    assert "KeyError: 'timestamp'" in err
    assert "This is a bug in posthog-events. Please report it" in err
    assert as_json == bool(out)
    if as_json:
        assert {"type": "KeyError", "message": "'timestamp'", "exit_code": 1} == json.loads(out)["error"]


def test_debug_shows_the_traceback_of_an_expected_error(capsys: pytest.CaptureFixture[str]) -> None:
    """--debug adds the traceback and keeps the sentence."""
    try:
        raise ConfigError("no such engine")
    except ConfigError as error:
        report(error, as_json=False, debug=True)
    err = capsys.readouterr().err

    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith("error: no such engine\n")
