"""Which live destination is meant: by mark, by path when asked to, by id; never by name."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_events.destinations import Webhook
from posthog_events.destinations.matching import Matching, key_of, match
from posthog_events.errors import DeclarationError
from tests.helpers.fake_destinations import row_of

HOOK = Webhook("Crm", key="crm", url="https://crm.example.com/hooks/posthog", events=["e"])
OTHER = Webhook("Other", key="other", url="https://other.example.com/x", events=["e"])
MARK = "managed by posthog-events, key="


def foreign(id_: str, url: Any = "https://crm.example.com/hooks/posthog", **changes: Any) -> dict[str, Any]:
    """Return a webhook that somebody made in PostHog."""
    return row_of(HOOK, id_=id_, description="by hand", inputs={"url": {"value": url}}) | changes


def faults(*declared: Any, rows: list[Any], **options: Any) -> list[str]:
    """Return what is said against a match."""
    with pytest.raises(DeclarationError) as caught:
        match(declared, rows, **options)
    return [str(fault) for fault in caught.value.faults]


def only(found: Matching) -> tuple[str | None, bool]:
    """Return the id that the only declaration was found as, and whether it is adopted."""
    (one,) = found.matches
    return (str(one.row["id"]) if one.row else None), one.adopted


def test_mark_finds_what_was_renamed_and_moved() -> None:
    """Name and URL may be anything; the mark is the identity."""
    row = row_of(HOOK, id_="a", name="Renamed", inputs={"url": {"value": "https://elsewhere.example.com"}})

    assert ("a", False) == only(match([HOOK], [row]))


def test_same_name_and_url_is_not_ours() -> None:
    """A destination without the mark is never matched; that it sends to the same URL is reported."""
    found = match([HOOK], [foreign("a", name="Crm")])

    assert (None, False) == only(found)
    assert ["a"] == [twin["id"] for twin in found.matches[0].twins]


@pytest.mark.parametrize(
    ("url", "is_twin"),
    [
        ("https://crm.example.com/hooks/posthog/", True),
        ("https://CRM.example.com/hooks/posthog?x=1", True),
        ("https://staging.example.com/hooks/posthog", False),
        ("https://crm.example.com/hooks", False),
        ("https://[", False),
        (None, False),
        (7, False),
    ],
    ids=["slash", "case", "another host", "another path", "no URL", "secret", "number"],
)
def test_twin_sends_to_the_same_address(url: Any, is_twin: bool) -> None:
    """Only one at the same host and path would deliver the same twice."""
    assert is_twin == bool(match([HOOK], [foreign("a", url)]).matches[0].twins)


def test_what_is_not_declared_is_an_orphan_only_when_it_is_ours() -> None:
    """Others are not even mentioned."""
    found = match([HOOK], [row_of(HOOK, id_="a"), row_of(OTHER, id_="b"), foreign("c")])

    assert ["b"] == [row["id"] for row in found.orphans]


def test_copy_made_in_posthog_is_refused_with_both_ids() -> None:
    """PostHog's "duplicate" copies the description; nobody can tell which of the two is meant."""
    copied = row_of(HOOK, id_="b", name="Crm (copy)")

    (said,) = faults(HOOK, rows=[row_of(HOOK, id_="a"), copied])

    assert "crm: several destinations in PostHog carry its mark: a ('Crm'), b ('Crm (copy)'); delete" in said


@pytest.mark.parametrize("keys", [("crm", "crm"), ("other", "crm")], ids=["twice", "with another"])
def test_description_with_several_marks_is_refused(keys: tuple[str, str]) -> None:
    """A mark pasted below another leaves open whose it is, and creating one more would deliver twice."""
    row = row_of(HOOK, id_="a", description="\n".join(f"{MARK}{key}" for key in keys))

    assert key_of(row) is None
    assert any("a ('Crm') carries several marks" in said for said in faults(HOOK, rows=[row]))
    assert any("carries several marks" in said for said in faults(HOOK, rows=[row], adopt={"crm": "a"}))


def test_several_marks_of_others_are_none_of_our_business() -> None:
    """Another declaration's trouble does not stop this one."""
    row = row_of(HOOK, id_="a", description=f"{MARK}x\n{MARK}y", inputs={})

    assert (None, False) == only(match([HOOK], [row]))


