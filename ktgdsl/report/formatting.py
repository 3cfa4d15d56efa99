"""Durations, counts and lines as people read them."""

import re
from collections.abc import Callable, Sequence
from textwrap import wrap

Clock = Callable[[], float]
"""Seconds of a monotonic clock."""


def duration(seconds: float) -> str:
    """A time: `8 s`, `3 min 20 s`, `1 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def step_rate(rate: float) -> str:
    """Steps per second with two digits at least: `61 steps/s`, `0.31 steps/s`."""
    digits = 0 if rate >= 10 else 1 if rate >= 1 else 2
    return f"{rate:.{digits}f} steps/s"


def count(number: int, noun: str) -> str:
    """A number and its noun: `1 trial`, `1,500 trials`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def signed(difference: float) -> str:
    """A difference with its sign, which one that rounds to nothing has not: `+1.25`, `0.00`."""
    return f"{difference:+.2f}" if round(difference, 2) else "0.00"


def one_line(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def truncated(lines: Sequence[str], limit: int) -> list[str]:
    """At most `limit` lines; the last one counts those that are left out."""
    if len(lines) <= limit:
        return list(lines)
    return [*lines[: limit - 1], f"... and {len(lines) - limit + 1} more"]


def shortened(text: str, width: int) -> str:
    """At most `width` columns of a line, cut at a word where it is too long."""
    if len(text) <= width:
        return text
    head, space, _ = text[: max(0, width - 1)].rpartition(" ")
    return f"{head.rstrip()} …" if space and head.strip() else f"{text[: max(0, width - 1)]}…"


_NO_BREAK = "\N{NO-BREAK SPACE}%"
"""A percent sign, which stays with its number."""


def wrapped(text: str, width: int) -> str:
    """Every line that is longer than `width` in several, cut at words and hung under itself."""
    return "\n".join(each for line in text.split("\n") for each in _wrapped(line, width))


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    indent = len(line) - len(line.lstrip())
    # The second column, if there is one, such as that of the values of settings.
    column = re.match(r"\s*\S.*?\s{2,}(?=\S)", line)
    hang = column.end() if column and column.end() <= width // 2 else min(indent + 2, width // 2)
    head, rest = (line[:hang], line[hang:]) if column and hang == column.end() else ("", line)
    lines = wrap(
        rest.replace(" %", _NO_BREAK),
        width,
        initial_indent=head,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [each.replace(_NO_BREAK, " %") for each in lines]
