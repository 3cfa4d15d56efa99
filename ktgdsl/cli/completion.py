"""`ktgc completion`: prints the script that completes command lines in a shell."""

import argparse

from ktgdsl.cli.console import FINE, print_file
from ktgdsl.cli.parser import actions_of_verbs, parser
from ktgdsl.extras import missing

PATHS = {"A", "B", "DIR", "FILE", "SPEC", "SPEC|RUN"}
"""The names in help texts of arguments that are paths."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh", "fish"])


def run(options: argparse.Namespace) -> int:
    """Print the script: it completes verbs, options, choices, and paths where one belongs."""
    try:
        import shtab
    except ImportError as error:
        raise missing("completion", "completion", error) from None
    whole = parser()
    for action in actions_of_verbs(whole):
        if action.metavar in PATHS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's way
    print_file(shtab.complete(whole, shell=options.shell))
    return FINE
