"""Faults that a test asks for: which requests they meet, and what happens to those.

`traffic.py` carries them out.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["KINDS", "Fault", "Faults", "Seen"]

ANSWERS = {
    "rate": "429 of the request throttle",
    "concurrency": "429 of the query slots, without Retry-After",
    "budget": "429 of the bytes-read budget",
    "quota": "402, the plan's allowance is spent",
    "500": "500 of the application",
    "502": "502 of a load balancer, as HTML",
    "503": "503, ClickHouse at capacity",
    "database": "503, the database is away; Retry-After: 1",
    "504": "504, the query ran too long",
    "512": "512, the query would run too long",
    "513": "513, the query took too much memory",
    "513-cluster": "513, the cluster is short of memory",
    "html": "200 with a web page",
    "debug-error": "200 with an error inside and no rows",
    "gzip-bomb": "200 with a small body that unpacks to `size` bytes",
    "reset": "the connection is reset; the request is not carried out",
}
"""Faults that take the place of an answer."""

CHANGES = {
    "reset-after": "the connection is reset after the request was carried out",
    "truncated": "the body stops after `size` bytes (half of it by default)",
    "cut-json": "as truncated, but with a Content-Length that fits",
    "slow": "the body comes in pieces, over `seconds`",
    "delay": "the request is carried out `seconds` later",
    "clock": "the Date header is `seconds` off",
    "extra-column": "a column more than was asked for",
    "unknown-type": "the first column has a type that nobody knows",
    "foreign-next": "`next` points to `host`",
    "revoke": "the key is revoked, just before the request",
}
"""Faults that change what a request finds, or its answer."""

KINDS: Mapping[str, str] = {**ANSWERS, **CHANGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. A request that meets every condition suffers the fault.

    Args:
        kind: One of `KINDS`.
        method: `GET`, `POST`, ...; None: any.
        path: Shell pattern that the path must match; `*` also matches slashes.
        nth: Only the nth request that meets method and path, from 1; None: every one.
        times: The fault happens at most so often.
        probability: The share of the matching requests that it happens to; drawn from the seed of `Faults`.
        retry_after: The Retry-After header of an answer, seconds or an HTTP date; None: none.
        seconds: For delay, slow and clock.
        size: Bytes, for truncated, cut-json and gzip-bomb.
        host: For foreign-next.
    """

    kind: str
    method: str | None = None
    path: str = "*"
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    retry_after: int | str | None = None
    seconds: float = 0.0
    size: int | None = None
    host: str = "https://elsewhere.invalid"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault {self.kind!r}; there are: {', '.join(KINDS)}")

    @classmethod
    def from_json(cls, data: Any) -> Fault:
        """Read a rule as the control route takes it: an object with the names above.

        Raises:
            ValueError: It is not one.
        """
        names = {item.name for item in fields(cls)}
        if not isinstance(data, Mapping) or "kind" not in data or (unknown := set(data) - names):
            extra = f"; it has no {', '.join(sorted(unknown))}" if isinstance(data, Mapping) and "kind" in data else ""
            raise ValueError(f"a fault is an object with a kind and some of {', '.join(sorted(names))}{extra}")
        return cls(**data)

    def meets(self, method: str, path: str) -> bool:
        """Whether a request is one that this rule is about."""
        return self.method in (None, method) and fnmatchcase(path, self.path)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, after it was answered.

    Args:
        status: HTTP status; 0 when the connection was reset.
        bytes: Size of the answer's body.
        name: The query's `name`, for requests that have one.
    """

    at: datetime
    method: str
    path: str
    query: str
    status: int
    bytes: int
    name: str | None = None


@dataclass(slots=True)
class _Rule:
    fault: Fault
    met: int = 0
    happened: int = 0


@dataclass(slots=True)
class Faults:
    """The rules in force, and a record of every request. Thread-safe.

    Args:
        seed: Of the probabilities.
        query_seconds: Called with the HogQL and the number of rows of every query that ran; the query then takes so
            many seconds more, and is refused as too slow if that is beyond its limit. None: no query takes longer.
    """

    seed: int = 0
    query_seconds: Callable[[str, int], float] | None = None
    _rules: list[_Rule] = field(default_factory=list)
    _seen: list[Seen] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def add(self, kind: str, **options: Any) -> Fault:
        """Put a rule in force; `options` are the other arguments of `Fault`."""
        return self.put(Fault(kind=kind, **options))

    def put(self, fault: Fault) -> Fault:
        """Put a rule in force."""
        with self._lock:
            self._rules.append(_Rule(fault))
        return fault

    def clear(self) -> None:
        """Take every rule out of force."""
        with self._lock:
            self._rules.clear()

    @property
    def rules(self) -> Sequence[Fault]:
        """The rules in force."""
        with self._lock:
            return tuple(rule.fault for rule in self._rules)

    def take(self, method: str, path: str) -> tuple[Fault, ...]:
        """Return the faults that a request suffers, and count it. One answer at most, and any number of changes."""
        taken: list[Fault] = []
        with self._lock:
            for rule in self._rules:
                fault = rule.fault
                if not fault.meets(method, path):
                    continue
                rule.met += 1
                if fault.nth is not None and rule.met != fault.nth:
                    continue
                if fault.times is not None and rule.happened >= fault.times:
                    continue
                if fault.probability < 1 and self._random.random() >= fault.probability:
                    continue
                if fault.kind in ANSWERS and any(other.kind in ANSWERS for other in taken):
                    continue
                rule.happened += 1
                taken.append(fault)
        return tuple(taken)

    @property
    def seen(self) -> Sequence[Seen]:
        """Every request so far, in the order of their answers."""
        with self._lock:
            return tuple(self._seen)

    def record(self, seen: Seen) -> None:
        """Add a request to the record."""
        with self._lock:
            self._seen.append(seen)

    def forget(self) -> None:
        """Empty the record."""
        with self._lock:
            self._seen.clear()
