"""The results of runs and searches as HTML for a notebook: graph, numbers, curves."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ktgdsl.diagnostics.render import printable
from ktgdsl.errors import KtgError
from ktgdsl.evaluation.result import Evaluation
from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.report.curves.charts import overview
from ktgdsl.report.curves.drawing import chart_drawing
from ktgdsl.report.curves.recorded import read_run
from ktgdsl.report.evaluation import samples_text, score_rows, shown_measures
from ktgdsl.report.formatting import duration
from ktgdsl.report.pictures.picture import picture
from ktgdsl.report.pictures.run_accuracies import plan_and_accuracies
from ktgdsl.report.pictures.shapes import Drawing
from ktgdsl.report.pictures.svg import svg
from ktgdsl.report.run_text import accuracy_columns, network_text, role, targets_first
from ktgdsl.report.search_text import best_graph, comparison, result_notes
from ktgdsl.searching.result import SearchResult
from ktgdsl.training.result import RunResult

if TYPE_CHECKING:
    from ktgdsl.searching.search_run import SearchOutcome

_CELL = "text-align: left; white-space: nowrap"
_NUMBER = "text-align: right; white-space: nowrap"


def run_html(result: RunResult) -> str:
    """The accuracy of each node, the graph with them, and the curves as far as the folder has them.

    Where the folder is gone it is the accuracies alone.
    """
    parts = [_heading(result.target, f"{result.nodes[result.target].accuracy}", result.folder)]
    try:
        run = read_run(result.folder, result.folder.name)
        parts += [
            _nodes(run.plan, result),
            _graph(result.folder),
            _drawings(map(chart_drawing, overview(run))),
        ]
    except KtgError:
        rows = [(name, str(node.accuracy)) for name, node in result.nodes.items()]
        parts.append(_table(("node", "test accuracy"), rows))
    return _block([*parts, _muted(f"{duration(result.seconds)}, in {result.folder}")])


def search_html(result: SearchResult) -> str:
    """The best graph, what it compares with, and the curves of the trials."""
    from ktgdsl.report.curves.front_chart import front_drawings  # imports Optuna
    from ktgdsl.report.curves.recorded_search import read_search
    from ktgdsl.report.curves.trials import trial_chart

    score = result.best.confirmed
    value = f"{result.best.value:.2f} %" if score is None else str(score)
    (_, *head), *rows = comparison(result)
    parts = [_heading(result.target, value, result.folder), _lines(best_graph(result))]
    parts.append(_table(("graph or baseline", *head), rows))
    with suppress(KtgError):  # the folder is gone
        search = read_search(result.folder)
        goals = () if search.plan.search is None else goals_of(search.plan.search)
        fronts = front_drawings(goals, search.trials)
        parts += [
            _graph(result.folder),
            _drawings([*fronts, chart_drawing(trial_chart(search))]),
        ]
    about = f"{result.trials:,} trials in {duration(result.seconds)}, in {result.folder}"
    return _block([*parts, _lines(result_notes(result)), _muted(about)])


def evaluation_html(evaluation: Evaluation) -> str:
    """The measures of each network, as `ktgc eval` prints them."""
    head = [heading for heading, _ in shown_measures(evaluation)]
    rows = [(name, *cells) for name, cells in score_rows(evaluation)]
    about = f"{evaluation.split} split of {evaluation.data}: {samples_text(evaluation)}"
    return _block([_table(("in percent", *head), rows), _muted(f"{about}, in {evaluation.folder}")])


def outcome_html(outcome: "SearchOutcome") -> str:
    """The result of a search."""
    return search_html(outcome.result)


def _heading(name: str, value: str, folder: Path) -> str:
    return f"<p><b>{_text(name)} {_text(value)}</b> &nbsp; {_text(folder.name)}</p>"


def _nodes(plan: Plan, result: RunResult) -> str:
    columns = [heading for heading, *_ in accuracy_columns(plan, result)]
    numbers = zip(*(cells for _, *cells in accuracy_columns(plan, result)), strict=True)
    rows = [
        (node.name, role(plan.graph, node), network_text(node), *of_node)
        for node, of_node in zip(targets_first(plan.graph), numbers, strict=True)
    ]
    return _table(("node", "role", "network", *columns), rows, first_number=3)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], first_number: int = 1) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        words = (place < first_number or head[place] == "graph" for place in range(len(cells)))
        styles = (_CELL if word else _NUMBER for word in words)
        shown = (
            f'<{tag} style="{style}">{_text(cell)}</{tag}>'
            for cell, style in zip(cells, styles, strict=True)
        )
        return f"<tr>{''.join(shown)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"


def _graph(folder: Path) -> str:
    plan, accuracies = plan_and_accuracies(folder)
    try:
        return _drawn(picture(plan, ".svg", accuracies).decode())
    except KtgError:  # it has too many nodes for a picture
        return ""


def _drawings(drawings: Iterable[Drawing]) -> str:
    drawn = "".join(_drawn(svg(each)) for each in drawings)
    return f'<div style="display: flex; flex-wrap: wrap; gap: 12px">{drawn}</div>'


def _drawn(picture: str) -> str:
    """A drawing, whose texts our own code has escaped, no wider than the notebook."""
    return f'<div style="overflow-x: auto; max-width: 100%">{picture}</div>'


def _lines(lines: Iterable[str]) -> str:
    shown = (re.sub("`([^`]+)`", r"<code>\1</code>", _text(line)) for line in lines)
    return "".join(f'<div style="margin: 2px 0">{line}</div>' for line in shown)


def _muted(text: str) -> str:
    return f'<p style="opacity: 0.7">{_text(text)}</p>'


def _block(parts: Iterable[str]) -> str:
    return f'<div class="ktgdsl">{"".join(parts)}</div>'


def _text(text: str) -> str:
    return escape(printable(text))
