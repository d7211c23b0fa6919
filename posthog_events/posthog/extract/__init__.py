"""Complete extraction of event rows, past PostHog's limit of 50,000, through any engine and without OFFSET."""

from posthog_events.posthog.extract.proof import Proof, SliceProof
from posthog_events.posthog.extract.rows import Chunk, Extraction, Progress, extract_rows

__all__ = ["Chunk", "Extraction", "Progress", "Proof", "SliceProof", "extract_rows"]
