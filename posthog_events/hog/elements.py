"""What filters see of an autocaptured element: the columns that PostHog derives from `elements_chain`, and selectors.

The chain lists elements from the clicked one outwards, separated by semicolons: `a.btn:href="/x"text="Go";div.menu:`.
A selector becomes one regular expression over it, built as the newest PostHog does; older ones match a little more.

Source: PostHog/posthog:nodejs/src/cdp/utils/hog-function-filtering.ts, posthog/hogql/property.py (selector_to_expr),
posthog/models/property/util.py (build_selector_regex), August 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from posthog_events.hog.regex import compile_regex

__all__ = ["chain_elements", "chain_href", "chain_ids", "chain_texts", "selector_test", "tag_test"]

_USEFUL = "a|button|form|input|select|textarea|label"
_HREF = re.compile(r'(?::|")href="(.*?)"')
_TEXT = re.compile(r'(?::|")text="(.*?)"')
_ID = re.compile(r'(?::|")attr_id="(.*?)"')
_ELEMENT = re.compile(rf"(?:^|;)({_USEFUL})(?:\.|\Z|:)")


@lru_cache(256)
def chain_href(chain: str) -> str:
    """Return the first href in the chain, empty when there is none."""
    found = _HREF.search(chain)
    return found[1] if found else ""


@lru_cache(256)
def chain_texts(chain: str) -> tuple[str, ...]:
    """Return the texts in the chain, each once."""
    return tuple(dict.fromkeys(_TEXT.findall(chain)))


def chain_ids(chain: str) -> tuple[str, ...]:
    """Return the ids in the chain, each once."""
    return tuple(dict.fromkeys(_ID.findall(chain)))


def chain_elements(chain: str) -> tuple[str, ...]:
    """Return which of the tags that people interact with are in the chain."""
    return tuple(dict.fromkeys(_ELEMENT.findall(chain)))


def tag_test(tag: str) -> Callable[[str], bool]:
    """Return whether a chain has an element of a tag; the tag is put into a regular expression as it is."""
    pattern = compile_regex(rf"(^|;){tag}(\.|$|;|:)")
    return lambda chain: bool(chain) and pattern.search(chain) is not None


def selector_test(selector: str) -> Callable[[str], bool]:
    """Return whether a chain matches a CSS selector, as far as PostHog reads CSS."""
    parts = _parts(selector)
    ids = [part.attributes["attr_id"] for part in parts if "attr_id" in part.attributes]
    if len(parts) == 1 and ids and parts[0].is_only_an_id:
        return lambda chain: ids[0] in chain_ids(chain)
    pattern = compile_regex(_selector_regex(parts))
    tags = {part.tag for part in parts if part.tag in _USEFUL.split("|")}

    def test(chain: str) -> bool:
        # an empty pattern, like an empty chain, matches nothing
        return (
            bool(parts and chain)
            and pattern.search(chain) is not None
            and all(one in chain_ids(chain) for one in ids)
            and (not tags or not tags.isdisjoint(chain_elements(chain)))
        )

    return test


@dataclass(slots=True)
class _Part:
    """One compound selector: `div.menu[href="/x"]`."""

    child: bool  # the next part is its direct parent
    tag: str = ""
    classes: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def is_only_an_id(self) -> bool:
        return not self.tag and not self.classes and list(self.attributes) == ["attr_id"]


_ATTRIBUTE = re.compile(r"\[\s*([^\]\s=]+)\s*=\s*(['\"])(.*?)\2\s*\]")
_POSITION = re.compile(r":(nth-child|nth-of-type)\((\d+)\)")
_CLASS_DOT = re.compile(r"\.(?![^\[]*\])")
_SPACE_OUTSIDE = re.compile(r"""((?:\[(?:"[^"]*"|'[^']*'|[^\]"'])*\]|[^ \[])+|\[)""")


def _parts(selector: str) -> list[_Part]:
    """Return the parts from the innermost outwards, as the chain lists them."""
    selector = selector.replace("> * > ", "").replace("> *", "").replace("\\:", ":").strip()
    words = _SPACE_OUTSIDE.findall(selector)[::-1]
    return [_part(word, child=index > 0 and words[index - 1] == ">") for index, word in enumerate(words) if word != ">"]


def _part(word: str, *, child: bool) -> _Part:
    part = _Part(child)
    for name, _, value in _ATTRIBUTE.findall(word):
        part.attributes["attr_id" if name == "id" else name] = value
    word = _ATTRIBUTE.sub("", word)
    part.attributes |= dict(_POSITION.findall(word))
    word, *part.classes = _CLASS_DOT.split(_POSITION.sub("", word))
    part.tag, *ids = word.split("#")
    if ids:
        part.attributes["attr_id"] = ids[0]
    return part


_QUOTED = r'"(?:\\.|[^"])*"'
_WITHIN = rf'(?:[^;"]|{_QUOTED})*?'
_ELEMENTS = rf'(?:(?:[^;"]|{_QUOTED})*;)*'
_BARE = {"attr_id", "href", "text", "nth-child", "nth-of-type"}


def _selector_regex(parts: list[_Part]) -> str:
    found = ["(^|;)"]
    for index, part in enumerate(parts):
        if index and not part.child:
            found.append(_ELEMENTS)
        if part.tag != "*":
            found.append(re.escape(part.tag))
        for name in sorted(part.classes):
            found.append(rf"{_WITHIN}\.{re.escape(name)}")
        if part.attributes:
            found.append(_WITHIN)
        # in the order in which the chain writes them
        for name, value in sorted(
            part.attributes.items(), key=lambda it: it[0] if it[0] in _BARE else f"attr__{it[0]}"
        ):
            escaped = re.escape(value.replace(r"\"", '"').replace('"', r"\""))
            found.append(f'{re.escape(name)}="{escaped}"{_WITHIN}')
        found.append(rf"{_WITHIN}($|;|:([^;^\s]*(;|$|\s)))")
        if part.child:
            found.append(".*")
    return "".join(found)
