"""The verb that reruns a published table. It prints."""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ktgdsl.cli.verbs import AT_FAULT, FINE, colour, overrides

if TYPE_CHECKING:
    from ktgdsl.report.table import Report
    from ktgdsl.tables.make import Listening
    from ktgdsl.tables.model import Row, Table
    from ktgdsl.tables.standing import Desk, Standing


class TableInterrupted(KeyboardInterrupt):
    """Ctrl-C while a table is rerun. Its text says what is done and how to go on."""

    def __init__(self, done: int, rows: int) -> None:
        super().__init__(
            f"interrupted; {done} of {rows} rows are done and the rest is kept as far as it is, "
            "the same command goes on"
        )


def table(options: argparse.Namespace) -> int:
    """Do what is missing of a table, unless it is a dry run, and print it beside ours."""
    from ktgdsl.report.table import Report
    from ktgdsl.tables.model import read_table
    from ktgdsl.tables.standing import Desk

    table = read_table(options.folder)
    rows = _chosen(table, options)
    out = Path(options.out)
    desk = Desk(table, Path(options.folder), out, overrides(options), options.root)
    if options.chart is not None:
        from ktgdsl.report.table_chart import require_matplotlib

        require_matplotlib()  # before days of training
    standings = [desk.look(row) for row in rows] if options.dry_run else _made(desk, rows, options)
    report = Report(table, standings, costs=options.dry_run)
    _print(report, options)
    if options.chart is not None:
        from ktgdsl.report.table_chart import draw

        draw(report, Path(options.chart))
    return AT_FAULT if any(each.error is not None for each in standings) else FINE


def _chosen(table: "Table", options: argparse.Namespace) -> "list[Row]":
    from ktgdsl.diagnostics.diagnostic import Diagnostic
    from ktgdsl.errors import SpecError

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
        known = "the labels are " + "; ".join(row.label for row in table.rows)
        raise SpecError([Diagnostic("E509", message, help=known, path=options.folder)])
    return rows


def _made(desk: "Desk", rows: "list[Row]", options: argparse.Namespace) -> "list[Standing]":
    """Every row, brought to its end; one that fails does not keep the others from theirs."""
    from ktgdsl.cli.training_verbs import prepare_to_train

    standings: list[Standing] = []
    try:
        for number, row in enumerate(rows, start=1):
            standing = desk.look(row)
            if standing.error is None and standing.state in ("to do", "begun"):
                prepare_to_train()
                from ktgdsl.tables.make import make  # torch, only where something is trained

                if not options.quiet:
                    print(f"\n[{number}/{len(rows)}] {row.label}", file=sys.stderr, flush=True)
                standing = make(desk, row, _listening(options.quiet), options.device)
            standings.append(standing)
    except KeyboardInterrupt:
        done = sum(desk.look(row).result is not None for row in rows)
        raise TableInterrupted(done, len(rows)) from None
    return standings


def _listening(quiet: bool) -> "Listening":
    """Runs and searches are shown on stderr, since the table goes to stdout."""
    from ktgdsl.cli.training_verbs import listener, search_listener
    from ktgdsl.searching.events import ignore as ignore_search
    from ktgdsl.tables.make import Listening
    from ktgdsl.training.events import ignore

    if quiet:
        return Listening(lambda: nullcontext(ignore), lambda: nullcontext(ignore_search))
    return Listening(
        lambda: listener(quiet=False, stream=sys.stderr),
        lambda: search_listener(quiet=False, stream=sys.stderr),
    )


def _print(report: "Report", options: argparse.Namespace) -> None:
    from ktgdsl.report.table import written

    if options.format == "text" and sys.stdout.isatty():
        from rich.console import Console

        from ktgdsl.report.table_display import show

        show(report, Console(no_color=not colour(sys.stdout)))
    else:
        print(written(report, options.format), end="")
