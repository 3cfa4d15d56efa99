"""`ktgc check`: says what is wrong with specs."""

import argparse
import sys

from ktgdsl.cli.compiling import compile_as_written
from ktgdsl.cli.console import print_diagnostics, print_text
from ktgdsl.cli.options import add_overrides
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.render import summary
from ktgdsl.diagnostics.source import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a spec; - reads standard input")
    parser.add_argument(
        "--pedantic", action="store_true", help="ask about what is legal but suspicious too"
    )
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Check every file; the exit code."""
    diagnostics: list[Diagnostic] = []
    sources: dict[str, Source] = {}
    for path in options.files:
        compiled = compile_as_written(options, path, pedantic=options.pedantic)
        diagnostics += compiled.diagnostics
        sources.update(compiled.sources)
    code = print_diagnostics(diagnostics, sources, options.output_format, sys.stdout)
    if options.output_format == "full":
        count = len(options.files)
        files = f"{count} file{'s' if count > 1 else ''} checked"
        print_text(("\n" if diagnostics else "") + f"{files}: {summary(diagnostics)}")
    return code
