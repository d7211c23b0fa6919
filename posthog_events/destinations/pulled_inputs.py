"""The inputs of an existing destination without a secret in them: a reference stands in each one's place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from posthog_events.destinations.lifting import lift_secrets
from posthog_events.destinations.model import SecretRef, find_references
from posthog_events.destinations.secrets import inline_secret, secret_header
from posthog_events.destinations.templates import SCHEMAS, schema_item

__all__ = ["NotDeclarable", "Variable", "inputs_without_secrets"]

_INPUT = re.compile(r"\binputs\s*(?:\.\s*(\w+)|\[\s*['\"]([^'\"]+)['\"]\s*\])")
_LIFTED = "secret_"
_TELLING = 6
"""Characters from which on a text that occurs twice is no coincidence."""


class NotDeclarable(Exception):
    """Why a destination cannot be written as a declaration; holds no secret."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A secret that a pulled declaration refers to, and that has to be set before it is applied.

    Args:
        ref: The reference in the file.
        where: The input that it belongs to, such as `inputs.headers.Authorization`.
        kept: `stored`: PostHog keeps it and tells nobody. `plain`: whoever may read the destination sees it.
    """

    ref: SecretRef
    where: str
    kept: Literal["stored", "plain"]

    def __str__(self) -> str:
        how = "PostHog does not tell it" if self.kept == "stored" else "it stands there in plain: consider a new one"
        return f"{self.ref.name} ({self.ref.source}) is {self.where}; {how}"


def inputs_without_secrets(row: Mapping[str, Any], key: str) -> tuple[dict[str, Any], tuple[Variable, ...]]:
    """Return the inputs by name, secrets as `${env:...}` where they are used, and the variables that are needed.

    Args:
        key: The destination's; variables are named after it.

    Raises:
        NotDeclarable: A declaration cannot say what an input says.
    """
    return _Reader(row, key).read()


class _Reader:
    def __init__(self, row: Mapping[str, Any], key: str) -> None:
        template = str((row.get("template") or {}).get("id") or row.get("template_id") or "")
        self._own = {str(item["key"]) for item in SCHEMAS.get(template, ())}
        self._items = {str(item.get("key")): item for item in row.get("inputs_schema") or SCHEMAS.get(template, ())}
        self._inputs: Mapping[str, Any] = row.get("inputs") or {}
        self._rest = [row.get(name) for name in ("name", "description", "filters", "masking")]
        self._key = key
        self._variables: dict[SecretRef, Variable] = {}
        self._plain: dict[str, SecretRef] = {}
        self._stored: dict[str, SecretRef] = {}

    def read(self) -> tuple[dict[str, Any], tuple[Variable, ...]]:
        for name, item in self._inputs.items():
            if self._is_secret(name, item or {}):
                self._stored[name] = self._stored_ref(name)
        values: dict[str, Any] = {}
        for name, item in self._inputs.items():
            given = item or {}
            if name in self._stored or given.get("value") is None:
                continue
            if (given.get("templating") or "hog") != "hog":
                raise NotDeclarable(f"inputs.{name} is templated with {given['templating']}, not with Hog")
            values[name] = self._clean(given["value"], (name,), name)
        for name, ref in self._stored.items():
            if self._is_own(name):
                values[name] = str(ref)
            elif not any(str(ref) in text for text in _texts(values)):
                raise NotDeclarable(f"inputs.{name} is a secret input that only code of its own can use")
        self._check_rest(values)
        if self._own and (extra := sorted(values.keys() - self._own)):
            raise NotDeclarable(f"it has inputs that its template does not have: {', '.join(extra)}")
        return values, tuple(self._variables.values())

    def _is_secret(self, name: str, item: Mapping[str, Any]) -> bool:
        marked = bool(self._items.get(name, {}).get("secret")) and item.get("value") not in (None, "")
        return bool(item.get("secret")) or marked

    def _is_own(self, name: str) -> bool:
        """Whether the template has the input; of an unknown template every input counts as its own."""
        return not self._own or name in self._own

    def _stored_ref(self, name: str) -> SecretRef:
        ref = None if self._is_own(name) else self._lifted_ref(name)
        return self._note(ref or self._new_ref(name), f"inputs.{name}", "stored")

    def _lifted_ref(self, name: str) -> SecretRef | None:
        """Return a reference that becomes the input `name` again when it is lifted; its label says which, if ours."""
        if not name.startswith(_LIFTED):
            return None
        label = str(self._items.get(name, {}).get("label") or "")
        words = name.removeprefix(_LIFTED).upper()
        spelt = (f"${{env:{label}}}", f"${{keyring:{label}}}", f"${{env:{words}}}")
        found = (SecretRef.parse(text) for text in spelt)
        return next((ref for ref in found if ref and ref not in self._variables and _lifts_to(ref) == name), None)

    def _new_ref(self, name: str) -> SecretRef:
        words = re.sub(r"\W+", "_", f"{self._key}_{name}", flags=re.ASCII).strip("_").upper()
        if words[:1].isdigit():
            words = f"SECRET_{words}"  # no shell takes a name that begins with a digit
        taken = {ref.name for ref in self._variables}
        name = next(name for count in range(1, 10_000) if (name := words + f"_{count}" * (count > 1)) not in taken)
        return SecretRef("env", name)

    def _note(self, ref: SecretRef, where: str, kept: Literal["stored", "plain"]) -> SecretRef:
        self._variables[ref] = Variable(ref, where, kept)
        return ref

    def _clean(self, value: Any, path: tuple[str, ...], name: str) -> Any:
        """Return a value with references in the place of its secrets; `name` is the nearest key."""
        if isinstance(value, Mapping):
            return {key: self._clean(part, (*path, str(key)), str(key)) for key, part in value.items()}
        if isinstance(value, list):
            return [self._clean(part, path, name) for part in value]
        return self._clean_text(value, path, name) if isinstance(value, str) else value

    def _clean_text(self, text: str, path: tuple[str, ...], name: str) -> str:
        where = ".".join(("inputs", *path))
        if find_references(text):
            raise NotDeclarable(f"{where} holds what would be a reference in a file")
        if inline_secret(text) or secret_header(name, text):
            if "{" in text:
                raise NotDeclarable(f"{where} holds a secret between expressions; make it a secret input in PostHog")
            if text not in self._plain:
                self._plain[text] = self._note(self._new_ref(name), where, "plain")
            return str(self._plain[text])
        for stored, ref in self._stored.items():
            if not self._is_own(stored):
                text = text.replace(f"{{inputs.{stored}}}", str(ref))
                if "{" in text and any(stored in (used[1], used[2]) for used in _INPUT.finditer(text)):
                    raise NotDeclarable(f"{where} uses the secret input {stored} inside an expression")
        return text

    def _check_rest(self, values: Mapping[str, Any]) -> None:
        """Refuse a secret that stands in a second place, where nothing shows that it is one."""
        for secret, ref in self._plain.items():
            if len(secret) >= _TELLING and any(secret in text for text in _texts([values, self._rest])):
                raise NotDeclarable(f"the secret of {self._variables[ref].where} stands in another place as well")


def _lifts_to(ref: SecretRef) -> str:
    lifted, _ = lift_secrets({"text": f"-{ref}"}, (schema_item("text", "string", ""),))
    return next(name for name in lifted if name != "text")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
