"""The command line: its verbs, its exit codes, and what it says when something is wrong."""

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from ktgdsl.cli import bench as bench_verb
from ktgdsl.cli import table as table_verb
from ktgdsl.cli import training_verbs, verbs
from ktgdsl.cli.options import parser
from ktgdsl.cli.verbs import AT_FAULT, FINE, INTERRUPTED, OUR_BUG, colour, fault, width
from ktgdsl.errors import KtgError

if TYPE_CHECKING:
    from ktgdsl.diagnostics.render import Style


def command() -> int:
    """The program `ktgc`: `main`, without a garbage collector unless the verb trains.

    Of what a short command makes it keeps nearly all to its end, and looking at that again and
    again, at the end too, takes a seventh of its time.
    """
    gc.disable()
    atexit.register(_leave)
    return main()


def _leave() -> None:
    if not gc.isenabled():
        gc.freeze()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code.

    0 is fine, 1 the spec or the run is at fault, 2 the command line is, 70 is a bug of
    ours, 130 an interrupt.
    """
    # Looking for plugins of pydantic is a tenth of the time of a check, and none is for us.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    given = sys.argv[1:] if arguments is None else arguments
    options = parser(VERBS, given).parse_args(given)
    verb: Callable[[argparse.Namespace], int] = options.verb
    try:
        code = verb(options)
        sys.stdout.flush()
        return code
    except KtgError as error:
        _report(error, options.output_format, sys.stderr)
        return fault(error.diagnostics)
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt}" if str(interrupt) else "\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _close(sys.stdout)  # nobody reads on
        return FINE
    except OSError as error:
        if error.filename is not None:
            return _our_bug()
        # A write to stdout, such as to a full disk: reads and files of ours have names.
        _close(sys.stdout)
        print(f"ktgc: the output cannot be written: {error.strerror}", file=sys.stderr)
        return AT_FAULT
    except Exception:
        return _our_bug()


def _our_bug() -> int:
    import traceback

    traceback.print_exc()
    print(
        "ktgc: this is a bug in ktgdsl, not in your spec. Please report it with the lines "
        "above, the command and the spec.",
        file=sys.stderr,
    )
    return OUR_BUG


def _close(stream: TextIO) -> None:
    """Point a stream elsewhere, or its last flush complains as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _report(error: KtgError, style: "Style", stream: TextIO) -> None:
    from ktgdsl.diagnostics.render import render

    print(render(error.diagnostics, error.sources, style, colour(stream), width()), file=stream)


VERBS = {
    "check": verbs.check,
    "plan": verbs.plan,
    "diff": verbs.diff,
    "graph": verbs.graph,
    "fmt": verbs.fmt,
    "build": verbs.build,
    "explain": verbs.explain,
    "run": training_verbs.run,
    "search": training_verbs.search,
    "bench": bench_verb.bench,
    "table": table_verb.table,
}
