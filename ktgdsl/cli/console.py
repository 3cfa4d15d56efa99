"""What all verbs share: exit codes, diagnostics on a stream, colour and width."""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from ktgdsl.diagnostics.diagnostic import Diagnostic
    from ktgdsl.diagnostics.render import Style
    from ktgdsl.diagnostics.source import Source

FINE, AT_FAULT, USAGE, OUR_BUG, INTERRUPTED = 0, 1, 2, 70, 130


def print_diagnostics(
    diagnostics: "Sequence[Diagnostic]",
    sources: "Mapping[str, Source]",
    style: "Style",
    stream: TextIO,
) -> int:
    """Print diagnostics, if there are any or the style is JSON; the exit code they ask for."""
    from ktgdsl.diagnostics.render import render  # not needed by --help

    text = render(diagnostics, sources, style, has_colour(stream), width())
    if text:
        print(text, file=stream)
    return exit_code(diagnostics)


@contextmanager
def showing_warnings(style: "Style") -> Iterator[None]:
    """Print a warning that has a code as a diagnostic on stderr, and any other as Python does."""
    with warnings.catch_warnings():
        as_usual = warnings.showwarning

        def show(message: Warning | str, *place: Any, **more: Any) -> None:
            diagnostic: Diagnostic | None = getattr(message, "diagnostic", None)
            if diagnostic is None:
                as_usual(message, *place, **more)
            else:
                print_diagnostics([diagnostic], {}, style, sys.stderr)

        warnings.showwarning = show
        yield


def exit_code(diagnostics: "Sequence[Diagnostic]") -> int:
    """Usage when all errors are about overrides, which are part of the command line."""
    errors = [each for each in diagnostics if each.severity == "error"]
    if not errors:
        return FINE
    return USAGE if all((e.path or "").startswith("--set ") for e in errors) else AT_FAULT


def usage_error(verb: str, message: str) -> int:
    """Complain about options that do not go together; the exit code."""
    print(f"ktgc {verb}: {message}", file=sys.stderr)
    return USAGE


def has_colour(stream: TextIO) -> bool:
    """Whether what is printed there may be coloured."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def width() -> int:
    """The columns of the terminal."""
    from shutil import get_terminal_size

    return get_terminal_size((80, 24)).columns
