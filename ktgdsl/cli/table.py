"""`ktgc table`: reruns a published table and prints its numbers beside ours."""

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ktgdsl.cli.console import AT_FAULT, FINE, print_json, print_text, rich_console
from ktgdsl.cli.options import add_device, add_log, add_overrides, overrides
from ktgdsl.cli.training import (
    logged,
    prepare_to_train,
    refuse_several_processes,
    run_listener,
    search_listener,
    warn_of_run,
    warn_of_search,
)
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import SpecError
from ktgdsl.report.table import TableReport
from ktgdsl.report.table_formats import render
from ktgdsl.searching.events import Listener as SearchListener
from ktgdsl.tables.known_files import compare_files
from ktgdsl.tables.model import Row, Table, read_table
from ktgdsl.tables.status import Rerun, RowStatus
from ktgdsl.training.events import Listener
from ktgdsl.training.run_files import named_folder

if TYPE_CHECKING:
    from ktgdsl.tables.run import Listeners


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("folder", metavar="DIR", help="a folder with a table.toml and its specs")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="train nothing: what is there, and what is left to do",
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="TEXT",
        help="only the row of this label, or rows with it in theirs; given again, those of either",
    )
    parser.add_argument(
        "--compare",
        metavar="ROW",
        help="also what each row gains over the row of this label, with a paired t-test by seed",
    )
    parser.add_argument(
        "--format",
        choices=["text", "markdown", "latex", "csv", "json"],
        default="text",
        help="of the table (default: text)",
    )
    parser.add_argument(
        "--chart", type=_chart_file, metavar="FILE", help="draw bars as well, to x.svg or x.png"
    )
    parser.add_argument(
        "--out",
        default="runs/tables",
        metavar="DIR",
        help="folder for the runs, of any number of tables (default: runs/tables)",
    )
    add_device(parser)
    add_log(parser)
    parser.add_argument("--quiet", action="store_true", help="print the table only")
    add_overrides(parser)


def _chart_file(text: str) -> str:
    if Path(text).suffix not in (".svg", ".png"):
        raise argparse.ArgumentTypeError(f"it ends in .svg or .png, not {text!r}")
    return text


class TableInterrupted(KeyboardInterrupt):
    """Ctrl-C while a table is rerun. Its text says what is done and how to go on."""

    def __init__(self, done: int, rows: int) -> None:
        super().__init__(
            f"interrupted; {done} of {rows} rows are done and the rest is kept as far as it is, "
            "the same command goes on"
        )


def run(options: argparse.Namespace) -> int:
    """Run what is missing of a table, unless it is a dry run, and print both tables' numbers."""
    if (code := refuse_several_processes("table")) is not None:
        return code
    table = read_table(options.folder)
    rows = _chosen(table, options)
    baseline = _baseline(table, options)
    folder, out = Path(options.folder), named_folder(options.out)
    rerun = Rerun(table, folder, out, overrides(options), options.root)
    if options.chart is not None:
        from ktgdsl.report.table_chart import require_matplotlib

        require_matplotlib()  # before days of training
    if options.log:
        from ktgdsl.tracking.log import log_to

        log_to(*options.log)  # what is missing is told now, too
    compare_files(rerun, rows, noting=not options.dry_run)
    if options.dry_run:
        statuses = [rerun.status(row) for row in rows]
    else:
        statuses = _run_rows(rerun, rows, options)
    compared = None if baseline is None else rerun.status(baseline)
    report = TableReport(table, statuses, options.dry_run, compared)
    _print(report, options)
    if options.chart is not None:
        from ktgdsl.report.table_chart import draw

        draw(report, Path(options.chart))
    return AT_FAULT if any(each.error is not None for each in statuses) else FINE


def _chosen(table: Table, options: argparse.Namespace) -> list[Row]:
    """The rows that `--only` names."""
    labels = [row.label.casefold() for row in table.rows]
    wanted = [text.casefold() for text in options.only or [""]]
    # A whole label is of its row alone, not of those whose labels go on after it.
    chosen = {
        label
        for text in wanted
        for label in labels
        if (label == text if text in labels else text in label)
    }
    rows = [row for row in table.rows if row.label.casefold() in chosen]
    if not rows:
        message = f"no row of {options.folder} has {' or '.join(options.only)} in its label"
        raise SpecError([Diagnostic("E509", message, help=_labels(table), path=options.folder)])
    return rows


def _baseline(table: Table, options: argparse.Namespace) -> Row | None:
    """The row that `--compare` names, if it is there. Raises SpecError (E509) if not."""
    if options.compare is None:
        return None
    wanted = options.compare.casefold()
    named = [row for row in table.rows if row.label.casefold() == wanted]
    if not named:
        message = f"no row of {options.folder} has the label {options.compare}"
        raise SpecError([Diagnostic("E509", message, help=_labels(table), path=options.folder)])
    return named[0]


def _labels(table: Table) -> str:
    return "the labels are " + "; ".join(row.label for row in table.rows)


def _run_rows(rerun: Rerun, rows: list[Row], options: argparse.Namespace) -> list[RowStatus]:
    """Every row, brought to its end; one that fails does not keep the others from theirs."""
    statuses: list[RowStatus] = []
    try:
        for number, row in enumerate(rows, start=1):
            status = rerun.status(row)
            if status.error is None and status.state in ("to do", "begun", "stale"):
                prepare_to_train()
                from ktgdsl.tables.run import run_row  # torch, only where something is trained

                if not options.quiet:
                    print_text(f"\n[{number}/{len(rows)}] {row.label}", sys.stderr)
                status = run_row(rerun, row, _listeners(options), options.device)
            statuses.append(status)
    except KeyboardInterrupt:
        done = sum(rerun.status(row).result is not None for row in rows)
        raise TableInterrupted(done, len(rows)) from None
    return statuses


def _listeners(options: argparse.Namespace) -> "Listeners":
    """Runs and searches are shown on stderr, since the table goes to stdout."""
    from ktgdsl.tables.run import Listeners

    quiet, tools = options.quiet, options.log

    def of_run() -> AbstractContextManager[Listener]:
        shown = nullcontext(warn_of_run) if quiet else run_listener(quiet=False, stream=sys.stderr)
        return logged(shown, tools)

    def of_search() -> AbstractContextManager[SearchListener]:
        if quiet:
            return logged(nullcontext(warn_of_search), tools)
        return logged(search_listener(quiet=False, stream=sys.stderr), tools)

    return Listeners(of_run, of_search, _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(report: TableReport, options: argparse.Namespace) -> None:
    if options.format == "text" and sys.stdout.isatty():
        from ktgdsl.report.table_display import show

        show(report, rich_console(sys.stdout))
    elif options.format == "json":
        print_json(render(report, "json"))
    else:
        print_text(render(report, options.format).removesuffix("\n"), wrap=options.format == "text")
