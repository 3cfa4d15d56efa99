"""A run as a part of a page: its result, graph, curves, settings and code."""

from collections.abc import Iterator, Sequence

from ktgdsl.report.curves.charts import of_node, overview
from ktgdsl.report.curves.recorded import RecordedRun
from ktgdsl.report.evaluation import score_text
from ktgdsl.report.formatting import count, duration
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
from ktgdsl.report.run_text import early_stop_lines, network_text, role, targets_first
from ktgdsl.training.result import HeadResult, NodeResult, RunResult, Score

UNFINISHED = "not finished"
_SPREAD = (
    "A line is the mean over the seeds, the band about it one standard deviation on each side."
)


def run_article(
    run: RecordedRun, further: Sequence[Section] = (), step: str | None = None
) -> Article:
    """The article about a run.

    Args:
        run: what is in its folder.
        further: sections between its curves and its settings.
        step: the Python that computes a step, where it is known.
    """
    target = run.plan.graph.targets[0]
    sections = [
        Section("Result", [*_result(run)]),
        Section("Graph", [*_graph(run)]),
        *_curves(run),
        *further,
        settings_section(run.plan),
        environment_section(run.folder),
        code_section(run.folder, "spec.ktg", step),
    ]
    result = run.result
    value = UNFINISHED if result is None else str(result.nodes[target].accuracy)
    about = "" if result is None else f"test accuracy of {target}"
    return Article(run.name, _subtitle(run), value, about, sections)


def _subtitle(run: RecordedRun) -> str:
    plan = run.plan
    parts = [
        f"graph {plan.graph.name}",
        str(plan.data.source),
        count(plan.epochs if run.result is None else run.result.epochs, "epoch"),
        count(plan.train.repeats, "seed"),
    ]
    if run.result is not None:
        parts.append(duration(run.result.seconds))
    return " · ".join(parts)


def _result(run: RecordedRun) -> Iterator[Block]:
    result, graph = run.result, run.plan.graph
    if result is None:
        repeat, epoch = max(((each.repeat, each.epoch) for each in run.epochs), default=(1, 0))
        where = f"epoch {epoch} of repeat {repeat} is done" if epoch else "no epoch is done"
        yield Paragraph(f"The run is not finished: {where}.")
        return
    nodes = targets_first(graph)
    held_out = any(result.nodes[node.name].validation_accuracy for node in nodes)
    splits = ["test accuracy, %", *["validation accuracy, %"] * held_out]
    head = ["node", "role", "network", *splits]
    rows = []
    for node in nodes:
        found = result.nodes[node.name]
        rows.append((node.name, role(graph, node), network_text(node), *_scores(found, held_out)))
        for name, of_head in (found.heads or {}).items():
            rows.append((f"{node.name}.{name}", "head", "", *_scores(of_head, held_out)))
    spread = f", mean ± standard deviation of {len(result.seeds)} seeds"
    caption = "Accuracy of each node" + spread * (len(result.seeds) > 1)
    yield Table(caption, head, rows, frozenset(range(3, len(head))))
    if len(result.seeds) > 1:
        yield _by_seed(result, [node.name for node in nodes])
    if notes := [*early_stop_lines(result), *_pretrained(result)]:
        yield Notes(notes)


def _scores(found: NodeResult | HeadResult, held_out: bool) -> Iterator[str]:
    """The test accuracy and, where a split is held out, the validation accuracy."""
    yield score_text(found.accuracy)
    if held_out:
        validation = found.validation_accuracy
        yield "" if validation is None else score_text(validation)


def _by_seed(result: RunResult, nodes: list[str]) -> Table:
    head = ["node", *(f"seed {seed}" for seed in result.seeds)]
    rows = [
        [name, *(f"{value:.2f}" for value in result.nodes[name].accuracy.runs)] for name in nodes
    ]
    return Table("Test accuracy by seed, %", head, rows, frozenset(range(1, len(head))))


def _pretrained(result: RunResult) -> Iterator[str]:
    for name, node in result.nodes.items():
        if node.pretrained:
            score = Score.of([each.accuracy for each in node.pretrained])
            cached = ", taken from the cache" * all(each.cached for each in node.pretrained)
            split = node.pretrained[0].split
            yield f"{name} was pre-trained to {score} on the {split} split{cached}"


def _graph(run: RecordedRun) -> Iterator[Block]:
    plan = run.plan
    if (figure := graph_figure(plan, accuracies_of(run.result))) is not None:
        yield figure
    yield from graph_tables(plan)


def accuracies_of(result: RunResult | None) -> dict[str, str]:
    """The accuracies of a picture, by node: `72.88 ± 0.41`."""
    if result is None:
        return {}
    return {name: score_text(node.accuracy) for name, node in result.nodes.items()}


def _curves(run: RecordedRun) -> Iterator[Section]:
    charts = overview(run)
    if not charts:
        return
    blocks: list[Block] = [Figures([chart_figure(chart) for chart in charts])]
    if run.plan.train.repeats > 1:
        blocks.insert(0, Paragraph(_SPREAD))
    yield Section("Curves", blocks)
    nodes = []
    for number, node in enumerate(targets_first(run.plan.graph)):
        if charts := of_node(run, node.name):
            figures = Figures([chart_figure(chart) for chart in charts])
            nodes.append(Folded(f"node {node.name}", [figures], is_open=number == 0))
    yield Section("Nodes and the edges into them", nodes)
