"""What `query show` says about a query file."""

from __future__ import annotations

from posthog_events.cli.describe import describe
from posthog_events.queryfiles import parse_query_file

TEXT = """\
-- title: Signups
-- question: Where do they come from?
-- doc: |
--   Ties. None.
--   People. Each counts once, by the identifier that the export gave, however often they came back.
-- params:
--   since: {type: when, default: -30d, description: first moment}
--   plan: {type: choice, choices: [free, pro], required: false}
--   top: {type: int, min: 1, max: 50}
-- returns:
--   referrer: String
--   n: UInt64
-- grain: one row per referrer
SELECT properties.$referrer AS referrer, count() AS n
FROM events
WHERE timestamp >= {{ since }} AND properties.plan = {{ plan }}
GROUP BY referrer
LIMIT {{ top }}
"""

EXPECTED = """\
signups: Signups

Where do they come from?

Ties. None.
People. Each counts once, by the identifier that the export
gave, however often they came back.

Parameters
  since  when    first moment; default -30d
  plan   choice  one of free, pro; optional
  top    int     at least 1; at most 50; required

Columns (one row per referrer)
  referrer  String
  n         UInt64

File -, line 14

SELECT properties.$referrer AS referrer, count() AS n
FROM events
WHERE timestamp >= {{ since }} AND properties.plan = {{ plan }}
GROUP BY referrer
LIMIT {{ top }}
"""


def test_description_holds_everything_a_caller_needs() -> None:
    """Title, question, definition, parameters with their rules, columns with their types, and the text."""
    assert describe(parse_query_file(TEXT, "signups"), width=60) == EXPECTED
