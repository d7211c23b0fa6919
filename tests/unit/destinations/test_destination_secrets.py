"""Secrets: references, refusals and fingerprints."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path

import pytest

from posthog_events.destinations import Destination, SecretRef, Secrets, Webhook
from posthog_events.destinations.lifting import lift_secrets, lower_secrets
from posthog_events.destinations.secrets import inline_secret, secret_header
from posthog_events.destinations.templates import SCHEMAS, WEBHOOK
from posthog_events.errors import DeclarationError, MissingExtra

CRM = Webhook("crm", url="https://x.io/h", events=["e"], headers={"X-Key": "Bearer ${env:KEY}"})


def found(destination: Destination = CRM, **environ: str) -> Secrets:
    """Return the secrets of a destination from an environment."""
    return Secrets.find([destination], environ=environ)


def test_fingerprint_is_built_as_documented() -> None:
    """Whoever reads the module's documentation can compute the same fingerprint."""
    salt = hmac.new(b"posthog-events secret fingerprint 1", b"${env:KEY}", hashlib.sha256).digest()
    stretched = hashlib.scrypt(b"s3cr3t", salt=salt, n=16384, r=8, p=1, dklen=32)
    line = b"secret_key\0${env:KEY}\0" + stretched + b"\n"

    assert hmac.new(b"crm", line, hashlib.sha256).hexdigest()[:12] == found(KEY="s3cr3t").fingerprint(CRM)


def test_fingerprint_changes_with_secret_reference_and_destination() -> None:
    """A rotated secret is noticed, and equal secrets in two places cannot be told to be equal."""
    other = Webhook("crm", url="https://x.io/h", events=["e"], headers={"X-Key": "Bearer ${env:OTHER}"})
    prints = {
        found(KEY="one").fingerprint(CRM),
        found(KEY="two").fingerprint(CRM),
        found(KEY="one").fingerprint(replace(CRM, key="crm2")),
        found(other, OTHER="one").fingerprint(other),
    }

    assert 4 == len(prints)
    assert found(KEY="one").fingerprint(CRM) == found(KEY=" one\n").fingerprint(CRM)
    assert "" == Secrets({}).fingerprint(Webhook("plain", url="https://x.io", events=["e"]))


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("X ${env:KEY}", "", "the environment variable KEY is not set"),
        ("X ${env:KEY}", "a{b", "holds a {"),
        ("X ${env:KEY}", "a\nb", "line breaks"),
    ],
)
def test_unusable_secret_is_named_but_not_shown(text: str, value: str, why: str) -> None:
    """The message names the reference and the place, never the value."""
    destination = Webhook("crm", url="https://x.io", events=["e"], headers={"X-Key": text})
    placed = replace(destination, path=Path("d.yaml"), line=3)

    with pytest.raises(DeclarationError) as caught:
        found(placed, KEY=value)

    assert why in str(caught.value)
    assert str(caught.value).startswith("d.yaml:3: crm: the secret ${env:KEY}")
    assert not value or value not in str(caught.value)


def test_every_missing_secret_is_told_at_once() -> None:
    """Two destinations without their secrets give two faults."""
    with pytest.raises(DeclarationError) as caught:
        Secrets.find([CRM, replace(CRM, key="two")], environ={})

    assert ["crm", "two"] == [fault.message.split(":")[0] for fault in caught.value.faults]


def test_signing_secret_must_be_base64() -> None:
    """PostHog decodes the signing secret; one that cannot be decoded would sign nothing."""
    signed = Webhook("s", url="https://x.io", events=["e"], signing_secret="${env:S}")

    assert "whsec_c2VjcmV0" == found(signed, S="whsec_c2VjcmV0")[SecretRef("env", "S")]
    with pytest.raises(DeclarationError, match="cannot sign"):
        found(signed, S="not base64!")


def test_keyring_entry_is_looked_up_by_name() -> None:
    """A keyring reference asks the keyring, not the environment."""
    kept = Webhook("k", url="https://x.io", events=["e"], headers={"X-Key": SecretRef("keyring", "crm.key")})  # type: ignore[dict-item]

    secrets = Secrets.find([kept], environ={"crm.key": "wrong"}, keyring={"crm.key": "right"}.get)

    assert "right" == secrets[SecretRef("keyring", "crm.key")]


