"""The demo store: three months of a made-up product, the same on every machine."""

from posthog_events.demo.build import DemoReport, build_demo

__all__ = ["DemoReport", "build_demo"]
