"""`python -m posthog_events` is the `posthog-events` command."""

import sys

from posthog_events.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
