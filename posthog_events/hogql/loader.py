"""Loads PostHog's own parser, which believes that it lives inside PostHog."""

from __future__ import annotations

import importlib.metadata
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from posthog_events.errors import MissingExtra

__all__ = ["Grammar", "load_grammar"]


@dataclass(frozen=True, slots=True)
class Grammar:
    """PostHog's parser: both functions take HogQL and return JSON text, syntax errors included."""

    version: str
    parse_select_json: Callable[[str], str]
    parse_expr_json: Callable[[str], str]


_LOCK = threading.Lock()


@cache
def load_grammar() -> Grammar:
    """Import `hogql_parser`, once.

    Raises:
        MissingExtra: The package is not installed.
    """
    with _LOCK:
        try:
            module = _import_with_stand_ins()
            version = importlib.metadata.version("hogql-parser")
        except ImportError as error:
            raise MissingExtra("HogQL", "local") from error
    return Grammar(version, module.parse_select_json, module.parse_expr_json)


def _import_with_stand_ins() -> ModuleType:
    """Import the extension with stand-ins for the PostHog modules that it imports while loading.

    It takes its exception classes from `posthog.hogql.errors` and keeps them. That module exists only inside PostHog;
    the SDK on PyPI is another package named `posthog`. So a stand-in is there during the import and gone right after
    it: an SDK that was imported before stays as it is, and one that is imported later is found as ever.
    """
    errors = ModuleType("posthog.hogql.errors")
    for name in ("SyntaxError", "NotImplementedError", "ParsingError"):
        setattr(errors, name, type(name, (Exception,), {}))
    stand_ins = {
        "posthog": ModuleType("posthog"),
        "posthog.hogql": ModuleType("posthog.hogql"),
        "posthog.hogql.errors": errors,
    }
    added = [name for name in stand_ins if name not in sys.modules]
    sys.modules.update({name: stand_ins[name] for name in added})
    try:
        import hogql_parser
    finally:
        for name in added:
            del sys.modules[name]
    return hogql_parser
