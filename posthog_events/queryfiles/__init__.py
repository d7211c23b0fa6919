"""Query files: `.sql` files with a typed header, rendered to HogQL and bound values."""

from posthog_events.queryfiles.lint import Finding, lint
from posthog_events.queryfiles.model import Chart, Param, QueryFile, Step
from posthog_events.queryfiles.reading import parse_query_file, read_query_file
from posthog_events.queryfiles.render import Rendered, render, render_traced
from posthog_events.queryfiles.search import Listed, find, library_dir, list_all, load, search_path

__all__ = [
    "Chart",
    "Finding",
    "Listed",
    "Param",
    "QueryFile",
    "Rendered",
    "Step",
    "find",
    "library_dir",
    "lint",
    "list_all",
    "load",
    "parse_query_file",
    "read_query_file",
    "render",
    "render_traced",
    "search_path",
]
