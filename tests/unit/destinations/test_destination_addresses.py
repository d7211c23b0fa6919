"""Addresses that PostHog's servers cannot or must not use."""

from __future__ import annotations

import pytest

from posthog_events.destinations import Discord, SecretRef, Secrets, Slack, Teams, Webhook
from posthog_events.destinations.addresses import address_faults, is_private, url_fault


@pytest.mark.parametrize(
    "host",
    [
        *["localhost", "127.0.0.1", "::1", "10.0.0.5", "192.168.1.2", "172.16.0.1", "169.254.169.254", "100.64.0.1"],
        *["0.0.0.0", "fd00::1", "::ffff:10.0.0.1", "printer.local", "db.internal", "intranet", "2130706433", "0x7f.1"],
    ],
)
def test_private_host_is_recognised(host: str) -> None:
    """PostHog refuses these when it sends (reference 6)."""
    assert is_private(host)


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8", "2606:4700::1111", "localhost.example.com"])
def test_public_host_is_let_through(host: str) -> None:
    """Addresses of the internet are fine."""
    assert not is_private(host)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://x.io", "begins with https://"),
        ("http://x.io/", "use https://"),
        ("https://{event.x}/", "written out"),
        ("https://x.io{event.x}", "written out"),
        ("https://x.io:port/", "not a URL"),
    ],
)
def test_url_that_cannot_be_used_is_explained(url: str, why: str) -> None:
    """A URL needs https and a host that no event decides."""
    assert why in (url_fault(url) or "")


def test_url_to_this_machine_may_be_plain_http() -> None:
    """A receiver under development has no certificate."""
    assert url_fault("http://127.0.0.1:8000/hook?x={event.uuid}") is None
    assert url_fault("https://x.io/{event.event}") is None


def test_loopback_is_refused_for_a_real_project_only() -> None:
    """The emulator reaches this machine, PostHog does not."""
    hook = Webhook("w", url="http://localhost:8000/h", events=["e"])

    assert [] == address_faults([hook], Secrets({}), local=True)
    (fault,) = address_faults([hook], Secrets({}), local=False)
    assert "cannot reach it" in fault.message


def test_secret_urls_are_checked_and_not_repeated() -> None:
    """A wrong service is noticed before the first delivery fails, and the URL stays secret."""
    ref = SecretRef("env", "U")
    secrets = Secrets({ref: "https://example.com/hidden"})
    made = [
        Slack("s", webhook_url=ref, message="x", events=["e"]),
        Discord("d", webhook_url=ref, message="x", events=["e"]),
        Teams("t", webhook_url=ref, message="x", events=["e"]),
    ]

    faults = address_faults(made, secrets, local=False)

    assert ["slack", "discord", "teams"] == [
        kind for fault in faults for kind in ("slack", "discord", "teams") if f"not a {kind} webhook" in fault.message
    ]
    assert "hidden" not in "".join(map(str, faults))


def test_right_services_pass() -> None:
    """URLs as the services give them are accepted."""
    urls = {
        "S": "https://hooks.slack.com/services/T/B/X",
        "D": "https://discord.com/api/webhooks/12/ab-c",
        "T": "https://prod-1.westeurope.logic.azure.com:443/workflows/abc?sig=x",
    }
    secrets = Secrets({SecretRef("env", name): url for name, url in urls.items()})
    made = [
        Slack("s", webhook_url="${env:S}", message="x", events=["e"]),
        Discord("d", webhook_url="${env:D}", message="x", events=["e"]),
        Teams("t", webhook_url="${env:T}", message="x", events=["e"]),
    ]

    assert [] == address_faults(made, secrets, local=False)
