"""`ktgc diff`: shows what differs between two specs, runs or searches in meaning."""

import argparse
import sys
from pathlib import Path

from ktgdsl.cli.compiling import compile_named, plan_of
from ktgdsl.cli.console import FINE, print_text, usage_error, width
from ktgdsl.cli.options import add_overrides, overrides
from ktgdsl.plan.model import Plan
from ktgdsl.report.difference import Accuracies, difference
from ktgdsl.report.environment_facts import environment_facts
from ktgdsl.report.pictures.run_accuracies import plan_and_accuracies


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    where = "a spec, a space, or the folder of a run or a search"
    parser.add_argument("one", metavar="A", help=where)
    parser.add_argument("other", metavar="B", help="the same")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Print what differs."""
    paths = options.one, options.other
    if overrides(options) and any(Path(path).is_dir() for path in paths):
        return usage_error("diff", "a run is compared as it is, without --set")
    (one, at_first), (other, at_second) = (_read(options, path) for path in paths)
    environments: tuple[dict[str, str], dict[str, str]] = ({}, {})
    if all(Path(path).is_dir() for path in paths):
        environments = environment_facts(paths[0]), environment_facts(paths[1])
    columns = width() if sys.stdout.isatty() else None
    text = difference(one, other, paths, (at_first, at_second), environments, columns)
    print_text(text.removesuffix("\n"))
    return FINE


def _read(options: argparse.Namespace, path: str) -> tuple[Plan, Accuracies]:
    if Path(path).is_dir():
        return plan_and_accuracies(path)
    return plan_of(compile_named(options, path)), {}
