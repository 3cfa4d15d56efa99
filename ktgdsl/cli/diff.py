"""`ktgc diff`: shows what differs between two specs in meaning."""

import argparse

from ktgdsl.cli.compiling import compile_named, plan_of
from ktgdsl.cli.console import FINE, print_text
from ktgdsl.cli.options import add_overrides
from ktgdsl.report.difference import difference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("one", metavar="A")
    parser.add_argument("other", metavar="B")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Print what differs."""
    one, other = (plan_of(compile_named(options, path)) for path in (options.one, options.other))
    print_text(difference(one, other, (options.one, options.other)).removesuffix("\n"))
    return FINE
