"""The program `ktgc`: runs a verb and turns its outcome into an exit code."""

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ktgdsl.cli.console import (
    AT_FAULT,
    INTERRUPTED,
    OUR_BUG,
    TERMINATED,
    USAGE,
    print_diagnostics,
    print_text,
    showing_warnings,
)
from ktgdsl.cli.parser import parse
from ktgdsl.cli.streams import make_streams_lasting, write_error
from ktgdsl.cli.termination import Termination
from ktgdsl.cli.torchrun import speaks_for_all
from ktgdsl.files import expand_home

if TYPE_CHECKING:
    from ktgdsl.diagnostics.render import Style

NEEDS_CLEANUP = {"torch", "optuna", "matplotlib"}
"""Libraries that may leave threads, processes or temporary files for the end of the process."""


def command() -> int:
    """The entry point of `ktgc`, for a process of its own."""
    code = _run_to_the_end()
    if not NEEDS_CLEANUP & sys.modules.keys():
        # Freeing a validator's schemas and a parser's tables one by one at the end is a tenth of
        # the time of a check. All files are closed and all that was printed is written by now.
        sys.stderr.flush()
        os._exit(code)
    gc.freeze()  # to look through all objects of torch for garbage once more takes a second
    return code


def _run_to_the_end() -> int:
    """Run the command line of the process, whatever becomes of its readers; the exit code."""
    make_streams_lasting()
    try:
        code = main()
    except SystemExit as exit:  # of the parser, which has printed
        code = exit.code if isinstance(exit.code, int) else USAGE
    sys.stdout.flush()
    error = write_error(sys.stdout)
    if error is None:
        return code
    print_text(f"ktgc: the output cannot be written: {error.strerror}", sys.stderr)
    return code or AT_FAULT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process; the exit code.

    0 is fine, 1 the spec or the run is at fault, 2 the command line is, with what `--set` says,
    70 is a bug of ours, 130 an interrupt, 143 SIGTERM.
    """
    # Looking for plugins of pydantic is a tenth of the time of a check, and none is for us.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    style: Style = "full"
    termination = Termination()
    try:
        # This imports the verb.
        written = sys.argv[1:] if arguments is None else arguments
        options = parse([_with_home(each) for each in written])
        style = options.output_format
        with showing_warnings(style), termination.interrupts():
            code: int = options.verb(options)
    except KeyboardInterrupt as interrupt:
        if speaks_for_all():
            cause = "SIGTERM: " if termination.received else ""
            print_text(f"\n{cause}{str(interrupt) or 'interrupted'}", sys.stderr)
        return TERMINATED if termination.received else INTERRUPTED
    except Exception as error:
        return _report(error, style)
    return code


def _with_home(argument: str) -> str:
    """An argument in which `~` begins a path, as a shell leaves it between quotes, with the home.

    No argument that is not a path begins with it; `--set data.root=~/x` is a path of the spec.
    """
    option, equals, value = argument.partition("=")
    if option.startswith("--") and value.startswith("~"):
        return f"{option}{equals}{expand_home(value)}"
    return str(expand_home(argument)) if argument.startswith("~") else argument


def _report(error: Exception, style: "Style") -> int:
    """Print what went wrong to stderr; the exit code."""
    from ktgdsl.errors import KtgError  # not needed by --help

    if isinstance(error, KtgError):
        code = print_diagnostics(error.diagnostics, error.sources, style, sys.stderr)
        for note in getattr(error, "__notes__", ()) if style != "json" else ():
            print_text(note, sys.stderr)
        return code
    import traceback

    print_text("".join(traceback.format_exception(error)).removesuffix("\n"), sys.stderr)
    print_text(
        "ktgc: this is a bug in ktgdsl, not in your spec. Please report it with the lines "
        "above, the command and the spec.",
        sys.stderr,
    )
    return OUR_BUG
