"""A published table beside ours, as text, Markdown, CSV or JSON."""

import csv
import io
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from textwrap import wrap
from typing import Any, Literal

from ktgdsl.report.describe import columns
from ktgdsl.report.formatting import duration
from ktgdsl.tables.cost import Cost, Paces, left, total
from ktgdsl.tables.difference import Difference, Sample, difference
from ktgdsl.tables.model import Table
from ktgdsl.tables.standing import Standing

Format = Literal["text", "markdown", "csv", "json"]
NOTHING = "-"
WIDTH = 100
HEAD = ("row", "published", "ours", "difference", "d", "state")
COSTS = ("runs", "node-epochs", "steps", "time")


@dataclass(frozen=True)
class Report:
    """A table as it stands. With `costs` what is left to do is told as well."""

    table: Table
    standings: Sequence[Standing]
    costs: bool = False

    @cached_property
    def left(self) -> tuple[dict[Hashable, Cost], ...]:
        """What is left to do for each row, by task, in the order of the rows."""
        paces = Paces(self.standings)
        return tuple(left(each, paces) for each in self.standings)

    @property
    def all_left(self) -> Cost:
        """What is left to do, where some rows need the same."""
        return total({key: cost for each in self.left for key, cost in each.items()}.values())


def published_of(table: Table, standing: Standing) -> Sample | None:
    """The published accuracy of a row."""
    numbers = standing.row.published
    if numbers is None:
        return None
    return Sample(numbers[0], numbers[1] if len(numbers) > 1 else None, table.published_runs)


def ours_of(standing: Standing) -> Sample | None:
    """Our accuracy of the target, of a row that is done."""
    if standing.result is None:
        return None
    score = standing.result.nodes[standing.result.target].accuracy
    return Sample(score.mean, score.std, len(score.runs))


def written(report: Report, style: Format) -> str:
    """The whole report in a format, with a line end."""
    match style:
        case "text":
            return text(report)
        case "markdown":
            return markdown(report)
        case "csv":
            return as_csv(report)
        case "json":
            return as_json(report)


def cells(report: Report) -> list[tuple[str, ...]]:
    """The head and a line for each row, as people read it."""
    lines: list[tuple[str, ...]] = [HEAD + COSTS if report.costs else HEAD]
    for number, each in enumerate(report.standings):
        published, ours = published_of(report.table, each), ours_of(each)
        far = _far(published, ours)
        line = (
            each.row.label,
            _accuracy(published),
            _accuracy(ours) + (f" (n = {ours.n})" if ours else ""),
            f"{far.percent:+.2f}" if far else NOTHING,
            f"{far.pooled:+.2f}" if far and far.pooled is not None else NOTHING,
            each.state,
        )
        more = _costs(each, total(report.left[number].values())) if report.costs else ()
        lines.append(line + more)
    return lines


def text(report: Report) -> str:
    """Plain lines, for a pipe."""
    told = [line for note in notes(report) for line in wrap(note, WIDTH, break_on_hyphens=False)]
    return "\n".join([report.table.title, "", *columns(cells(report)), "", *told]) + "\n"


def markdown(report: Report) -> str:
    """A Markdown table, numbers to the right."""
    head, *lines = [[_escaped(cell) for cell in line] for line in cells(report)]
    rule = ["---", *("---" if name == "state" else "---:" for name in head[1:])]
    rows = [f"| {' | '.join(line)} |" for line in [head, rule, *lines]]
    # A blank line between notes makes them paragraphs.
    told = [line for note in notes(report) for line in (_escaped(note), "")]
    return "\n".join([f"**{_escaped(report.table.title)}**", "", *rows, "", *told[:-1]]) + "\n"


def notes(report: Report) -> list[str]:
    """What the columns are, what is left to do, and what went wrong."""
    n = report.table.published_runs
    told = ["Accuracies of the target in percent, mean ± standard deviation of runs."]
    if any(each.row.published for each in report.standings):
        told[0] += (
            " d is the difference in pooled standard deviations: (ours - published) / s, where "
            f"s² = ((n - 1) s1² + {n - 1} s2²) / (n - 1 + {n - 1}), n and s1 of our runs and s2 "
            f"of the {n} published ones."
        )
    if report.costs:
        told.append(_left_line(report))
    for each in report.standings:
        if each.error is not None:
            told += [f"{each.row.label}: {line}" for line in _errors(each)]
    return told


