"""`ktgc report`: writes a page about runs and searches."""

import argparse
from pathlib import Path

from ktgdsl.cli.console import FINE, print_text
from ktgdsl.cli.training import prepare_to_train
from ktgdsl.report.output import write_output
from ktgdsl.training.run_files import distinct_folders


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
        "-o",
        dest="out",
        type=_page_file,
        default=Path("report.html"),
        metavar="FILE",
        help="the page (default: report.html)",
    )
    parser.add_argument(
        "--no-evaluation",
        action="store_true",
        help="leave out what the data are needed for: accuracy by class, and confusion",
    )


def _page_file(text: str) -> Path:
    if Path(text).suffix not in (".html", ".htm"):
        raise argparse.ArgumentTypeError(f"it ends in .html, not {text!r}")
    return Path(text)


def run(options: argparse.Namespace) -> int:
    """Write the page."""
    prepare_to_train()
    from ktgdsl.report.page.page import page_about  # imports Optuna
    from ktgdsl.report.page.render import html, require_jinja

    require_jinja()
    page = page_about(distinct_folders(options.folders), evaluated=not options.no_evaluation)
    write_output(options.out, html(page).encode())
    print_text(f"{options.out} is written: open it in a browser")
    return FINE
