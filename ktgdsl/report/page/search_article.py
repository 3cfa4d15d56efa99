"""A search as a part of a page: best graphs, checks, the ladder of rungs, importances."""

from collections.abc import Iterator
from statistics import median

from optuna.trial import FrozenTrial, TrialState

from ktgdsl.plan.goals import goals_of
from ktgdsl.report.curves.recorded_search import RecordedSearch
from ktgdsl.report.curves.trials import trial_chart
from ktgdsl.report.formatting import count, duration, one_line
from ktgdsl.report.page.blocks import (
    Article,
    Block,
    Figures,
    Folded,
    Notes,
    Paragraph,
    Section,
    Table,
)
from ktgdsl.report.page.figures import chart_figure, graph_figure
from ktgdsl.report.page.folder_sections import (
    code_section,
    environment_section,
    graph_tables,
    settings_section,
)
from ktgdsl.report.page.front_section import front_section
from ktgdsl.report.page.run_article import UNFINISHED
from ktgdsl.report.search_text import best_graph, comparison, result_notes
from ktgdsl.searching.checks import leaders
from ktgdsl.searching.folder import STATES
from ktgdsl.searching.rungs import rungs
from ktgdsl.searching.study.study import SEED, attribute, reason_of, values_of
from ktgdsl.searching.study.trial_plans import graph_of_trial


def search_article(search: RecordedSearch) -> Article:
    """The article about a search."""
    sections = [
        Section("Result", [*_result(search)]),
        *front_section(search),
        Section("Best graphs", [*_best_graphs(search)]),
        Section("Rungs", [*_ladder(search)]),
        Section("What matters", [*_importances(search)]),
        Section("Trials", [Folded(count(len(search.trials), "trial"), [_trials(search)])]),
        Section("Space", [*_space(search)]),
        settings_section(search.plan),
        environment_section(search.folder),
        code_section(search.folder, "space.ktg"),
    ]
    value, about = _value(search)
    return Article(search.name, _subtitle(search), value, about, sections)


def _value(search: RecordedSearch) -> tuple[str, str]:
    result = search.result
    if result is None:
        return UNFINISHED, ""
    best, of = (
        result.best,
        f"{result.judged_on} {result.objective}, trial {result.best.trial}",
    )
    if best.confirmed is None:
        return f"{best.value:.2f} %", of
    return str(best.confirmed), f"{of}, further seeds"


def _subtitle(search: RecordedSearch) -> str:
    plan, result = search.plan, search.result
    parts = [f"space {plan.graph.name}", str(plan.data.source), count(len(search.trials), "trial")]
    if plan.search is not None:
        ways = [plan.search.sampler, plan.search.pruner]
        parts.append(", ".join(str(each) for each in ways if each.name != "none"))
    if result is not None:
        parts.append(duration(result.seconds))
    return " · ".join(parts)


def _result(search: RecordedSearch) -> Iterator[Block]:
    result = search.result
    if result is None:
        yield Paragraph("The search is not finished; this is how far it is.")
        return
    yield Notes(best_graph(result))
    (_, *head), *rows = comparison(result)
    values = frozenset(range(1, len(head)))
    yield Table(
        "The best graphs, and what the checks say of them",
        ("graph or baseline", *head),
        rows,
        values,
    )
    yield Notes([*result_notes(result)])


def _best_graphs(search: RecordedSearch) -> Iterator[Block]:
    best = _best(search)
    if not best:
        yield Paragraph("No trial has a value yet.")
        return
    target = search.plan.search.node if search.plan.search else ""
    figures = []
    for trial in best:
        graph = graph_of_trial(search.plan, trial.params)
        value = f"{_last(trial):.2f}"
        figure = graph_figure(graph, {target: value}, _caption(search, trial))
        if figure is not None:
            figures.append(figure)
    yield Figures(figures)
    drawn = sorted({name for trial in best for name in trial.params})
    head = ["value", *(f"trial {trial.number}" for trial in best)]
    rows = [[name, *(_drawn(trial, name) for trial in best)] for name in drawn]
    differing = [row for row in rows if len(set(row[1:])) > 1]
    if differing and len(best) > 1:
        yield Table("What differs between them", head, differing)


