"""The charts of runs: which curves stand over one another, under which title."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ktgdsl.report.curves.recorded import EpochRecord, RecordedRun
from ktgdsl.report.curves.series import Series, series
from ktgdsl.report.evaluation import MEASURES
from ktgdsl.training.run_files import folder_error


@dataclass(frozen=True)
class PhaseSpan:
    """A phase of the training: its first and its last epoch."""

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class Chart:
    """Curves over the epochs. `bounds` are what no spread is drawn beyond, None where it may be.

    `digits` are those of a value behind the point. Curves of the `background` have no name.
    """

    title: str
    series: tuple[Series, ...]
    phases: tuple[PhaseSpan, ...] = ()
    bounds: tuple[float | None, float | None] = (None, None)
    digits: int = 2
    background: tuple[Series, ...] = ()

    @property
    def epochs(self) -> tuple[int, int]:
        """The first and the last epoch of all curves."""
        curves = (*self.series, *self.background)
        ends = [(each.points[0].epoch, each.last.epoch) for each in curves]
        return min(first for first, _ in ends), max(last for _, last in ends)


_PERCENT = (0.0, 100.0)


def overview(run: RecordedRun) -> list[Chart]:
    """The accuracy and the loss of all nodes of a run; none while no epoch is done."""
    nodes = [node.name for node in run.plan.graph.evaluated]
    accuracy = [series(name, run.of(name), _evaluated) for name in nodes]
    loss = [series(name, run.of(name), _loss, by_phase=True) for name in nodes]
    phases = phase_spans(run)
    return [
        *_chart(f"{run.split} accuracy, %", accuracy, phases, _PERCENT),
        *_chart("loss", loss, phases, (0.0, None), digits=3),
        *(chart for metric in run.plan.train.metrics for chart in _measured(run, metric)),
    ]


def _measured(run: RecordedRun, metric: str) -> list[Chart]:
    """A metric that the plan names, of all nodes."""
    nodes = [node.name for node in run.plan.graph.evaluated]
    curves = [series(name, run.of(name), lambda record: record.measured(metric)) for name in nodes]
    heading, _ = MEASURES[metric]
    return _chart(f"{run.split} {heading}, %", curves, phase_spans(run), _PERCENT)


def of_node(run: RecordedRun, node: str) -> list[Chart]:
    """A node's accuracies, its loss with those of its edges, and how far their gates are open."""
    records, phases = run.of(node), phase_spans(run)
    names = list(dict.fromkeys(name for record in records for name in record.edges))
    heads = list(dict.fromkeys(head for record in records for head in record.heads))
    accuracies = [
        series(run.split, records, _evaluated),
        series("training", records, lambda record: record.accuracy),
        *(series(f"{run.split}, {head}", records, _head(head)) for head in heads),
    ]
    losses = [
        series(_short(name, node), records, _edge_loss(name), by_phase=True) for name in names
    ]
    total = [series("sum", records, _loss, by_phase=True)] if len(names) > 1 else []
    gates = [series(_short(name, node), records, _edge_open(name)) for name in names]
    return [
        *_chart(f"accuracy of {node}, %", accuracies, phases, _PERCENT),
        *_chart(f"loss of {node}, by edge", [*losses, *total], phases, (None, None), digits=3),
        *_chart(f"open share of the gates into {node}", gates, phases, (0.0, 1.0)),
    ]


def across(runs: Sequence[RecordedRun], node: str | None = None) -> list[Chart]:
    """Runs over one another: accuracy and loss of a node, by default of each run's target.

    Phases are marked where they are the same in all runs.
    """
    names = [node or run.plan.graph.targets[0] for run in runs]
    one_node, one_split = len(set(names)) == 1, len({run.split for run in runs}) == 1
    what = f" of {names[0]}" if one_node else " of the target"
    split = f"{runs[0].split} " if one_split else ""
    labels = [run.name if one_split else f"{run.name} ({run.split})" for run in runs]
    spans = {phase_spans(run) for run in runs}
    phases = spans.pop() if len(spans) == 1 else ()
    pairs = list(zip(labels, runs, names, strict=True))
    accuracy = [series(label, run.of(name), _evaluated) for label, run, name in pairs]
    loss = [series(label, run.of(name), _loss, by_phase=True) for label, run, name in pairs]
    return [
        *_chart(f"{split}accuracy{what}, %", accuracy, phases, _PERCENT),
        *_chart(f"loss{what}", loss, phases, (0.0, None), digits=3),
    ]


def phase_spans(run: RecordedRun) -> tuple[PhaseSpan, ...]:
    """The phases of a run as far as it is trained; none where they ended early by the repeat."""
    epochs: dict[str, list[int]] = {}
    for record in run.epochs:
        if record.phase is not None:
            epochs.setdefault(record.phase, []).append(record.epoch)
    spans = tuple(PhaseSpan(name, min(each), max(each)) for name, each in epochs.items())
    return () if any(one.last >= next.first for one, next in pairwise(spans)) else spans


def _chart(
    title: str,
    found: Iterable[Series | None],
    phases: tuple[PhaseSpan, ...],
    bounds: tuple[float | None, float | None],
    digits: int = 2,
) -> list[Chart]:
    """A chart of the curves that there are, if any."""
    curves = tuple(each for each in found if each is not None)
    return [Chart(title, curves, phases, bounds, digits)] if curves else []


def _evaluated(record: EpochRecord) -> float | None:
    return record.evaluated


def _loss(record: EpochRecord) -> float | None:
    return record.loss


def _head(name: str) -> Callable[[EpochRecord], float | None]:
    return lambda record: head.evaluated if (head := record.heads.get(name)) else None


def _short(edge: str, node: str) -> str:
    """The name of an edge without the node that it enters."""
    return edge.replace(f" -> {node}.", " -> ")


def _edge_loss(name: str) -> Callable[[EpochRecord], float | None]:
    return lambda record: edge.loss if (edge := record.edges.get(name)) else None


def _edge_open(name: str) -> Callable[[EpochRecord], float | None]:
    return lambda record: edge.open if (edge := record.edges.get(name)) else None


def charts_of(runs: Sequence[RecordedRun], node: str | None = None) -> list[Chart]:
    """The charts that `ktgc curves` draws of runs, or of a node in them.

    Raises RunError (E502) where a run has no epoch yet, or no such node.
    """
    for run in runs:
        if not run.epochs and run.result is not None:
            message = f"the folder {run.folder} has no metrics by epoch"
            help = "the search that kept it has the curves of its trials: `ktgc curves SEARCH`"
            raise folder_error(run.folder, message, help)
        if not run.epochs:
            raise folder_error(
                run.folder, f"no epoch of the run in {run.folder} is done yet", "wait for the first"
            )
        names = [each.name for each in run.plan.graph.evaluated]
        if node is not None and node not in names:
            message = f"the run in {run.folder} has no node `{node}`"
            raise folder_error(run.folder, message, f"its nodes are {', '.join(names)}")
    if len(runs) > 1:
        return across(runs, node)
    return overview(runs[0]) if node is None else of_node(runs[0], node)
