"""`ktgc runs`: lists what was run."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from ktgdsl.cli.console import FINE, print_json, print_text, width
from ktgdsl.cli.options import add_output_format
from ktgdsl.report.run_list import nothing_found, run_list_json, run_list_text
from ktgdsl.tables.found_runs import found_runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help="a folder with runs in it or below it (default: runs)",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_output_format(parser)


def run(options: argparse.Namespace) -> int:
    """Print what is there; that a folder cannot be read is part of the list."""
    folder = "runs" if options.folder is None else options.folder
    none_yet = options.folder is None and not Path(folder).exists()
    runs = [] if none_yet else found_runs(folder)
    if options.json:
        print_json(run_list_json(runs))
    elif runs:
        room = width() if sys.stdout.isatty() else None
        print_text(run_list_text(runs, datetime.now(UTC), room).removesuffix("\n"))
    else:
        print_text(nothing_found(folder))
    return FINE
