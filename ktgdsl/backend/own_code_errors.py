"""Where an exception was raised in the user's own code, and what was meant by its arguments."""

from inspect import Parameter, signature
from pathlib import Path
from traceback import walk_tb
from typing import Any

from ktgdsl.backend.user_sources import is_own
from ktgdsl.errors import describe
from ktgdsl.vocabulary.spelling import closest


def describe_with_place(error: BaseException) -> str:
    """An exception in one line, and where the user's own code raised it.

    Such as "ValueError: no image (nets.py:22, in load)".
    """
    return describe(error) + place_in_own_code(error)


def place_in_own_code(error: BaseException) -> str:
    """The innermost line of the user's own files in a traceback, in brackets; "" for none.

    Its path is relative to the current folder where it lies in there.
    """
    frames = [
        (frame.f_code, line)
        for frame, line in walk_tb(error.__traceback__)
        if is_own(frame.f_code.co_filename)
    ]
    if not frames:
        return ""
    code, line = frames[-1]
    path, here = Path(code.co_filename), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    inside = "" if code.co_name == "<module>" else f", in {code.co_name}"
    return f" ({shown}:{line}{inside})"


def argument_meant(function: Any, values: int, names: list[str]) -> str | None:
    """A help text about the first of the named arguments that a function does not take.

    `values` is how many it is called with by position. None where it takes all of them, or does
    not say which it takes.
    """
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):  # some written in C
        return None
    if any(each.kind is Parameter.VAR_KEYWORD for each in parameters):
        return None
    by_name = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    known = [each.name for each in parameters[values:] if each.kind in by_name]
    unknown = next((name for name in names if name not in known), None)
    if unknown is None:
        return None
    if meant := closest(unknown, [name for name in known if name not in names]):
        return f"did you mean `{meant}`?"
    if not known:
        return "it has no arguments of its own"
    return f"it has {', '.join(f'`{name}`' for name in known)}"
