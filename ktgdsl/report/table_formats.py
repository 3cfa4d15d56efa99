"""A published table beside our numbers, as text, Markdown, LaTeX, CSV or JSON."""

import json
from textwrap import wrap
from typing import Any, Literal

from ktgdsl.report.describe import columns
from ktgdsl.report.markup import csv_text, latex_table, latex_text, markdown_table, markdown_text
from ktgdsl.report.table import (
    TableReport,
    cells,
    comparison_of,
    error_lines,
    notes,
    our_accuracy,
    published_accuracy,
    stale_reasons,
)
from ktgdsl.tables.cost import Cost
from ktgdsl.tables.model import Table
from ktgdsl.tables.status import RowStatus

Format = Literal["text", "markdown", "latex", "csv", "json"]
LEFT = ("row", "state")
"""Headings of columns that are not numbers."""
WIDTH = 100


def render(report: TableReport, style: Format) -> str:
    """The report in a format, with a line end."""
    match style:
        case "text":
            return _text(report)
        case "markdown":
            return _markdown(report)
        case "latex":
            return _latex(report)
        case "csv":
            return _csv(report)
        case "json":
            return _json(report)


def _text(report: TableReport) -> str:
    """Plain lines, for a pipe."""
    below = [line for note in notes(report) for line in wrap(note, WIDTH, break_on_hyphens=False)]
    return "\n".join([report.table.title, "", *columns(cells(report)), "", *below]) + "\n"


def _markdown(report: TableReport) -> str:
    """A Markdown table, numbers to the right."""
    rows = markdown_table(cells(report), LEFT)
    # A blank line between notes makes them paragraphs.
    below = [line for note in notes(report) for line in (markdown_text(note), "")]
    title = f"**{markdown_text(report.table.title)}**"
    return "\n".join([title, "", *rows, "", *below[:-1]]) + "\n"


def _latex(report: TableReport) -> str:
    """A LaTeX table; the notes are comments."""
    below = [f"% {latex_text(note)}" for note in (report.table.title, *notes(report))]
    return "\n".join([*latex_table(cells(report), LEFT), *below]) + "\n"


def _csv(report: TableReport) -> str:
    """One line a row, numbers as they are."""
    rows = [
        _facts(status, report.table) | _gain_facts(report, status) for status in report.statuses
    ]
    if report.costs:
        for number, row in enumerate(rows):
            cost = _cost_facts(report.cost_left(number))
            row |= {f"left_{name}": value for name, value in cost.items()}
    return csv_text(rows)


def _json(report: TableReport) -> str:
    """An object with the table's title, its rows, and what is left to do."""
    facts: dict[str, Any] = {
        "title": report.table.title,
        "published_runs": report.table.published_runs,
        "rows": [
            {
                **_facts(status, report.table),
                **_gain_facts(report, status),
                "set": list(status.settings),
                "runs": list(status.result.nodes[status.result.target].accuracy.runs)
                if status.result
                else [],
                "left": _cost_facts(report.cost_left(number)),
            }
            for number, status in enumerate(report.statuses)
        ],
        "left": _cost_facts(report.total_left),
    }
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _facts(status: RowStatus, table: Table) -> dict[str, Any]:
    """A row as plain values; what there is not is None."""
    published, ours = published_accuracy(table, status), our_accuracy(status)
    comparison = comparison_of(ours, published)
    result = status.result
    return {
        "label": status.row.label,
        "nodes": status.row.nodes,
        "method": status.row.method,
        "data": status.row.data,
        "published_mean": published and published.mean,
        "published_std": published and published.std,
        "published_n": published and published.n,
        "mean": ours and ours.mean,
        "std": ours and ours.std,
        "n": ours and ours.n,
        "difference": comparison and comparison.percent,
        "d": comparison and comparison.d,
        "state": status.state,
        "seconds": result and result.seconds,
        "digest": result and result.digest,
        "spec": status.spec and status.spec.as_posix(),
        "folder": _folder(status),
        "error": " ".join(error_lines(status)) if status.error is not None else None,
        "stale": "; ".join(stale_reasons(status)) or None,
    }


def _folder(status: RowStatus) -> str | None:
    """The folder of a row's run, which may not be there yet."""
    run = status.run or status.result
    return None if run is None else run.folder.as_posix()


def _gain_facts(report: TableReport, status: RowStatus) -> dict[str, Any]:
    """The comparison with the baseline as plain values; none without a baseline."""
    if report.baseline is None:
        return {}
    gained = report.gain(status)
    return {
        "baseline": report.baseline.row.label,
        "gain": gained and gained.mean,
        "gain_std": gained and gained.std,
        "gain_n": gained and gained.n,
        "t": gained and gained.t,
        "p": gained and gained.p,
    }


def _cost_facts(cost: Cost) -> dict[str, Any]:
    return {
        "runs": cost.runs,
        "node_epochs": cost.node_epochs,
        "steps": cost.steps,
        "hours": None if cost.seconds is None else round(cost.seconds / 3600, 4),
    }
