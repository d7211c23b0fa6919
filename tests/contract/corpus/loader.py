"""Every case of the corpus, in the order of the reference."""

from __future__ import annotations

from tests.contract.corpus import (
    combined,
    comparisons,
    dates,
    function_rules,
    functions,
    limits,
    names,
    placeholders,
    properties,
    shapes,
    syntax,
    tables,
    times,
    windows,
)
from tests.contract.corpus.cases import Case

__all__ = ["CASES"]

CASES: tuple[Case, ...] = (
    *names.CASES,
    *properties.CASES,
    *tables.CASES,
    *times.CASES,
    *dates.CASES,
    *comparisons.CASES,
    *limits.CASES,
    *function_rules.CASES,
    *functions.CASES,
    *windows.CASES,
    *shapes.CASES,
    *placeholders.CASES,
    *syntax.CASES,
    *combined.CASES,
)
