"""Smaller texts that fail in the same way."""

import re
from collections.abc import Callable

MAX_TRIES = 3_000


def shrunk(text: str, fails: Callable[[str], bool], tries: int = MAX_TRIES) -> str:
    """A part of the text that still `fails`, after at most so many `tries`.

    Lines go first, then words, then characters, each in runs that become shorter (Zeller and
    Hildebrandt, Simplifying and Isolating Failure-Inducing Input, TSE 2002).
    """
    left = tries
    for pattern in (r".*\n|.+", r"\w+|\W", r"(?s)."):
        parts = re.findall(pattern, text)
        run = max(1, len(parts) // 2)
        while run and left > 0:
            start, before = 0, len(parts)
            while start < len(parts) and left > 0:
                fewer = [*parts[:start], *parts[start + run :]]
                left -= 1
                if fails("".join(fewer)):
                    parts = fewer
                else:
                    start += run
            if run > 1 or len(parts) == before:
                run //= 2
        text = "".join(parts)
    return text
