"""A published table beside our numbers: the cells of its rows, and notes on them."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ktgdsl.diagnostics.render import where
from ktgdsl.report.formatting import duration, signed
from ktgdsl.tables.comparison import Comparison, Sample, compare
from ktgdsl.tables.cost import Cost, StepTimes, cost_left, total
from ktgdsl.tables.difference import Difference, paired
from ktgdsl.tables.model import Table
from ktgdsl.tables.status import RowStatus

NOTHING = "-"
HEADINGS = ("row", "ours", "state")
PUBLISHED_HEADINGS = ("row", "published", "ours", "difference", "d", "state")
GAIN_HEADINGS = ("gain", "p")
COST_HEADINGS = ("runs", "node-epochs", "steps", "time")


@dataclass(frozen=True)
class TableReport:
    """A table and the status of its rows.

    With `costs` it has the remaining cost, and with a `baseline`, a row, the gain of each row.
    """

    table: Table
    statuses: Sequence[RowStatus]
    costs: bool = False
    baseline: RowStatus | None = None

    @cached_property
    def costs_left(self) -> tuple[dict[Hashable, Cost], ...]:
        """The remaining cost of each row, by task, in the order of the rows."""
        times = StepTimes(self.statuses)
        return tuple(cost_left(status, times) for status in self.statuses)

    def cost_left(self, number: int) -> Cost:
        """The remaining cost of the row of this number, from 0 on."""
        return total(self.costs_left[number].values())

    @property
    def total_left(self) -> Cost:
        """The remaining cost of all rows; a task that several rows need counts once."""
        by_task = {task: cost for costs in self.costs_left for task, cost in costs.items()}
        return total(by_task.values())

    def gain(self, status: RowStatus) -> Difference | None:
        """The paired difference of a row to the baseline; None for fewer than two equal seeds."""
        if self.baseline is None or status.row == self.baseline.row:
            return None
        return paired(_by_seed(status), _by_seed(self.baseline))


def _by_seed(status: RowStatus) -> dict[int, float]:
    """Our accuracies of the target by the seed of the run; none of a row that is not done."""
    if (result := status.result) is None:
        return {}
    return dict(zip(result.seeds, result.nodes[result.target].accuracy.runs, strict=True))


def published_accuracy(table: Table, status: RowStatus) -> Sample | None:
    """The published accuracy of a row."""
    numbers = status.row.published
    if numbers is None:
        return None
    assert table.published_runs is not None
    return Sample(numbers[0], numbers[1] if len(numbers) > 1 else None, table.published_runs)


def our_accuracy(status: RowStatus) -> Sample | None:
    """Our accuracy of the target, of a row that is done."""
    if status.result is None:
        return None
    score = status.result.nodes[status.result.target].accuracy
    return Sample(score.mean, score.std, len(score.runs))


def cells(report: TableReport) -> list[tuple[str, ...]]:
    """The headings, and a line of cells for each row, as people read them."""
    gains = GAIN_HEADINGS if report.baseline else ()
    own = PUBLISHED_HEADINGS if _has_published(report) else HEADINGS
    lines: list[tuple[str, ...]] = [own + gains + (COST_HEADINGS if report.costs else ())]
    for number, status in enumerate(report.statuses):
        published, ours = published_accuracy(report.table, status), our_accuracy(status)
        comparison = comparison_of(ours, published)
        line = {
            "row": status.row.label,
            "published": _accuracy_cell(published),
            "ours": _accuracy_cell(ours) + (f" (n = {ours.n})" if ours else ""),
            "difference": signed(comparison.percent) if comparison else NOTHING,
            "d": signed(comparison.d) if comparison and comparison.d is not None else NOTHING,
            "state": status.state,
        }
        costs = _cost_cells(status, report.cost_left(number)) if report.costs else ()
        gained = _gain_cells(report.gain(status)) if report.baseline else ()
        lines.append((*(line[heading] for heading in own), *gained, *costs))
    return lines


def _has_published(report: TableReport) -> bool:
    """Whether some row of the table has a published number, shown or not."""
    return any(row.published for row in report.table.rows)


def _gain_cells(gained: Difference | None) -> tuple[str, str]:
    if gained is None or gained.std is None:
        return NOTHING, NOTHING
    p = NOTHING if gained.p is None else f"{gained.p:.2g}"
    return f"{signed(gained.mean)} ± {gained.std:.2f} (n = {gained.n})", p


def _accuracy_cell(sample: Sample | None) -> str:
    if sample is None:
        return NOTHING
    return f"{sample.mean:.2f}" + (f" ± {sample.std:.2f}" if sample.std is not None else "")


def _cost_cells(status: RowStatus, cost: Cost) -> tuple[str, str, str, str]:
    if status.result is not None:
        return NOTHING, NOTHING, NOTHING, f"took {duration(status.result.seconds)}"
    if not cost.runs:
        return NOTHING, NOTHING, NOTHING, NOTHING
    time = NOTHING if cost.seconds is None else f"about {duration(cost.seconds)}"
    return f"{cost.runs:,}", f"{cost.node_epochs:,}", f"{cost.steps:,}", time


def comparison_of(ours: Sample | None, published: Sample | None) -> Comparison | None:
    """Ours against the published accuracy, where there are both."""
    return compare(ours, published) if ours and published else None


def notes(report: TableReport) -> list[str]:
    """Notes: the columns, the tasks that remain, and errors."""
    n = report.table.published_runs or 0
    lines = ["Accuracies of the target in percent, mean ± standard deviation of runs."]
    if any(status.row.published for status in report.statuses):
        lines[0] += (
            " d is the difference in pooled standard deviations: (ours - published) / s, where "
            f"s² = ((n - 1) s1² + {n - 1} s2²) / (n - 1 + {n - 1}), n and s1 of our runs and s2 "
            f"of the {n} published ones."
        )
    if report.baseline is not None:
        lines.append(
            f"gain is the difference to `{report.baseline.row.label}`, mean ± standard deviation "
            "of the n seeds that both rows have; p is that of a two-sided paired t-test, of each "
            "row by itself: with m rows compared, 0.05 / m is the level that counts."
        )
    if report.costs:
        lines.append(_left_to_do(report))
    for status in report.statuses:
        label = status.row.label
        lines += [f"{label}: {line}" for line in error_lines(status)]
        lines += [f"{label}: to be trained again: {why}" for why in stale_reasons(status)]
    return lines


def _left_to_do(report: TableReport) -> str:
    cost = report.total_left
    if not cost.runs:
        return "There is nothing left to do."
    parts = [
        f"Left to do, what rows share once: {cost.runs:,} runs, {cost.node_epochs:,} epochs of a "
        f"node, {cost.steps:,} steps"
    ]
    if cost.seconds is not None:
        parts.append(f"about {duration(cost.seconds)} for the rows whose like was trained here")
    if any(status.search and status.search.state != "done" for status in report.statuses):
        parts.append("of searches about what their pruner leaves, by simulation")
    return "; ".join(parts) + "."


def error_lines(status: RowStatus) -> list[str]:
    """A line for each error, with what to do and its place in the spec."""
    if status.error is None:
        return []
    lines = []
    for each in status.error.diagnostics:
        if each.severity == "error":
            help = f" (help: {each.help})" if each.help else ""
            place = f" ({where(each, status.error.sources)})" if each.span else ""
            lines.append(f"{each.code} {each.message}{help}{place}")
    return lines


def stale_reasons(status: RowStatus) -> list[str]:
    """Why what is on the disk for a row does not count any more."""
    if status.state != "stale":
        return []
    return [task.stale for task in status.tasks if task.stale is not None]
