"""Finished runs beside each other, each tested against each: text, Markdown, LaTeX, CSV, JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from textwrap import wrap
from typing import Any, Literal

from ktgdsl.report.formatting import signed
from ktgdsl.report.justified import justified
from ktgdsl.report.markup import csv_text, latex_table, latex_text, markdown_table, markdown_text
from ktgdsl.report.narrow import blocks
from ktgdsl.tables.difference import LEVEL, Difference
from ktgdsl.tables.finished import FinishedRun, untested_alike

Format = Literal["text", "markdown", "latex", "csv", "json"]
NOTHING = "-"
WORDS = ("run", "node", "seeds", "difference", "test")
"""Headings of columns that are not numbers."""


@dataclass(frozen=True)
class Comparison:
    """Runs by a metric; of two of them the later one is compared with the earlier one.

    With a `baseline`, which is one of them, all others are compared with it alone.
    """

    runs: Sequence[FinishedRun]
    metric: str
    baseline: FinishedRun | None = None

    @property
    def pairs(self) -> list[tuple[FinishedRun, FinishedRun, Difference]]:
        """The pairs that are compared: a run, the other run, and how much better the first is."""
        base = self.baseline
        if base is not None:
            return [(run, base, run.less(base)) for run in self.runs if run is not base]
        return [(later, first, later.less(first)) for first, later in combinations(self.runs, 2)]


def render(comparison: Comparison, style: Format, width: int) -> str:
    """The comparison in a format, with a line end; `width` is that of text."""
    match style:
        case "text":
            return _text(comparison, width)
        case "markdown":
            lines = [markdown_text(note) for note in _notes(comparison)]
            tables = [markdown_table(cells, WORDS) for cells in _tables(comparison)]
            return _parts([*tables, *([line] for line in lines)])
        case "latex":
            lines = [f"% {latex_text(note)}" for note in _notes(comparison)]
            return _parts([*(latex_table(cells, WORDS) for cells in _tables(comparison)), lines])
        case "csv":
            return csv_text([_pair_facts(*pair) for pair in comparison.pairs])
        case "json":
            facts = {
                "metric": comparison.metric,
                **({} if comparison.baseline is None else {"baseline": comparison.baseline.label}),
                "runs": [_run_facts(run) for run in comparison.runs],
                "differences": [_pair_facts(*pair) for pair in comparison.pairs],
                "notes": untested_alike([*comparison.runs]),
            }
            return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _parts(parts: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _text(comparison: Comparison, width: int) -> str:
    parts = []
    for cells in _tables(comparison):
        lines = justified(cells, WORDS)
        fits = max(map(len, lines)) <= width
        parts.append(lines if fits else blocks(cells[0], cells[1:], width))
    notes = [line for note in _notes(comparison) for line in wrap(note, width)]
    return _parts([*parts, notes])


def _tables(comparison: Comparison) -> tuple[list[list[str]], list[list[str]]]:
    """The runs, and their differences, as cells."""
    runs = [["run", "node", comparison.metric, "n", "seeds"]]
    for run in comparison.runs:
        seeds = ", ".join(map(str, run.result.seeds))
        runs.append([run.label, run.node, _score(run), str(len(run.score.runs)), seeds])
    rows = [["difference", "mean", f"{100 * LEVEL:.0f} % interval", "test", "n", "p"]]
    for later, first, found in comparison.pairs:
        rows.append([f"{later.label} - {first.label}", signed(found.mean), *_tested(found)])
    return runs, rows


def _score(run: FinishedRun) -> str:
    spread = "" if run.score.std is None else f" ± {run.score.std:.2f}"
    return f"{run.score.mean:.2f}{spread}"


def _tested(found: Difference) -> list[str]:
    interval = NOTHING
    if found.low is not None and found.high is not None:
        interval = f"{signed(found.low)} to {signed(found.high)}"
    n = str(found.n) if found.test == "paired" else f"{found.n}, {found.other_n}"
    return [interval, found.test or NOTHING, n, NOTHING if found.p is None else f"{found.p:.2g}"]


def _notes(comparison: Comparison) -> list[str]:
    """Notes on the numbers."""
    measured = "Accuracies" if comparison.metric == "accuracy" else f"Values of {comparison.metric}"
    tests = {found.test for *_, found in comparison.pairs}
    notes = [f"{measured} on the test split in percent, mean ± standard deviation over n seeds."]
    if comparison.baseline is not None:
        notes.append(f"All others are compared with the baseline, {comparison.baseline.label}.")
    if "paired" in tests:
        notes.append("paired: the t-test of the differences by seed, of n seeds that both have.")
    if "welch" in tests:
        notes.append("welch: Welch's t-test, as two seeds or more are not shared.")
    if None in tests:
        notes.append("A single seed tests nothing: train several with `--repeats`.")
    if tests - {None} and len(comparison.pairs) > 1:
        count = len(comparison.pairs)
        notes.append(
            f"Each p is two-sided and of its pair alone: of {count} comparisons the level that "
            f"counts is 0.05 / {count} = {0.05 / count:.2g}."
        )
    return [*notes, *(f"Not the same data: {note}." for note in untested_alike([*comparison.runs]))]


def _run_facts(run: FinishedRun) -> dict[str, Any]:
    return {
        "folder": run.result.folder.as_posix(),
        "graph": run.plan.graph.name,
        "node": run.node,
        "data": str(run.plan.data.source),
        "digest": run.result.digest,
        "seeds": list(run.result.seeds),
        **run.score.model_dump(mode="json"),
    }


def _pair_facts(later: FinishedRun, first: FinishedRun, found: Difference) -> dict[str, Any]:
    """A comparison as plain values; what there is not is None."""
    return {
        "run": later.label,
        "other": first.label,
        "run_mean": later.score.mean,
        "run_std": later.score.std,
        "other_mean": first.score.mean,
        "other_std": first.score.std,
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "level": LEVEL,
        "test": found.test,
        "n": found.n,
        "other_n": found.other_n,
        "freedom": found.freedom,
        "t": found.t,
        "p": found.p,
    }
