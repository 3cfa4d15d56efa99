"""`ktgc curves`: draws the accuracies and losses of runs by epoch."""

import argparse
import os
import sys
from pathlib import Path
from typing import TextIO

from ktgdsl.cli.console import FINE, has_colour, print_text, rich_console, usage_error, width
from ktgdsl.report.curves.charts import Chart, charts_of
from ktgdsl.report.curves.drawing import chart_drawing, stacked
from ktgdsl.report.curves.recorded import read_runs
from ktgdsl.report.curves.terminal import ASCII, BRAILLE, Glyphs, Piece, terminal_chart
from ktgdsl.report.output import write_output
from ktgdsl.report.pictures.picture import drawn
from ktgdsl.training.run_files import distinct_folders
from ktgdsl.training.run_folder import is_search_folder

COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="the folder of a run or a search, finished or not",
    )
    parser.add_argument(
        "--node",
        metavar="N",
        help="of one run: this node, with its edges; of several: this node of each, not the target",
    )
    parser.add_argument(
        "-o", dest="out", type=_picture_file, metavar="FILE", help="x.svg or x.png (default: here)"
    )


def _picture_file(text: str) -> Path:
    if Path(text).suffix not in (".svg", ".png"):
        raise argparse.ArgumentTypeError(f"it ends in .svg or .png, not {text!r}")
    return Path(text)


def run(options: argparse.Namespace) -> int:
    """Draw the charts on the screen, or into a file."""
    folders = distinct_folders(options.folders)
    if any(map(is_search_folder, folders)):
        if len(folders) > 1 or options.node is not None:
            return usage_error("curves", "a search is drawn by itself, and without --node")
        charts = [_search_chart(*folders)]
    else:
        charts = charts_of(read_runs(folders), options.node)
    if options.out is None:
        _print(charts, sys.stdout)
    else:
        drawing = stacked([chart_drawing(chart) for chart in charts], "curves")
        write_output(options.out, drawn(drawing, options.out.suffix))
        print_text(f"wrote {options.out}")
    return FINE


def _search_chart(folder: Path) -> Chart:
    from ktgdsl.report.curves.recorded_search import read_search  # imports Optuna
    from ktgdsl.report.curves.trials import trial_chart

    return trial_chart(read_search(folder))


def _print(charts: list[Chart], stream: TextIO) -> None:
    glyphs = _glyphs(stream)
    for number, chart in enumerate(charts):
        lines = terminal_chart(chart, width(stream), glyphs)
        if number:
            print_text("", stream)
        if has_colour(stream):
            _print_coloured(lines, stream)
        else:
            plain = ("".join(text for text, _ in line).rstrip() for line in lines)
            print_text("\n".join(plain), stream, wrap=False)


def _print_coloured(lines: list[list[Piece]], stream: TextIO) -> None:
    from rich.text import Text  # not needed by a pipe

    console = rich_console(stream)
    for line in lines:
        pieces = [
            (text, "" if curve is None else COLOURS[curve % len(COLOURS)]) for text, curve in line
        ]
        console.print(Text.assemble(*pieces), soft_wrap=True, highlight=False)


def _glyphs(stream: TextIO) -> Glyphs:
    """Braille dots, but where the encoding lacks them, or the terminal, as that of Linux does."""
    try:
        "\u2800┤".encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return ASCII
    return ASCII if stream.isatty() and os.environ.get("TERM") in ("linux", "dumb") else BRAILLE
