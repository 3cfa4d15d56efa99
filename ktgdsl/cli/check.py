"""`ktgc check`: says what is wrong with specs."""

import argparse
import sys

from ktgdsl.cli.compiling import compile_as_written
from ktgdsl.cli.console import print_diagnostics, print_text
from ktgdsl.cli.options import add_overrides
from ktgdsl.cli.spec_files import spec_files
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.render import summary
from ktgdsl.diagnostics.source import Source

RECIPE = "E106"
"""The code about a file without a graph."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a spec; - reads standard input; a folder: all specs in it",
    )
    parser.add_argument(
        "--pedantic", action="store_true", help="ask about what is legal but suspicious too"
    )
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Check every file; the exit code."""
    diagnostics: list[Diagnostic] = []
    sources: dict[str, Source] = {}
    files = spec_files(options.files)
    for path, in_folder in files.items():
        compiled = compile_as_written(options, path, pedantic=options.pedantic)
        # Beside specs there may be recipes, which they use.
        diagnostics += (d for d in compiled.diagnostics if d.code != RECIPE or not in_folder)
        sources.update(compiled.sources)
    code = print_diagnostics(diagnostics, sources, options.output_format, sys.stdout)
    if options.output_format == "full":
        checked = f"{len(files)} file{'s' if len(files) > 1 else ''} checked"
        print_text(("\n" if diagnostics else "") + f"{checked}: {summary(diagnostics)}")
    return code
