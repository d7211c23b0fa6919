"""What a destination would have done with events that are already there, before it is live."""

from posthog_events.destinations.simulate.files import events_of_file
from posthog_events.destinations.simulate.model import (
    Estimate,
    Failures,
    RenderedRequest,
    SampleDelivery,
    Simulation,
    Simulations,
)
from posthog_events.destinations.simulate.pushdown import Pushdown, necessary, pushed_down
from posthog_events.destinations.simulate.run import simulate, simulate_all
from posthog_events.destinations.simulate.sources import EngineEvents, EventSource, FrameEvents

__all__ = [
    "EngineEvents",
    "Estimate",
    "EventSource",
    "Failures",
    "FrameEvents",
    "Pushdown",
    "RenderedRequest",
    "SampleDelivery",
    "Simulation",
    "Simulations",
    "events_of_file",
    "necessary",
    "pushed_down",
    "simulate",
    "simulate_all",
]
