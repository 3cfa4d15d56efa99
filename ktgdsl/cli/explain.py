"""`ktgc explain`: says what a code, a word, a keyword or a setting means."""

import argparse
import sys

from ktgdsl.cli.console import AT_FAULT, FINE, print_text, width
from ktgdsl.lowering.named_values import either
from ktgdsl.report.explain import explain, overview, suggest
from ktgdsl.report.filled_text import refilled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="such as E304, correct, edge, data.batch or result.json",
    )


def run(options: argparse.Namespace) -> int:
    """Print the explanation, or without a name what there is to explain."""
    if options.name is None:
        print_text(refilled(overview(), width()))
        return FINE
    text = explain(options.name)
    if text is None:
        guesses = suggest(options.name)
        fix = (
            f"did you mean {either(guesses)}?" if guesses else "`ktgc explain` lists what there is"
        )
        print_text(f"ktgc: nothing is called `{options.name}`; {fix}", sys.stderr)
        return AT_FAULT
    print_text(refilled(text, width()))
    return FINE
