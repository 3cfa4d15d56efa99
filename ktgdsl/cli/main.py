"""The program `ktgc`: runs a verb and turns its outcome into an exit code."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from ktgdsl.cli.console import (
    AT_FAULT,
    FINE,
    INTERRUPTED,
    OUR_BUG,
    print_diagnostics,
    showing_warnings,
)
from ktgdsl.cli.parser import parser

if TYPE_CHECKING:
    from ktgdsl.diagnostics.render import Style


def command() -> int:
    """The entry point of `ktgc`."""
    return main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process; the exit code.

    0 is fine, 1 the spec or the run is at fault, 2 the command line is, 70 is a bug of
    ours, 130 an interrupt.
    """
    # Looking for plugins of pydantic is a tenth of the time of a check, and none is for us.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    style: Style = "full"
    try:
        options = parser().parse_args(arguments)  # imports the verb
        style = options.output_format
        with showing_warnings(style):
            code: int = options.verb(options)
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt}" if str(interrupt) else "\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _discard(sys.stdout)  # nobody reads on
        return FINE
    except Exception as error:
        return _report(error, style)
    return code


def _report(error: Exception, style: "Style") -> int:
    """Print what went wrong to stderr; the exit code."""
    from ktgdsl.errors import KtgError  # not needed by --help

    if isinstance(error, KtgError):
        return print_diagnostics(error.diagnostics, error.sources, style, sys.stderr)
    if isinstance(error, OSError) and error.filename is None:
        # A write to stdout, such as to a full disk: reads and files of ours have names.
        _discard(sys.stdout)
        print(f"ktgc: the output cannot be written: {error.strerror}", file=sys.stderr)
        return AT_FAULT
    import traceback

    traceback.print_exception(error)
    print(
        "ktgc: this is a bug in ktgdsl, not in your spec. Please report it with the lines "
        "above, the command and the spec.",
        file=sys.stderr,
    )
    return OUR_BUG


def _discard(stream: TextIO) -> None:
    """Point a stream at the null device, or its last flush complains as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