def test_names_cannot_write_to_the_terminal() -> None:
    """A name is what anybody typed into PostHog: control characters are shown, not sent."""
    rows = [row_of(HOOK, id_="a", name="x\x1b]0;owned\x07\n"), row_of(HOOK, id_="b", name=None)]

    (said,) = faults(HOOK, rows=rows)

    assert "'x\\x1b]0;owned\\x07\\n'" in said
    assert said.isprintable()


# -- adoption -------------------------------------------------------------------------------------------------------


def test_adoption_by_id_takes_that_one() -> None:
    """Whatever its URL."""
    rows = [foreign("a"), foreign("b", "https://elsewhere.example.com/y")]

    assert ("b", True) == only(match([HOOK], rows, adopt={"crm": "b"}))


def test_adoption_by_path_prefers_the_same_host() -> None:
    """A destination of staging with the same path is not taken while the right one is there."""
    rows = [foreign("staging", "https://staging.example.com/hooks/posthog"), foreign("a")]

    assert ("a", True) == only(match([HOOK], rows, adopt={"crm": None}))


def test_adoption_by_path_finds_one_whose_host_moved() -> None:
    """The path is what stays."""
    rows = [foreign("a", "https://old.example.com/hooks/posthog/")]

    assert ("a", True) == only(match([HOOK], rows, adopt={"crm": None}))


@pytest.mark.parametrize(
    ("rows", "adopt", "said"),
    [
        (
            [foreign("a"), foreign("b")],
            None,
            "crm: --adopt: several destinations send to this URL; name one: a ('Crm')",
        ),
        (
            [foreign("a", "https://x.io/hooks/posthog"), foreign("b", "https://y.io/hooks/posthog")],
            None,
            "crm: --adopt: several destinations send to this URL; name one: a ('Crm'), b ('Crm')",
        ),
        ([], None, "crm: --adopt: no destination that can be seen sends to this URL; give its id: --adopt KEY=ID"),
        ([foreign("a", None)], None, "crm: --adopt: no destination that can be seen sends to this URL"),
        ([foreign("a")], "b", "crm: --adopt: there is no destination b in PostHog that is not managed already"),
        ([row_of(OTHER, id_="b")], "b", "crm: --adopt: there is no destination b in PostHog that is not managed"),
        ([row_of(HOOK, id_="a"), foreign("b")], "b", "crm: is a ('Crm') already and cannot adopt b as well"),
    ],
    ids=["two", "two hosts", "none", "secret", "no such id", "another's", "has one"],
)
def test_adoption_that_is_not_certain_is_refused(rows: list[Any], adopt: str | None, said: str) -> None:
    """With the way out."""
    (fault,) = faults(HOOK, rows=rows, adopt={"crm": adopt})

    assert fault.startswith(said)


@pytest.mark.parametrize("wanted", [None, "a"], ids=["by path", "by id"])
def test_adopting_what_is_ours_already_means_nothing(wanted: str | None) -> None:
    """The same command can be run again after it adopted."""
    assert ("a", False) == only(match([HOOK], [row_of(HOOK, id_="a"), foreign("b")], adopt={"crm": wanted}))


def test_url_without_a_path_identifies_nothing() -> None:
    """Every host has a root."""
    root = Webhook("Root", key="root", url="https://crm.example.com/", events=["e"])

    (said,) = faults(root, rows=[foreign("a", "https://crm.example.com")], adopt={"root": None})

    assert "no destination that can be seen" in said


def test_secret_url_is_adopted_by_id_only() -> None:
    """What is a secret is compared with nothing."""
    hidden = Webhook("Crm", key="crm", url="${env:URL}", events=["e"])

    assert any("give its id" in said for said in faults(hidden, rows=[foreign("a")], adopt={"crm": None}))
    assert ("a", True) == only(match([hidden], [foreign("a")], adopt={"crm": "a"}))


def test_two_declarations_cannot_adopt_the_same() -> None:
    """Both are told."""
    said = faults(HOOK, OTHER, rows=[foreign("a")], adopt={"crm": "a", "other": "a"})

    assert ["crm: another declaration adopts a too", "other: another declaration adopts a too"] == said


def test_unknown_keys_to_adopt_are_listed_in_order() -> None:
    """A misspelt key adopts nothing silently."""
    said = faults(HOOK, rows=[], adopt={"zeta": None, "alpha": "x"})

    assert ["--adopt alpha: no declaration has this key", "--adopt zeta: no declaration has this key"] == said
