"""Small results of each kind that can be drawn."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

__all__ = ["ALL", "BARS", "DAYS", "FUNNEL", "GROUPS", "LINE", "RETENTION", "SERIES"]

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(4)]
BARS = pl.DataFrame({"referrer": ["google.com", "", None], "signups": [1200, 300, 0]})
GROUPS = pl.DataFrame({"feature": ["a", "b", "a"], "plan": ["free", "free", "pro"], "users": [25, 100, 50]})
FUNNEL = pl.DataFrame({"step": [1, 2, 3], "name": ["signup", "project", "purchase"], "people": [200, 100, 25]})
LINE = pl.DataFrame({"day": DAYS, "dau": [0, 10, 5, 10]})
SERIES = pl.DataFrame({"day": DAYS * 2, "plan": ["free"] * 4 + ["pro"] * 4, "dau": [8, 8, 8, 8, 0, 0, 0, 0]})
RETENTION = pl.DataFrame(
    {"cohort": [DAYS[0], DAYS[0], DAYS[1]], "number": [0, 1, 0], "people": [40, 10, 20], "rate": [1.0, 0.25, 1.0]}
)
ALL = {"bars": BARS, "groups": GROUPS, "funnel": FUNNEL, "line": LINE, "series": SERIES, "retention": RETENTION}