def test_missing_keyring_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, the message says what to install."""
    import sys

    monkeypatch.setitem(sys.modules, "keyring", None)
    kept = Webhook("k", url="https://x.io", events=["e"], headers={"X-Key": "${keyring:a}"})

    with pytest.raises(MissingExtra, match=r"posthog-events\[connect\]"):
        Secrets.find([kept], environ={})


def test_secrets_are_not_in_their_repr() -> None:
    """A traceback or a log of the object shows references only."""
    assert "Secrets(${env:KEY})" == repr(found(KEY="s3cr3t"))


@pytest.mark.parametrize(
    "text",
    [
        "https://hooks.slack.com/services/T00/B00/XX",
        "https://discord.com/api/webhooks/123/abc",
        "https://prod.logic.azure.com/workflows/x?sig=abcdefgh1234",
        "https://x.webhook.office.com/webhookb2/abc",
        "phx_abcdefghij1234",
        "xoxb-123-abc",
        "sk_live_abcdefgh1234",
        "whsec_MfKQ9r8GKYqrTwjU",
        "ghp_abcdefghij0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJI.eyJzdWIiOiIx.abc",
        "-----BEGIN RSA PRIVATE KEY-----",
        "https://user:pass@x.io/",
        "Bearer abcdef0123456789",
        "https://x.io/hook?token=abc",
        "https://x.io/hook?a=1&api_key=abc",
    ],
)
def test_secret_in_plain_is_recognised(text: str) -> None:
    """What grants access when read is not accepted in a file."""
    assert inline_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "${env:NAME}",
        "Bearer ${env:NAME}",
        "Bearer {inputs.secret_name}",
        "https://x.io/hook?token={inputs.secret_token}",
        "https://x.io/hook?page=3",
        "basic authentication failed for {person.name}",
        "Token limits reached: 123456789012",
        "*{event.event}* costs ${event.properties.amount}",
        "phc_abcdefghij1234",
        "https://hooks.example.com/in?token=${env:CRM_TOKEN}",
    ],
)
def test_ordinary_text_is_no_secret(text: str) -> None:
    """References, expressions and sentences are left alone; a project token is public."""
    assert inline_secret(text) is None


def test_header_named_like_a_secret_must_not_be_constant() -> None:
    """A constant under such a name is a secret; an expression, or another header, is not."""
    assert secret_header("Authorization", "abc")
    assert secret_header("X-API-Key", "abc")
    assert not secret_header("X-Api-Key", "{inputs.secret_a}")
    assert not secret_header("Content-Type", "application/json")
    assert not secret_header("X-Keyboard", "qwerty")


def test_references_become_secret_inputs_and_go_back() -> None:
    """A reference inside a text is an input of its own (reference 2.1); putting it back loses nothing."""
    inputs = {
        "url": "${env:URL}",
        "headers": {"A": "Bearer ${env:TOKEN}", "B": "${keyring:token}"},
        "body": {"list": ["${env:TOKEN}"]},
    }

    lifted, schema = lift_secrets(inputs, SCHEMAS[WEBHOOK])

    assert {
        "url": SecretRef("env", "URL"),
        "headers": {"A": "Bearer {inputs.secret_token}", "B": "{inputs.secret_keyring_token}"},
        "body": {"list": ["{inputs.secret_token}"]},
        "secret_token": SecretRef("env", "TOKEN"),
        "secret_keyring_token": SecretRef("keyring", "token"),
    } == lifted
    assert ["url", "signing_secret", "secret_token", "secret_keyring_token"] == [
        item["key"] for item in schema or () if item["secret"]
    ]
    assert inputs == lower_secrets(lifted)


def test_references_that_differ_in_a_sign_keep_apart() -> None:
    """Two names that give the same word get two inputs."""
    lifted, _ = lift_secrets({"headers": {"A": "${keyring:a.b}", "B": "${keyring:a-b}"}}, SCHEMAS[WEBHOOK])

    assert SecretRef("keyring", "a.b") == lifted["secret_keyring_a_b"]
    assert SecretRef("keyring", "a-b") == lifted["secret_keyring_a_b_2"]
