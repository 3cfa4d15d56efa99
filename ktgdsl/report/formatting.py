"""Durations, counts and lines as people read them."""

from collections.abc import Callable, Sequence

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


def one_line(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def truncated(lines: Sequence[str], limit: int) -> list[str]:
    """At most `limit` lines; the last one counts those that are left out."""
    if len(lines) <= limit:
        return list(lines)
    return [*lines[: limit - 1], f"... and {len(lines) - limit + 1} more"]
