"""`ktgc graph`: draws a spec, a space, or what a run or a search has reached."""

import argparse
import os
from pathlib import Path

from ktgdsl.cli.compiling import compile_named, plan_of
from ktgdsl.cli.console import FINE, print_text, usage_error
from ktgdsl.cli.options import add_overrides, overrides
from ktgdsl.report.pictures.picture import picture, write_picture
from ktgdsl.report.pictures.run_accuracies import plan_and_accuracies


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "file", metavar="SPEC|RUN", help="a spec, a space, or the folder of a run or a search"
    )
    parser.add_argument(
        "-o",
        dest="out",
        type=_picture_file,
        metavar="FILE",
        help="x.svg, x.png, x.mmd (Mermaid) or x.dot (default: Mermaid, to stdout)",
    )
    add_overrides(parser)


def _picture_file(text: str) -> str:
    if Path(text).suffix not in (".svg", ".png", ".mmd", ".dot"):
        raise argparse.ArgumentTypeError(f"it ends in .svg, .png, .mmd or .dot, not {text!r}")
    return text


def run(options: argparse.Namespace) -> int:
    """Draw the plan; of a folder, with the accuracy that each node has reached."""
    reached: dict[str, str] = {}
    if not os.path.isdir(options.file):  # noqa: PTH112 (a `Path` raises for names too long)
        plan = plan_of(compile_named(options))
    elif overrides(options):
        return usage_error("graph", "a run is drawn as it is, without --set")
    else:
        plan, reached = plan_and_accuracies(options.file)
    if options.out is None:
        print_text(picture(plan, ".mmd", reached).decode().removesuffix("\n"), wrap=False)
    else:
        write_picture(options.out, plan, reached)
        print_text(f"wrote {options.out}")
    return FINE
