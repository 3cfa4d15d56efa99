"""`ktgc compare`: tests finished runs against each other."""

import argparse

from ktgdsl.cli.console import FINE, print_json, print_text, usage_error, width
from ktgdsl.cli.options import add_output_format
from ktgdsl.report.comparison import Comparison, render
from ktgdsl.tables.finished import ACCURACY, finished_run
from ktgdsl.training.run_files import distinct_folders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("folders", nargs="+", metavar="DIR", help="the folders of finished runs")
    parser.add_argument(
        "--baseline",
        metavar="DIR",
        help="the run that all others are compared with (default: each with those before it)",
    )
    parser.add_argument("--node", metavar="NAME", help="of each run (default: the target of each)")
    parser.add_argument(
        "--metric",
        default=ACCURACY,
        metavar="NAME",
        help="such as top5 or f1, where the runs have measured it (default: accuracy)",
    )
    parser.add_argument(
        "--format",
        choices=["text", "markdown", "latex", "csv", "json"],
        default="text",
        help="of the tables (default: text)",
    )
    add_output_format(parser)


def run(options: argparse.Namespace) -> int:
    """Print the runs and their differences."""
    first = [] if options.baseline is None else [options.baseline]
    folders = distinct_folders([*first, *options.folders])
    if len(folders) < 2:
        return usage_error("compare", "name two different runs at least")
    runs = [finished_run(folder, options.node, options.metric) for folder in folders]
    baseline = runs[0] if first else None
    text = render(Comparison(runs, options.metric, baseline), options.format, width())
    if options.format == "json":
        print_json(text)
    else:
        print_text(text.removesuffix("\n"), wrap=options.format == "text")
    return FINE
