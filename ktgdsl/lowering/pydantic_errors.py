"""Pydantic's validation errors as diagnostics: a code and a sentence of ours."""

from collections.abc import Mapping
from typing import Any

from ktgdsl.vocabulary.entry import Entry, Percentage, StepCount

_RANGES = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": 'a string, such as "text"',
    "list_type": "a list, such as [1, 2]",
}


def invalid(error: Mapping[str, Any], name: str) -> tuple[str, str]:
    """The code and the sentence for one pydantic error about what people call `name`."""
    kind, context = error["type"], error.get("ctx", {})
    value = quoted(error["input"])
    if kind in _RANGES:
        words, key = _RANGES[kind]
        return "E302", f"{name} must be {words} {context[key]:g}, not {value}"
    if kind in ("too_short", "too_long"):
        words, key = (
            ("at least", "min_length") if kind == "too_short" else ("at most", "max_length")
        )
        count = context[key]
        return "E302", f"{name} must have {words} {count} item{'s' if count != 1 else ''}"
    if kind == "unknown_name":
        return "E201", error["msg"]
    if kind == "wrong_type":
        number = error["input"]
        value = str(number) if isinstance(number, float) and number.is_integer() else value
        return "E301", f"{name} {error['msg']}, not {value}"
    if kind == "value_error":
        text = str(context["error"])
        return "E302", f"{name} {text}" if text.startswith("must") else text
    needed = _TYPES.get(kind, "a value of another type")
    return "E301", f"{name} must be {needed}, not {value}"


def quoted(value: object) -> str:
    """A plain value as it would be written in a spec."""
    match value:
        case bool():
            return str(value).lower()
        case Percentage():
            return f"{value.percent:g}%"
        case StepCount():
            return f"{value.steps:g} steps"
        case str():
            return f'"{value}"'
        case list():
            return "[" + ", ".join(quoted(item) for item in value) + "]"
        case float():
            return f"{value:g}"
        case Entry():
            return f"`{value.call()}`"
    return str(value)
