"""Pieces of Python text, laid out as formatters do."""

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise

WIDTH = 100
INDENT = "    "
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def block(*lines: str | Iterable[str] | None) -> str:
    """Lines one below the other, without those that are None."""
    found: list[str] = []
    for each in lines:
        if isinstance(each, str):
            found.append(each)
        elif each is not None:
            found += each
    return "\n".join(found)


def literal(value: object) -> str:
    """A value as Python writes it, with double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' * (len(value) == 1)})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def options(values: Mapping[str, object]) -> str:
    """Arguments by name."""
    return ", ".join(f"{name}={literal(value)}" for name, value in values.items())


def wrapped(text: str) -> str:
    """The text with lines that are too long broken at the commas of their last bracket.

    Of the first line of a function that is the one with its parameters.
    """
    return "\n".join(part for line in text.split("\n") for part in _broken(line))


def _broken(line: str) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    found = None if len(line) <= WIDTH else _last_bracket(line)
    if found is None:
        return [line]
    start, end = found
    inner, deeper = line[start + 1 : end], indent + INDENT
    if len(deeper + inner) <= WIDTH:
        return [line[: start + 1], deeper + inner, indent + line[end:]]
    separator = "" if _places(inner, " for ") else ","
    parts = [part for each in _split(inner) for part in _broken(f"{deeper}{each}{separator}")]
    return [line[: start + 1], *parts, indent + line[end:]]


def _last_bracket(line: str) -> tuple[int, int] | None:
    """Where the last bracket of a line that no other is around opens and closes, or parameters."""
    waiting: list[int] = []
    found = None
    for position, character in _code(line):
        if character in _CLOSING:
            waiting.append(position)
        elif character in _CLOSING.values():
            start = waiting.pop()
            if not waiting and position > start + 1:
                found = start, position
                if line.startswith("def "):
                    break
    return found


def _split(inner: str) -> list[str]:
    """The parts of what is in a bracket: of a comprehension, or those between commas."""
    clauses = _places(inner, " for ")
    cuts = [0, *(clauses or _places(inner, ",")), len(inner)]
    return [inner[i:j].strip(" " if clauses else ", ") for i, j in pairwise(cuts) if i < j]


def _places(inner: str, word: str) -> list[int]:
    """The positions of a word outside of strings and brackets."""
    depth, found = 0, []
    for position, character in _code(inner):
        depth += (character in _CLOSING) - (character in _CLOSING.values())
        if depth == 0 and inner.startswith(word, position):
            found.append(position)
    return found


def _code(line: str) -> Iterable[tuple[int, str]]:
    """The characters that are outside of strings, with their positions."""
    inside = False
    for position, character in enumerate(line):
        if character == '"' and line[position - 1 : position] != "\\":
            inside = not inside
        elif not inside:
            yield position, character
