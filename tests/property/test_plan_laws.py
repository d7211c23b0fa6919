"""Laws of plans as values: a saved one is the same plan, and none holds a secret, whatever changes into what."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from hypothesis import assume, given, settings

from posthog_events.destinations import Destination
from posthog_events.destinations.plan import make_plan
from posthog_events.destinations.plan_file import load_plan, markdown_of, save_plan
from posthog_events.errors import DeclarationError
from tests.helpers.fake_destinations import live_of, row_of
from tests.property.test_declaration_laws import destinations, secrets_of

AT = datetime(2026, 9, 1, 12, tzinfo=UTC)
stretched = functools.cache(hashlib.scrypt)


@settings(max_examples=15, deadline=None)
@given(wanted=destinations, there=destinations)
def test_saved_plan_is_the_same_plan(wanted: Destination, there: Destination) -> None:
    """Of one destination that is to become another, for any two of the same template."""
    assume(wanted.template_id == there.template_id)
    there = replace(there, key=wanted.key)
    with patch("hashlib.scrypt", stretched), patch("posthog_events.destinations.plan.live_faults", return_value=[]):
        secrets = secrets_of(wanted, there)
        live = live_of(row_of(there, secrets), workspaces={7: "Main"})
        try:
            plan = make_plan([wanted], live, secrets, made_at=AT)
        except DeclarationError:
            # another type: internal events
            plan = make_plan([wanted], replace(live, rows=()), secrets, made_at=AT)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        save_plan(plan, path)
        read, text = load_plan(path), path.read_text()

    assert plan == read
    assert () == plan.differs(read)
    shown = f"{text} {plan} {plan!r} {markdown_of(plan)}"
    assert not [value for value in secrets.values() if value in shown]
