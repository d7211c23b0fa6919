"""Hosts and keys as people write them."""

from __future__ import annotations

import pytest

from posthog_events.errors import ConfigError
from posthog_events.posthog.host import Host, check_key, is_loopback, origin_of, parse_host

US = Host("https://us.posthog.com", "https://us.i.posthog.com", "us")
EU = Host("https://eu.posthog.com", "https://eu.i.posthog.com", "eu")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("us", US),
        (" EU\n", EU),
        ("https://us.posthog.com", US),
        ("https://US.PostHog.com/", US),
        ("https://us.posthog.com:443", US),
        ("http://us.posthog.com", US),
        ("us.i.posthog.com", US),
        ("https://eu.i.posthog.com", EU),
        ("eu-assets.i.posthog.com", EU),
        ("https://app.posthog.com", US),
        ("eu.posthog.com.", EU),
    ],
)
def test_every_name_of_the_cloud_becomes_its_api_and_capture_hosts(text: str, host: Host) -> None:
    """Regions, ingestion hosts and the old name lead to the API's origin, always encrypted."""
    assert host == parse_host(text)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("posthog.example.com", "https://posthog.example.com"),
        ("https://posthog.example.com:8443/", "https://posthog.example.com:8443"),
        ("posthog.example.com:8443", "https://posthog.example.com:8443"),
        ("http://posthog.example.com:80", "http://posthog.example.com"),
        ("http://posthog:8000", "http://posthog:8000"),
        ("http://posthog_web:8000", "http://posthog_web:8000"),
        ("localhost:8000", "http://localhost:8000"),
        ("localhost", "http://localhost"),
        ("127.0.0.1:8010", "http://127.0.0.1:8010"),
        ("[::1]:8010", "http://[::1]:8010"),
        ("https://localhost:8000", "https://localhost:8000"),
        ("posthog.bücher.example", "https://posthog.xn--bcher-kva.example"),
        ("notposthog.com", "https://notposthog.com"),
        ("us.posthog.com.example.org", "https://us.posthog.com.example.org"),
    ],
)
def test_an_own_posthog_is_its_own_capture_host(text: str, origin: str) -> None:
    """An installation of one's own keeps its scheme and port; only this machine is http without saying so."""
    assert Host(origin, origin) == parse_host(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("https://", "no name"),
        ("https://me:hunter2@posthog.example.com", "user name or password"),
        ("https://us.posthog.com/project/123", "has a path"),
        ("https://us.posthog.com?x=1", "has a path"),
        ("https://us.posthog.com/#hunter2", "has a path"),
        ("ftp://posthog.example.com", "ftp://"),
        ("https://posthog.com", "web site"),
        ("www.posthog.com", "web site"),
        ("https://us.posthog.com:8000", "port 8000"),
        ("https://posthog.example.com:0", "valid port"),
        ("https://posthog.example.com:99999", "not valid"),
        ("phx_hunter2hunter2", "key was given"),
        ("en", "neither a region"),
        ("https://post hog.example.com", "not a valid name"),
        ("https://-x.example.com", "not a valid name"),
        ("https://a..example.com", "not a valid name"),
        ("https://[::zz]", "not valid"),
        ("https://[1::2", "not valid"),
    ],
)
def test_other_texts_are_refused_without_being_repeated(text: str, says: str) -> None:
    """What is no host is a ConfigError that shows the way, and repeats no password or key."""
    with pytest.raises(ConfigError, match=says) as caught:
        parse_host(text)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        ("http://posthog.example.com", True),
        ("https://posthog.example.com", False),
        ("http://127.0.0.1:8000", False),
        ("localhost:8000", False),
        ("us", False),
    ],
)
def test_only_an_unencrypted_host_elsewhere_is_warned_about(text: str, warns: bool) -> None:
    """A key sent in clear over a network is worth a sentence; to this machine it is not."""
    assert warns == (parse_host(text).warning is not None)


def test_each_region_knows_the_other() -> None:
    """A key that is unknown in one region may be known in the other, and an own PostHog has no other."""
    assert (EU, US, None) == (US.other_region, EU.other_region, parse_host("localhost").other_region)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://us.posthog.com/api/?x=1", "https://us.posthog.com"),
        ("https://us.posthog.com:443/", "https://us.posthog.com"),
        ("https://us.posthog.com:8443/", "https://us.posthog.com:8443"),
        ("https://us.posthog.com@evil.example/", "https://evil.example"),
        ("http://us.posthog.com/", "http://us.posthog.com"),
        ("//evil.example/x", ""),
        ("/api/", ""),
        ("https://[::1]:80/", "https://[::1]:80"),
        ("https://x:99999999/", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_the_origin_of_a_url_is_scheme_host_and_port(url: str, origin: str) -> None:
    """Two URLs belong together when all three agree; what has none belongs to nothing."""
    assert origin == origin_of(url)


@pytest.mark.parametrize(
    ("name", "loopback"),
    [("localhost", True), ("x.localhost", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("a", False)],
)
def test_loopback_is_known_by_name_and_by_address(name: str, loopback: bool) -> None:
    """This machine has several names."""
    assert loopback == is_loopback(name)


@pytest.mark.parametrize(
    "key", ["phx_AbC123def456", "pha_AbC123def456", "oldstylekeywithoutprefix", "k-_.~+/=0123456789"]
)
def test_reading_keys_are_accepted_without_the_space_around_them(key: str) -> None:
    """Personal keys, OAuth access tokens and keys of old installations pass; a file's last newline does no harm."""
    assert key == check_key(f" {key}\n")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("phc_hunter2hunter2", "begins with phc_: a project token, which only sends"),
        ("phs_hunter2hunter2", "begins with phs_: a project secret"),
        ("phr_hunter2hunter2", "begins with phr_: an OAuth refresh"),
        ("phx_hunter2 hunter2", "white space or quotes"),
        ("phx_hunter2\nhunter2", "white space or quotes"),
        ('"phx_hunter2hunter2"', "white space or quotes"),
        ("Bearer phx_hunter2hunter2", "word Bearer"),
        ("phx_hunter2…", "characters"),
        ("phx_hunter2...", "characters"),
        ("<hunter2-key>", "characters"),
        ("phx_hunter2\x00", "characters"),
        ("phx_", "copy all of it"),
    ],
)
def test_keys_that_cannot_read_are_refused_without_being_repeated(key: str, says: str) -> None:
    """Each has its sentence, and none shows the key."""
    with pytest.raises(ConfigError, match=says) as caught:
        check_key(key)

    assert "hunter2" not in str(caught.value)
