"""Text from outside is shown without secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_events.posthog.redact import Redactor, shorten

SECRET = "old/style+key=9Z"
US = "https://us.posthog.com"
REDACT = Redactor(SECRET, origin=US)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {SECRET} is invalid", "key … is invalid"),
        ("key old%2Fstyle%2Bkey%3D9Z is invalid", "key … is invalid"),
        ("phx_Abc123Def and phc_Abc123Def", "phx_… and phc_…"),
        ("pha_Abc-123_Def, phs_Abc123Def, phr_Abc123Def.", "pha_…, phs_…, phr_…."),
        ("graphs_total and php_version stay", "graphs_total and php_version stay"),
        ("Authorization: Bearer abc123def456", "Authorization: Bearer …"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "{'Authorization': 'Basic …'}"),
        ("sent Bearer abc123def456", "sent Bearer …"),
        ("Bearer authentication is needed", "Bearer authentication is needed"),
        ('{"personal_api_key": "zzz", "event": "a"}', '{"personal_api_key": "…", "event": "a"}'),
        ("?personal_api_key=zzz&event=a", "?personal_api_key=…&event=a"),
        ("refresh_token=zzz", "refresh_token=…"),
        (
            "/b/k.parquet?X-Amz-Credential=AK%2F1&X-Amz-Signature=ff&part=1",
            "/b/k.parquet?X-Amz-Credential=…&X-Amz-Signature=…&part=1",
        ),
        ("see https://b.s3.amazonaws.com/k?a=1&b=2 for it", "see https://b.s3.amazonaws.com/k?… for it"),
        (f"see {US}/api/projects/1/events/?event=a", f"see {US}/api/projects/1/events/?event=a"),
        (f"see {US}/x?personal_api_key=zzz", f"see {US}/x?personal_api_key=…"),
        ("see http://us.posthog.com/x?a=1", "see http://us.posthog.com/x?…"),
        ("proxy http://me:hunter2@proxy.example:3128 failed", "proxy http://proxy.example:3128 failed"),
        ("https://[broken?token=1 here", "… here"),
        ("two\r\nlines\x1b[31m and\x00 escapes", "two lines [31m and  escapes"),
    ],
)
def test_secrets_are_masked_and_the_rest_is_kept(text: str, shown: str) -> None:
    """Each kind of secret is replaced where it stands; words that only look alike are not."""
    assert shown == REDACT.text(text)


def test_data_is_masked_at_every_depth() -> None:
    """The API's `extra` is any JSON: texts and names in it are masked, and its form is kept."""
    data = {"a": [SECRET, 1, None, {"phx_Abc123Def": "see phx_Abc123Def"}], "start": 7}

    assert {"a": ["…", 1, None, {"phx_…": "see phx_…"}], "start": 7} == REDACT.data(data)


def test_a_redactor_does_not_show_what_it_hides() -> None:
    """Neither repr nor str holds a secret."""
    assert SECRET not in repr(REDACT) + str(REDACT)


def test_a_secret_within_another_leaves_nothing_behind() -> None:
    """The longer one is masked first."""
    assert "…" == Redactor("abcd", "abcdefgh").text("abcdefgh")


def test_a_secret_across_the_cut_is_not_half_shown() -> None:
    """Text is masked before it is cut."""
    assert "xxxxx……" == REDACT.text("xxxxx" + SECRET + "y" * 50, max_chars=7)


@pytest.mark.parametrize(("text", "shown"), [("abcde", "abcde"), ("abcdef", "abcd…"), ("", "")])
def test_long_text_is_cut_with_a_sign(text: str, shown: str) -> None:
    """The sign counts as a character."""
    assert shown == shorten(text, 5)


@given(
    before=st.text(), after=st.text(), other=st.sampled_from(["", "https://x.example/?q=", "Bearer ", '"', "api_key="])
)
def test_a_known_secret_is_never_shown(before: str, after: str, other: str) -> None:
    """Whatever stands around it."""
    assert SECRET not in REDACT.text(f"{before}{other}{SECRET}{after}")
