"""A local PostHog: its documented HTTP behaviour, limits and traps included, over a local store."""
