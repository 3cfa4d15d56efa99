"""Lays out pages of plain text: prose and tables, wrapped at 80 columns."""

from collections.abc import Iterable
from textwrap import fill

WIDTH = 80


def page(title: str, *parts: str) -> str:
    """Parts with blank lines between them; prose is filled, what is indented is left alone."""
    shown = [part for part in parts if part]
    return "\n\n".join([title, *(p if p.startswith(" ") else _prose(p) for p in shown)])


def _prose(text: str) -> str:
    return "\n\n".join(filled(paragraph) for paragraph in text.split("\n\n"))


def table(rows: Iterable[tuple[str, str]]) -> str:
    """A line or more for each row: its name, and its text beside it."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows) + 4
    return "\n".join(filled(text, f"  {name}".ljust(width), " " * width) for name, text in rows)


def filled(text: str, first: str = "", others: str = "") -> str:
    """A paragraph, its first and its other lines indented as these."""
    return fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def refilled(text: str, width: int) -> str:
    """Pages for a terminal of `width` columns: in a narrow one prose is filled anew."""
    if width >= WIDTH:
        return text
    paragraphs = text.split("\n\n")
    return "\n\n".join(p if p.startswith((" ", "\n")) else fill(p, width) for p in paragraphs)
