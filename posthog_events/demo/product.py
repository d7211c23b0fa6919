"""The made-up product: a planning tool that teams try for free and some pay for. Nothing here is a real company."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ACCOUNT_AGE_DAYS",
    "BROWSERS",
    "COUNTRIES",
    "FEATURES",
    "HOST",
    "LANDING_PAGES",
    "LAUNCH",
    "OLD_USERS",
    "PAGES",
    "PLANS",
    "ROLES",
    "SOURCES",
    "VISITORS_PER_DAY",
    "WEEKDAYS",
    "Feature",
    "Plan",
    "Source",
]

HOST: Final = "https://tidewater.example"

VISITORS_PER_DAY: Final = (62.0, 108.0)
"""New visitors on an average weekday, on the first and on the last day."""

OLD_USERS: Final = 420
"""People who signed up before the first day."""

ACCOUNT_AGE_DAYS: Final = 300
"""The longest that one of them has been there."""

WEEKDAYS: Final = (1.08, 1.15, 1.12, 1.05, 0.9, 0.42, 0.48)
"""How busy a day is, Monday first."""

LAUNCH: Final = (0.58, 3.2)
"""A launch day: where in the range it lies (0 to 1), and how many times as many visitors it brings."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where visitors come from.

    Args:
        weight: How many of all visitors.
        signup: Chance that a visitor signs up.
        utm: `utm_source`, `utm_medium`, `utm_campaign`; empty without a campaign.
    """

    referrer: str
    weight: float
    signup: float
    utm: tuple[str, str, str] | tuple[()] = ()


SOURCES: Final = (
    Source("https://search.example/", 0.34, 0.19),
    Source("$direct", 0.24, 0.16),
    Source("https://search.example/", 0.13, 0.13, ("search", "cpc", "spring-brand")),
    Source("https://social.example/", 0.11, 0.09, ("social", "social", "team-stories")),
    Source("$direct", 0.08, 0.31, ("newsletter", "email", "weekly-digest")),
    Source("https://partner.example/directory", 0.06, 0.27, ("partner", "referral", "directory")),
    Source("https://launches.example/tidewater", 0.04, 0.22),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What people pay per seat and month, and how many of the paying choose it."""

    name: str
    price: float
    weight: float


PLANS: Final = (Plan("starter", 12.0, 0.56), Plan("team", 29.0, 0.34), Plan("business", 79.0, 0.10))


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of the product.

    Args:
        weights: How often it is used on the free plan, and on a paid one.
        since: When it appeared, as a part of the range (0 to 1); use then grows.
    """

    name: str
    weights: tuple[float, float]
    since: float = 0.0


FEATURES: Final = (
    Feature("board", (0.52, 0.30)),
    Feature("timeline", (0.22, 0.20)),
    Feature("comment", (0.18, 0.17)),
    Feature("report", (0.05, 0.13)),
    Feature("export", (0.03, 0.06)),
    Feature("automation", (0.0, 0.14)),
    Feature("ai_summary", (0.06, 0.18), 0.45),
)

LANDING_PAGES: Final = (
    ("/", 0.62),
    ("/pricing", 0.12),
    ("/templates", 0.14),
    ("/blog/planning-without-meetings", 0.12),
)
PAGES: Final = (("/app", 0.40), ("/app/boards", 0.34), ("/app/reports", 0.10), ("/app/settings", 0.09), ("/docs", 0.07))
BROWSERS: Final = (("Chrome", 0.58), ("Safari", 0.19), ("Firefox", 0.12), ("Edge", 0.11))
COUNTRIES: Final = (("US", 0.36), ("DE", 0.17), ("GB", 0.14), ("FR", 0.11), ("IN", 0.12), ("BR", 0.10))
ROLES: Final = (("engineer", 0.34), ("manager", 0.28), ("designer", 0.22), ("founder", 0.16))
