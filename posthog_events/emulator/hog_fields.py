"""The plain fields of a hog function, checked with the sentences and codes of Django REST framework."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from posthog_events.emulator.hog_inputs import Invalid

__all__ = ["as_flag", "as_moment", "as_name", "as_objects", "as_order", "as_schema", "as_text"]

INPUT_TYPES = (
    "string",
    "number",
    "boolean",
    "dictionary",
    "choice",
    "json",
    "integration",
    "integration_multi",
    "integration_field",
    "email",
    "native_email",
    "non_failure_status_codes",
)
NAME_CHARS = 400
MAX_ORDER = 32_767

_TRUE, _FALSE = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")
_DATE_FORMATS = "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]"


def as_text(name: str, value: Any, *, blank: bool = True) -> str:
    """Return a text; numbers are taken for one."""
    if value is None:
        raise Invalid({name: ["This field may not be null."]}, code="null")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Invalid({name: ["Not a valid string."]})
    text = str(value).strip()
    if not blank and not text:
        raise Invalid({name: ["This field may not be blank."]}, code="blank")
    return text


def as_name(name: str, value: Any) -> str | None:
    """Return a name, which may be null."""
    if value is None:
        return None
    text = as_text(name, value)
    if len(text) > NAME_CHARS:
        raise Invalid({name: [f"Ensure this field has no more than {NAME_CHARS} characters."]}, code="max_length")
    return text


def as_flag(name: str, value: Any) -> bool:
    """Return a boolean, which may be written in words."""
    if value is None:
        raise Invalid({name: ["This field may not be null."]}, code="null")
    text = str(value).lower()
    if isinstance(value, list | Mapping) or text not in _TRUE + _FALSE:
        raise Invalid({name: ["Must be a valid boolean."]})
    return text in _TRUE


def as_order(name: str, value: Any) -> int | None:
    """Return an execution order, which may be null."""
    if value is None:
        return None
    if type(value) is not int:
        raise Invalid({name: ["A valid integer is required."]})
    if not 0 <= value <= MAX_ORDER:
        bound, code = ("greater", "min_value") if value < 0 else ("less", "max_value")
        limit = 0 if value < 0 else MAX_ORDER
        raise Invalid({name: [f"Ensure this value is {bound} than or equal to {limit}."]}, code=code)
    return value


def as_moment(name: str, value: Any) -> datetime:
    """Return a moment; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        sentence = f"Datetime has wrong format. Use one of these formats instead: {_DATE_FORMATS}."
        raise Invalid({name: [sentence]}) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_objects(where: str, name: str, value: Any) -> list[Any]:
    """Return a list of objects, in which anything may be."""
    if not isinstance(value, list):
        sentence = f'Expected a list of items but got type "{type(value).__name__}".'
        raise Invalid({where: {name: [sentence]}}, code="not_a_list")
    for index, item in enumerate(value):
        if not isinstance(item, Mapping):
            sentence = f'Expected a dictionary of items but got type "{type(item).__name__}".'
            raise Invalid({where: {name: {str(index): [sentence]}}}, code="not_a_dict")
    return value


def as_schema(name: str, value: Any) -> list[dict[str, Any]]:
    """Return an `inputs_schema`, with the defaults of its items."""
    if not isinstance(value, list):
        sentence = f'Expected a list of items but got type "{type(value).__name__}".'
        raise Invalid({name: [sentence]}, code="not_a_list")
    return [_schema_item(name, str(index), item) for index, item in enumerate(value)]


def _schema_item(where: str, index: str, item: Any) -> dict[str, Any]:
    def wrong(name: str, sentence: str, code: str) -> Invalid:
        return Invalid({where: {index: {name: [sentence]}}}, code=code)

    if not isinstance(item, Mapping):
        raise wrong("non_field_errors", "Invalid data. Expected a dictionary.", "invalid_input")
    for name in ("type", "key"):
        if name not in item:
            raise wrong(name, "This field is required.", "required")
    if item["type"] not in INPUT_TYPES:
        raise wrong("type", f'"{item["type"]}" is not a valid choice.', "invalid_choice")
    if not isinstance(item["key"], str) or not item["key"]:
        raise wrong("key", "Not a valid string.", "invalid_input")
    return {"required": False, "secret": False, "hidden": False, **item}