def _caption(search: RecordedSearch, trial: FrozenTrial) -> str:
    """The trial, its value, and what it reaches in the other objectives of several."""
    cells = [f"{_last(trial):.2f} % after {count(_epochs(trial), 'epoch')}"]
    if search.plan.search is not None and trial.state == TrialState.COMPLETE:
        pairs = zip(goals_of(search.plan.search)[1:], trial.values[1:], strict=True)
        cells += [f"{goal.measure} {goal.text(value)}" for goal, value in pairs]
    return f"trial {trial.number}: {', '.join(cells)}"


def _best(search: RecordedSearch) -> list[FrozenTrial]:
    """The finalists, the best first; before the end, the leaders."""
    if search.result is None:
        return leaders(search.trials)
    by_number = {trial.number: trial for trial in search.trials}
    return [by_number[each.trial] for each in search.result.finalists]


def _ladder(search: RecordedSearch) -> Iterator[Block]:
    plan = search.plan.search
    assert plan is not None
    begun = [trial for trial in search.trials if trial.intermediate_values]
    if not begun:
        yield Paragraph("No epoch of a trial is done yet.")
        return
    yield Figures([chart_figure(trial_chart(search))])
    rows = []
    for epoch in (*rungs(plan), plan.epochs):
        values = [each[epoch] for trial in begun if epoch in (each := values_of(trial))]
        ended = sum(trial.state == TrialState.PRUNED and _epochs(trial) == epoch for trial in begun)
        if values:
            cells = f"{len(values)}", f"{ended}", f"{median(values):.2f}", f"{max(values):.2f}"
            rows.append((f"{epoch:,}", *cells))
    head = "epoch", "trials", "ended here", "median, %", "best, %"
    yield Table("The ladder of rungs", head, rows, frozenset(range(5)))


def _importances(search: RecordedSearch) -> Iterator[Block]:
    if not search.importances:
        yield Paragraph("Too few trials are complete to say which open values matter.")
        return
    complete = sum(trial.state == TrialState.COMPLETE for trial in search.trials)
    rows = [(name, f"{100 * share:.1f}") for name, share in search.importances.items()]
    largest = max(search.importances.values()) or 1.0
    shares = {(row, 1): share / largest for row, share in enumerate(search.importances.values())}
    measure = search.plan.search.objective.name if search.plan.search else "accuracy"
    caption = f"How much of the {measure} each open value decides"
    yield Table(caption, ("value", "importance, %"), rows, frozenset({1}), shares, bars=True)
    yield Paragraph(
        f"By PED-ANOVA over {count(complete, 'complete trial')}; those that were pruned do not "
        "count. From few trials these are guesses."
    )


def _space(search: RecordedSearch) -> Iterator[Block]:
    if (figure := graph_figure(search.plan, {}, "dashed: what is open")) is not None:
        yield figure
    yield from graph_tables(search.plan)


def _trials(search: RecordedSearch) -> Table:
    space = search.plan.space
    names = [draw.name for draw in space.draws] if space else []
    head = ["trial", "state", "epochs", "value, %", "seed", *names, "reason"]
    rows = [
        [
            f"{trial.number}",
            STATES[trial.state],
            f"{_epochs(trial)}",
            f"{_last(trial):.2f}" if trial.intermediate_values else "",
            f"{attribute(trial, SEED)}",
            *(_drawn(trial, name) for name in names),
            one_line(reason_of(trial)),
        ]
        for trial in search.trials
    ]
    return Table("All trials", head, rows, frozenset({0, 2, 3, 4}))


def _drawn(trial: FrozenTrial, name: str) -> str:
    value = trial.params.get(name, "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _epochs(trial: FrozenTrial) -> int:
    return max(values_of(trial), default=0)


def _last(trial: FrozenTrial) -> float:
    return values_of(trial)[_epochs(trial)]
