"""A plan as a file, and as Markdown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from posthog_events.destinations import Discord, SecretRef, Secrets, Slack, Webhook
from posthog_events.destinations.diff import Change, Diff
from posthog_events.destinations.plan import Plan, Step, make_plan
from posthog_events.destinations.plan_file import load_plan, markdown_of, plan_bytes, save_plan
from posthog_events.errors import ConfigError
from tests.helpers.fake_destinations import live_of, row_of

AT = datetime(2026, 9, 1, 12, 30, 15, 123456, tzinfo=UTC)
HOOK = Webhook(
    "Crm ✓",
    key="crm",
    url="https://crm.example.com/hooks/posthog",
    headers={"X-Crm": "Bearer ${env:KEY}"},
    signing_secret="${keyring:sign}",
    events=["e", {"event": "f", "where": ["amount >= 100.5", "plan in [a, b]"]}],
    once_per={"key": "person", "interval": "1h", "every": 10},
    body={"deep": [{"x": "{event.event}", "n": None, "big": 2**53 + 1, "small": 1e-9}], "empty": []},
)
SLACK = Slack(
    "Chat", key="chat", channel="C0123ABCDEF", message="*{event.event}*", events=["e"], description="Two\nlines"
)
DISCORD = Discord("D", key="d", webhook_url="${env:URL}", message="x", events=["e"], enabled=False)
SECRETS = Secrets(
    {
        SecretRef("env", "KEY"): "correct horse battery",
        SecretRef("keyring", "sign"): "whsec_Y29ycmVjdA==",
        SecretRef("env", "URL"): "https://discord.com/api/webhooks/1/staple",
    }
)


@pytest.fixture
def plan() -> Plan:
    """A plan with one step of each kind."""
    rows = [
        row_of(HOOK, SECRETS, id_="a", name="Old", masking=None, description="by hand"),
        row_of(replace(HOOK, key="gone"), SECRETS, id_="b"),
        row_of(DISCORD, SECRETS, id_="c"),
    ]
    live = live_of(*rows, workspaces={7: "Main"})
    return make_plan([HOOK, SLACK, DISCORD], live, SECRETS, made_at=AT, adopt={"crm": "a"}, prune="delete")


def tampered(plan: Plan, path: Path, **changes: Any) -> Path:
    """Save a plan with other fields."""
    document = {**json.loads(plan_bytes(plan)), **changes}
    path.write_text(json.dumps(document))
    return path


def test_plan_is_read_as_it_was_saved(plan: Plan, tmp_path: Path) -> None:
    """Every value of it, declarations included, so that it can be compared with one that is made anew."""
    save_plan(plan, tmp_path / "plan.json")
    read = load_plan(tmp_path / "plan.json")

    assert ["update", "create", "unchanged", "delete"] == [step.action for step in plan.steps]
    assert plan == read
    assert () == plan.differs(read)
    assert str(plan) == str(read)


def test_plan_without_declarations_is_read_as_it_was_saved(tmp_path: Path) -> None:
    """One that only takes away, with orphans or without."""
    live = live_of(row_of(HOOK, SECRETS, id_="b"))
    for prune in (None, "disable"):
        plan = make_plan([], live, SECRETS, made_at=AT, prune=prune)  # type: ignore[arg-type]
        save_plan(plan, tmp_path / "plan.json")

        assert plan == load_plan(tmp_path / "plan.json")


def test_plan_holds_no_secret(plan: Plan) -> None:
    """In no form of it."""
    shown = f"{plan_bytes(plan).decode()} {plan} {plan!r} {markdown_of(plan)}"

    for value in SECRETS.values():
        assert value not in shown
    assert "${env:KEY}" in shown


def test_same_plan_is_the_same_bytes(plan: Plan) -> None:
    """A saved plan can be compared with `diff`."""
    assert plan_bytes(plan) == plan_bytes(replace(plan))
    assert plan_bytes(plan).endswith(b"}\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a plan"),
        (b"[]", "is not a plan"),
        (b"null", "is not a plan"),
        (b"\xff", "is not a plan"),
        (b"{}", "is a plan of another version (None)"),
        (b'{"format": 2}', "is a plan of another version (2)"),
        (b'{"format": 1}', "is not a plan"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """With the file's name."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load_plan(path)

    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("cut", [10, 100, 1000])
def test_half_a_plan_is_refused(plan: Plan, tmp_path: Path, cut: int) -> None:
    """A write that was cut leaves nothing that could be applied."""
    path = tmp_path / "plan.json"
    path.write_bytes(plan_bytes(plan)[:-cut])

    with pytest.raises(ConfigError):
        load_plan(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": [{"action": "drop"}]},
        {"steps": [{"action": "create", "key": "x"}]},
        {"project_id": "7"},
        {"made_at": "yesterday"},
        {"prune": "everything"},
        {"more": 1},
        {"declarations": ["key: crm\n"]},
        {"declarations": ["key: [\n"]},
        {"declarations": "key: crm\n"},
        {"declarations": None},
    ],
    ids=lambda changes: f"{next(iter(changes))}",
)
def test_tampered_plan_is_refused(plan: Plan, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Whatever is not what is written here; lines of the text inside are not those of the file."""
    path = tampered(plan, tmp_path / "plan.json", **changes)

    with pytest.raises(ConfigError) as caught:
        load_plan(path)

    assert str(caught.value).startswith(str(path))


def test_missing_file_and_folder_are_named(plan: Plan, tmp_path: Path) -> None:
    """No traceback."""
    with pytest.raises(ConfigError, match=r"cannot read .*none\.json"):
        load_plan(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="cannot read"):
        load_plan(tmp_path)
    with pytest.raises(ConfigError, match="cannot write"):
        save_plan(plan, tmp_path / "none" / "plan.json")


# -- Markdown -------------------------------------------------------------------------------------------------------


def test_markdown_has_a_row_for_each_change(plan: Plan) -> None:
    """What stays as it is would only be noise in a pull request."""
    lines = markdown_of(plan).splitlines()

    assert "### Destinations of project 7: 1 to create, 1 to update, 1 unchanged, 1 to delete" == lines[0]
    assert ["update", "create", "delete"] == [line.split(" | ")[0].removeprefix("| ") for line in lines[4:]]
    assert "**Note:** takes over 'Old', which was not managed" in lines[4]


def test_markdown_of_nothing_is_a_line(plan: Plan) -> None:
    """And names what is left alone."""
    empty = replace(plan, steps=(), orphans=(("b", "gone", "Gone"),))

    assert ["### Destinations of project 7: nothing declared", "", "Not declared, left alone: `gone` (b)"] == (
        markdown_of(empty).splitlines()
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[x](javascript:1)", "\\[x\\](javascript:1)"),
        ("a\nb", "a b"),
        ("a\r\nb", "a  b"),
        ("`x`", "\\`x\\`"),
        ("back\\slash", "back\\\\slash"),
        ("# title", "\\# title"),
    ],
    ids=["pipe", "tag", "link", "line", "carriage", "code", "backslash", "title"],
)
def test_markdown_shows_names_as_they_are(plan: Plan, value: str, shown: str) -> None:
    """No text of PostHog's or of a declaration ends a cell, or becomes a tag, a link or a heading."""
    step = Step("update", "crm", value, "a", Diff((Change("name", "x", "y"),), ("name",)))

    (line,) = [line for line in markdown_of(replace(plan, steps=(step,))).splitlines() if line.startswith("| update")]

    assert f'| update | `crm` {shown} | \\~ name: "x" -&gt; "y" |' == line