def _left_line(report: Report) -> str:
    cost = report.all_left
    if not cost.runs:
        return "There is nothing left to do."
    told = [
        f"Left to do, what rows share once: {cost.runs:,} runs, {cost.node_epochs:,} epochs of a "
        f"node, {cost.steps:,} steps"
    ]
    if cost.seconds is not None:
        told.append(f"about {duration(cost.seconds)} for the rows whose like was trained here")
    searches = any(each.search and each.search.state != "done" for each in report.standings)
    if searches:
        told.append("of searches about what their pruner leaves, by simulation")
    return "; ".join(told) + "."


def _errors(standing: Standing) -> list[str]:
    """A line for each thing that is wrong, with what to do."""
    assert standing.error is not None
    wrong = [each for each in standing.error.diagnostics if each.severity == "error"]
    return [
        f"{each.code} {each.message}{f' (help: {each.help})' * bool(each.help)}" for each in wrong
    ]


def as_csv(report: Report) -> str:
    """One line a row, numbers as they are."""
    out = io.StringIO()
    facts = [_facts(each, report) for each in report.standings]
    if report.costs:
        for row, needed in zip(facts, report.left, strict=True):
            plain = _plain(total(needed.values()))
            row |= {f"left_{name}": value for name, value in plain.items()}
    table = csv.DictWriter(out, [*facts[0]], lineterminator="\n")
    table.writeheader()
    table.writerows(facts)
    return out.getvalue()


def as_json(report: Report) -> str:
    """An object with the table's title, its rows, and what is left to do."""
    facts: dict[str, Any] = {
        "title": report.table.title,
        "published_runs": report.table.published_runs,
        "rows": [
            {
                **_facts(each, report),
                "set": list(each.settings),
                "runs": list(each.result.nodes[each.result.target].accuracy.runs)
                if each.result
                else [],
                "left": _plain(total(needed.values())),
            }
            for each, needed in zip(report.standings, report.left, strict=True)
        ],
        "left": _plain(report.all_left),
    }
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _facts(standing: Standing, report: Report) -> dict[str, Any]:
    """A row as plain values; what there is not is None."""
    published, ours = published_of(report.table, standing), ours_of(standing)
    far = _far(published, ours)
    result = standing.result
    return {
        "label": standing.row.label,
        "nodes": standing.row.nodes,
        "method": standing.row.method,
        "data": standing.row.data,
        "published_mean": published and published.mean,
        "published_std": published and published.std,
        "published_n": published and published.n,
        "mean": ours and ours.mean,
        "std": ours and ours.std,
        "n": ours and ours.n,
        "difference": far and far.percent,
        "d": far and far.pooled,
        "state": standing.state,
        "seconds": result and result.seconds,
        "digest": result and result.digest,
        "spec": standing.spec and standing.spec.as_posix(),
        "folder": standing.run and standing.run.folder.as_posix(),
        "error": " ".join(_errors(standing)) if standing.error is not None else None,
    }


def _plain(cost: Cost) -> dict[str, Any]:
    return {
        "runs": cost.runs,
        "node_epochs": cost.node_epochs,
        "steps": cost.steps,
        "hours": None if cost.seconds is None else round(cost.seconds / 3600, 4),
    }


def _costs(standing: Standing, cost: Cost) -> tuple[str, str, str, str]:
    if standing.result is not None:
        return NOTHING, NOTHING, NOTHING, f"took {duration(standing.result.seconds)}"
    if not cost.runs:
        return NOTHING, NOTHING, NOTHING, NOTHING
    time = NOTHING if cost.seconds is None else f"about {duration(cost.seconds)}"
    return f"{cost.runs:,}", f"{cost.node_epochs:,}", f"{cost.steps:,}", time


def _far(published: Sample | None, ours: Sample | None) -> Difference | None:
    return difference(ours, published) if ours and published else None


def _accuracy(sample: Sample | None) -> str:
    if sample is None:
        return NOTHING
    return f"{sample.mean:.2f}" + (f" ± {sample.std:.2f}" if sample.std is not None else "")


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("*", "\\*")
