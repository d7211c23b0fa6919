"""Emulated logs, metrics and watcher states of hog functions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_events.emulator.hog_metrics import count, log
from posthog_events.emulator.hog_state import DeliveryRules
from posthog_events.emulator.hog_watcher import spend
from tests.helpers.emulated_world import NOW
from tests.helpers.hog_world import HogServer, refused


@pytest.fixture
def server(tmp_path: Path) -> HogServer:
    """A project without functions."""
    return HogServer(tmp_path)


@pytest.fixture
def made(server: HogServer) -> Any:
    """A function that is on."""
    return server.create(enabled=True)


def logged(server: HogServer, id_: str, **params: Any) -> list[str]:
    return [one["message"] for one in server.get(f"hog_functions/{id_}/logs/", params).json["results"]]


def test_logs_are_the_latest_first_and_count_is_no_more_than_the_page(server: HogServer, made: Any) -> None:
    """To see what is older, one moves `before`."""
    for number in range(4):
        log(server.state, made["id"], "i", NOW + timedelta(seconds=number), "info", str(number))
    page = server.get(f"hog_functions/{made['id']}/logs/", {"limit": 3}).json

    assert (page["count"], [one["message"] for one in page["results"]]) == (3, ["3", "2", "1"])
    assert logged(server, made["id"], before=page["results"][-1]["timestamp"]) == ["0"]
    assert logged(server, made["id"], after=(NOW + timedelta(seconds=2)).isoformat()) == ["3"]


def test_logs_are_selected_by_level_text_and_invocation(server: HogServer, made: Any) -> None:
    """Levels are upper case, several with commas."""
    for instance, level, message in (("a", "info", "Sent"), ("a", "error", "Failed"), ("b", "warn", "Careful")):
        log(server.state, made["id"], instance, NOW, level, message)

    assert sorted(logged(server, made["id"], level="WARN,ERROR")) == ["Careful", "Failed"]
    assert logged(server, made["id"], search="sen") == ["Sent"]
    assert logged(server, made["id"], instance_id="b") == ["Careful"]


@pytest.mark.parametrize(("limit", "code"), [("0", "min_value"), ("501", "max_value"), ("x", "invalid_input")])
def test_a_page_of_logs_has_a_size_from_1_to_500(server: HogServer, made: Any, limit: str, code: str) -> None:
    """Anything else is refused, not clamped."""
    answer = server.get(f"hog_functions/{made['id']}/logs/", {"limit": limit})

    assert refused(answer) == (400, code, "limit")


def counted(server: HogServer, id_: str) -> None:
    for days, kind, name in ((0, "success", "succeeded"), (1, "success", "succeeded"), (1, "other", "filtered")):
        count(server.state, id_, NOW - timedelta(days=days), kind, name)
    count(server.state, id_, NOW - timedelta(days=8), "failure", "failed")


def test_metrics_have_a_series_for_what_was_counted(server: HogServer, made: Any) -> None:
    """Of the last seven days, by day and kind unless asked otherwise."""
    counted(server, made["id"])
    found = server.get(f"hog_functions/{made['id']}/metrics/").json

    assert (found["labels"][0], found["labels"][-1], len(found["labels"])) == ("2026-05-25", "2026-06-01", 8)
    assert {one["name"]: one["values"][-2:] for one in found["series"]} == {"other": [1, 0], "success": [1, 1]}


def test_metrics_by_hour_and_name(server: HogServer, made: Any) -> None:
    """Labels have minutes then; `name` and `kind` select."""
    counted(server, made["id"])
    params = {"interval": "hour", "breakdown_by": "name", "after": "-2h", "kind": "success"}
    found = server.get(f"hog_functions/{made['id']}/metrics/", params).json

    assert found == {
        "labels": ["2026-06-01T10:00", "2026-06-01T11:00", "2026-06-01T12:00"],
        "series": [{"name": "succeeded", "values": [0, 0, 1]}],
    }


def test_metrics_by_week_begin_on_monday(server: HogServer, made: Any) -> None:
    """June 1, 2026 is one."""
    counted(server, made["id"])
    found = server.get(f"hog_functions/{made['id']}/metrics/", {"interval": "week", "after": "-14d"}).json

    assert found["labels"] == ["2026-05-18", "2026-05-25", "2026-06-01"]
    assert {one["name"]: one["values"] for one in found["series"]}["success"] == [0, 1, 1]


def test_totals_add_up(server: HogServer, made: Any) -> None:
    """Also of the last seven days unless asked otherwise."""
    counted(server, made["id"])
    path = f"hog_functions/{made['id']}/metrics/totals/"

    assert server.get(path).json == {"totals": {"other": 1, "success": 2}}
    more = {"breakdown_by": "name", "after": "2026-05-01"}
    assert server.get(path, more).json == {"totals": {"failed": 1, "filtered": 1, "succeeded": 2}}
    assert refused(server.get(path, {"breakdown_by": "day"})) == (400, "invalid_choice", "breakdown_by")


def test_only_slowness_costs_tokens(server: HogServer, made: Any) -> None:
    """A request of 3 s costs 12, one of 200 ms none; 10 come back per second."""
    spend(server.state, made["id"], [3_000.0, 200.0], NOW)
    assert server.read(made["id"])["status"] == {"state": 1, "tokens": 9_988}

    server.clock.at += timedelta(seconds=1)
    assert server.read(made["id"])["status"]["tokens"] == 9_998


def test_a_slow_function_is_degraded_and_disabled_only_with_the_switch(server: HogServer, made: Any) -> None:
    """At 8,000 tokens, and below none; a disabled function stays `enabled`."""
    spend(server.state, made["id"], [3_000.0] * 170, NOW)
    assert server.read(made["id"])["status"]["state"] == 2
    server.clock.at = NOW + timedelta(seconds=61)
    spend(server.state, made["id"], [3_000.0] * 1_000, server.clock.at)
    assert server.read(made["id"])["status"]["state"] == 2

    server.state.rules = DeliveryRules(auto_disable=True)
    spend(server.state, made["id"], [], server.clock.at)
    stopped = server.read(made["id"])
    assert (stopped["status"]["state"], stopped["enabled"]) == (3, True)


def test_a_state_lasts_a_minute_at_least(server: HogServer, made: Any) -> None:
    """Whatever happens meanwhile."""
    server.state.rules = DeliveryRules(auto_disable=True)
    spend(server.state, made["id"], [3_000.0] * 170, NOW)
    spend(server.state, made["id"], [3_000.0] * 1_000, NOW + timedelta(seconds=59))
    server.clock.at = NOW + timedelta(seconds=60)
    assert server.read(made["id"])["status"]["state"] == 2

    spend(server.state, made["id"], [], server.clock.at)
    assert server.read(made["id"])["status"]["state"] == 3


def test_saving_revives_a_disabled_function(server: HogServer, made: Any) -> None:
    """Any update does, and sets it to degraded; a function that is off has no state at all."""
    server.state.rules = DeliveryRules(auto_disable=True)
    spend(server.state, made["id"], [3_000.0] * 1_000, NOW)
    assert server.read(made["id"])["status"]["state"] == 3

    assert server.patch(made["id"], description="").json["status"]["state"] == 2
    assert server.patch(made["id"], enabled=False).json["status"]["state"] == 0
