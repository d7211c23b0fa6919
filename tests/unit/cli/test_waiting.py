"""What a person reads while nothing seems to happen."""

from __future__ import annotations

import io
import sys
import time

import pytest

from posthog_events.cli import waiting
from posthog_events.cli.progress import stderr_console
from posthog_events.cli.waiting import watching
from posthog_events.posthog.answer import QueryProgress
from posthog_events.posthog.failures import Failure, Kind
from posthog_events.posthog.http import Bucket
from posthog_events.posthog.observer import Observer
from posthog_events.posthog.pace import Cause, Wait
from posthog_events.posthog.retry import Attempt


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch, *, kind: str = "xterm") -> Screen:
    """Put a terminal in the place of stderr; within the test, because pytest changes stderr before it."""
    shown = Screen()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", kind)
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    stderr_console.cache_clear()
    return shown


def attempt(seconds: float, *, kind: Kind = Kind.RATE) -> Attempt:
    return Attempt(1, "POST query/", Failure(kind), seconds, 0.0)


def pause(seconds: float) -> Wait:
    return Wait(Bucket.QUERY, seconds, Cause.PAUSE, "in a pause that PostHog asked for")


def tell(observer: Observer, *news: Attempt | Wait | QueryProgress) -> None:
    """Call the observer's functions as client, pace and engine do."""
    assert observer.attempt is not None
    assert observer.wait is not None
    assert observer.progress is not None
    for one in news:
        if isinstance(one, Attempt):
            observer.attempt(one)
        elif isinstance(one, Wait):
            observer.wait(one)
        else:
            observer.progress(one)


class TestInAPipe:
    def test_each_reason_is_one_line_with_its_time(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Seconds up to a minute, then minutes and seconds; parts of a second are rounded up."""
        with watching() as observer:
            tell(observer, attempt(36.2), pause(125))

        assert capsys.readouterr().err == (
            "rate limit; trying POST query/ again (in 37 s)\n"
            "the project is in a pause that PostHog asked for; going on (in 2:05 minutes)\n"
        )

    def test_same_reason_is_not_repeated(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The pace reports every five seconds; a log gets one line, and another when the reason changes."""
        with watching() as observer:
            tell(observer, pause(30), pause(25), pause(20), attempt(4, kind=Kind.BUSY), pause(30))

        assert [
            "the project is in a pause that PostHog asked for; going on (in 30 s)",
            "PostHog busy; trying POST query/ again (in 4 s)",
            "the project is in a pause that PostHog asked for; going on (in 30 s)",
        ] == capsys.readouterr().err.splitlines()

    def test_short_waits_and_progress_are_not_mentioned(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Below two seconds nobody wonders; a log is not filled with figures that change all the time."""
        with watching() as observer:
            tell(observer, attempt(1.9), pause(0.5), QueryProgress(rows_read=10, time_elapsed=1.0))

        assert "" == capsys.readouterr().err

    def test_terminal_that_cannot_redraw_gets_lines_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An editor's shell is a terminal without cursor movement."""
        screen = terminal(monkeypatch, kind="dumb")

        with watching() as observer:
            tell(observer, attempt(37))

        assert "rate limit; trying POST query/ again (in 37 s)\n" == screen.getvalue()


class TestOnATerminal:
    def test_countdown_counts_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The line says what is left now, changes with the reason, and is empty when the wait is over."""
        screen = terminal(monkeypatch)
        now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: now)
        waits = waiting._Waits()
        try:
            waits.attempt(attempt(37))
            first = waits.__rich__().plain
            now += 30
            second = waits.__rich__().plain
            waits.wait(pause(90))
            third = waits.__rich__().plain
            now += 91
            last = waits.__rich__().plain
        finally:
            waits.close()

        assert "rate limit; trying POST query/ again (in 37 s)" == first
        assert "rate limit; trying POST query/ again (in 7 s)" == second
        assert "the project is in a pause that PostHog asked for; going on (in 1:30 minutes)" == third
        assert "" == last
        assert "rate limit; trying POST query/ again" in screen.getvalue()

    def test_progress_of_a_queued_query(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rows read, of how many, and since when."""
        terminal(monkeypatch)
        waits = waiting._Waits()
        try:
            waits.progress(QueryProgress(rows_read=1_234_567, estimated_rows_total=9_000_000, time_elapsed=12.4))
            known = waits.__rich__().plain
            waits.progress(QueryProgress(rows_read=5, time_elapsed=1.0))
            unknown = waits.__rich__().plain
        finally:
            waits.close()

        assert "PostHog has read 1,234,567 rows of about 9,000,000 in 12 s" == known
        assert "PostHog has read 5 rows in 1 s" == unknown

    def test_line_is_erased_when_it_is_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What stands after the command's end is its output alone: the line is cleared, the cursor is back."""
        screen = terminal(monkeypatch)

        with watching() as observer:
            tell(observer, attempt(37))

        assert "\x1b[2K" in screen.getvalue()
        assert screen.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")
