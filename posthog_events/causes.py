"""Why something failed, told from the classes of the exceptions behind it.

By their names, because the libraries that raise them are imported only where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

__all__ = ["causes", "reason_of"]

T = TypeVar("T")


def causes(exc: BaseException, held: Callable[[BaseException], Iterable[object]]) -> Iterator[BaseException]:
    """Yield the exception and those behind it, each once; `held` names what may be behind one."""
    seen: set[int] = set()
    pending: list[object] = [exc]
    while pending:
        link = pending.pop()
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            pending += held(link)


def reason_of(links: Iterable[BaseException], reasons: Mapping[str, T]) -> T | None:
    """Return the first reason of which some link is an instance of the class named, subclasses included."""
    names = {base.__name__ for link in links for base in type(link).__mro__}
    return next((reason for name, reason in reasons.items() if name in names), None)
