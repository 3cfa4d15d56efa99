"""The page about folders of runs and searches, each an article, and what they have together."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from ktgdsl.backend.step_code import step_code
from ktgdsl.errors import KtgError
from ktgdsl.evaluation.evaluate import evaluate
from ktgdsl.report.curves.charts import across
from ktgdsl.report.curves.recorded import RecordedRun, read_runs
from ktgdsl.report.curves.recorded_search import read_search
from ktgdsl.report.page.answers_section import answers_section
from ktgdsl.report.page.blocks import Figures, Notes, Page, Paragraph, Section, Table
from ktgdsl.report.page.figures import chart_figure
from ktgdsl.report.page.run_article import UNFINISHED, run_article
from ktgdsl.report.page.search_article import search_article
from ktgdsl.training.run_folder import is_search_folder
from ktgdsl.training.versions import installed_version


def page_about(folders: Sequence[Path], *, evaluated: bool = True) -> Page:
    """The page about these folders. Raises RunError (E502) where one cannot be read.

    `evaluated` says whether the networks of finished runs are evaluated for it.
    """
    runs = read_runs([folder for folder in folders if not is_search_folder(folder)])
    articles = [
        run_article(run, _answers(run), _step(run)) if evaluated else run_article(run)
        for run in runs
    ]
    articles += [
        search_article(read_search(folder)) for folder in folders if is_search_folder(folder)
    ]
    title = articles[0].title if len(articles) == 1 else f"{len(articles)} results"
    return Page(
        title, _together(runs) if len(runs) > 1 else [], articles, installed_version("ktgdsl") or ""
    )


def _answers(run: RecordedRun) -> list[Section]:
    """The section about the answers of its networks, or why there is none."""
    if run.result is None:
        return []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            evaluation = evaluate(run.folder)
    except KtgError as error:
        problems = error.diagnostics
        why = "; ".join(each.message for each in problems)
        help = [each.help for each in problems if each.help]
        text = f"The networks could not be evaluated: {why}."
        return [Section("Answers", [Paragraph(text), *([Notes(help)] if help else [])])]
    notes = [str(each.message) for each in caught]
    for each in caught:
        warnings.warn(each.message, stacklevel=2)  # for who writes the page, too
    return [answers_section(evaluation, notes)]


def _step(run: RecordedRun) -> str | None:
    """The code of its step; none where the user's own networks are not to be had."""
    try:
        return step_code(run.plan)
    except KtgError:
        return None


def _together(runs: Sequence[RecordedRun]) -> list[Section]:
    """The targets of several runs beside one another."""
    rows = []
    for run in runs:
        target = run.plan.graph.targets[0]
        score = UNFINISHED if run.result is None else str(run.result.nodes[target].accuracy)
        cells = (
            run.plan.graph.name,
            target,
            str(run.plan.data.source),
            f"{run.plan.epochs:,}",
            score,
        )
        rows.append((run.name, *cells))
    head = "run", "graph", "target", "data", "epochs", "test accuracy"
    sections = [
        Section("All runs", [Table("Accuracy of each target", head, rows, frozenset({4, 5}))])
    ]
    begun = [run for run in runs if run.epochs]
    if len(begun) > 1:
        charts = Figures([chart_figure(chart) for chart in across(begun)])
        sections.append(Section("Runs over one another", [charts]))
    return sections
