"""Literals and names as HogQL text."""

from __future__ import annotations

import pytest

from posthog_events.hogql.quoting import identifier, string


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("event", "event"),
        ("$session_id", "$session_id"),
        ("two words", "`two words`"),
        ("1st", "`1st`"),
        ("", "``"),
        ("a`b", "`a``b`"),
        ("it's", "`it's`"),
        ("tab\there", r"`tab\there`"),
        ("back\\slash", r"`back\\slash`"),
        ("Select", "`Select`"),
        ("naïve", "`naïve`"),
        ("event\n", r"`event\n`"),
    ],
)
def test_identifier_is_quoted_when_it_is_no_plain_word(name: str, expected: str) -> None:
    """Anything but a plain word that is no keyword stands in back-ticks."""
    assert expected == identifier(name)


def test_keywords_stay_bare_when_asked() -> None:
    """A column name on PostHog quotes no keyword."""
    assert "date" == identifier("date", keywords=False)


def test_string_escapes_quotes_backslashes_and_control_characters() -> None:
    """Every character that HogQL has an escape for is escaped."""
    assert r"'it\'s \\ \n\t\r\b\f\a\v é'" == string("it's \\ \n\t\r\b\f\a\v é")
