"""Printing and exit codes of all verbs: control characters escaped, colour and width detected."""

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from ktgdsl.diagnostics.diagnostic import Diagnostic
    from ktgdsl.diagnostics.render import Style
    from ktgdsl.diagnostics.source import Source

FINE, AT_FAULT, USAGE, OUR_BUG, INTERRUPTED, TERMINATED = 0, 1, 2, 70, 130, 143


def print_text(text: str, stream: TextIO | None = None, *, wrap: bool = True) -> None:
    """Print lines for people. A terminal gets lines no wider than it, broken at words.

    Names, paths and messages of a user's code reach us from anywhere, so control characters are
    written as escapes, those that set the direction of writing among them.
    """
    from ktgdsl.diagnostics.render import printable_lines  # not needed by --help

    stream = stream or sys.stdout
    shown = printable_lines(text)
    if wrap and stream.isatty():
        from ktgdsl.report.formatting import wrapped

        shown = wrapped(shown, width(stream))
    print(shown, file=stream, flush=True)


def print_file(text: str) -> None:
    """Print the content of a file as it is, but to a terminal without control characters."""
    if sys.stdout.isatty():
        from ktgdsl.diagnostics.render import printable_lines

        text = printable_lines(text)
    print(text, end="")


def print_json(text: str) -> None:
    """Print JSON; of what is in its strings only ASCII is written as it is."""
    print(re.sub(r"[^\n\x20-\x7e]", _json_escape, text.removesuffix("\n")))


def _json_escape(character: re.Match[str]) -> str:
    units = character[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def rich_console(stream: TextIO) -> "Console":
    """A console of Rich that shows no control characters but its own."""
    from ktgdsl.report.safe_console import SafeConsole

    return SafeConsole(file=stream, no_color=not has_colour(stream))


def print_diagnostics(
    diagnostics: "Sequence[Diagnostic]",
    sources: "Mapping[str, Source]",
    style: "Style",
    stream: TextIO,
) -> int:
    """Print diagnostics, if there are any or the style is JSON; the exit code they ask for.

    Of several processes of `torchrun` that have the same, one prints them.
    """
    from ktgdsl.cli.torchrun import is_first_with  # not needed by --help
    from ktgdsl.diagnostics.render import render

    text = render(diagnostics, sources, style, has_colour(stream), width(stream), stream.isatty())
    if text and is_first_with(diagnostics):
        print(text, file=stream)
    return exit_code(diagnostics)


@contextmanager
def showing_warnings(style: "Style") -> Iterator[None]:
    """Print a warning that has a code as a diagnostic on stderr, and any other as Python does.

    A diagnostic is printed once: data are read several times in a run.
    """
    shown: set[Diagnostic] = set()
    with warnings.catch_warnings():

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            *_: Any,
            **__: Any,
        ) -> None:
            diagnostic: Diagnostic | None = getattr(message, "diagnostic", None)
            if diagnostic is None:
                text = warnings.formatwarning(message, category, filename, lineno)
                print_text(text.removesuffix("\n"), sys.stderr)
            elif diagnostic not in shown:
                shown.add(diagnostic)
                print_diagnostics([diagnostic], {}, style, sys.stderr)

        warnings.showwarning = show
        yield


def exit_code(diagnostics: "Sequence[Diagnostic]") -> int:
    """Usage when all errors have their place in overrides, which are part of the command line.

    An error about a file, such as one that an override names, is not about the command line.
    """
    errors = [each for each in diagnostics if each.severity == "error"]
    if not errors:
        return FINE
    return USAGE if all((e.path or "").startswith("--set ") for e in errors) else AT_FAULT


def usage_error(verb: str, message: str) -> int:
    """Complain about options that do not go together; the exit code."""
    print_text(f"ktgc {verb}: {message}", sys.stderr)
    return USAGE


def has_colour(stream: TextIO) -> bool:
    """Whether what is printed there may be coloured."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def width(stream: TextIO | None = None) -> int:
    """The columns of the terminal that stdout or `stream` is; $COLUMNS where it is set."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns or 80
    except OSError:
        return 80
