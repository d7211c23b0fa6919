"""Query PostHog events with HogQL, here or in PostHog, into typed polars frames."""
