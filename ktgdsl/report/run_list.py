"""The runs that were found, as a table and as JSON."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ktgdsl.report.evaluation import score_text
from ktgdsl.report.formatting import count
from ktgdsl.report.justified import justified
from ktgdsl.report.narrow import BETWEEN, blocks, fitting_columns
from ktgdsl.tables.found_runs import FoundRun

NOTHING = "-"
HEADINGS = ("folder", "spec", "target", "accuracy", "n", "state", "age")
LEFT = ("folder", "spec", "target", "accuracy", "state")
LESS_IMPORTANT = tuple(map(HEADINGS.index, ("spec", "n", "age")))
"""Columns that a narrow terminal goes without, the first of them first."""

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def run_list_text(runs: Sequence[FoundRun], now: datetime, width: int | None) -> str:
    """A line for each run, and below it why some cannot be read.

    Where a terminal is narrow some columns are left out, and where that does not do each run has
    lines for its cells; where there is no `width`, as in a pipe, lines are as long as they are.
    """
    rows = [HEADINGS, *(_cells(run, now) for run in runs)]
    widths = [max(map(len, column)) + len(BETWEEN) for column in zip(*rows, strict=True)]
    room = sum(widths) if width is None else width + len(BETWEEN)
    fitting = fitting_columns(widths, LESS_IMPORTANT, room)
    lines = justified([[row[column] for column in fitting] for row in rows], LEFT)
    if width is not None and max(map(len, lines)) > width:
        known = [["" if cell == NOTHING else cell for cell in row] for row in rows[1:]]
        lines = blocks(HEADINGS, known, width)
    problems = [f"unreadable: {run.problem}" for run in runs if run.problem is not None]
    return "\n".join([*lines, *([""] if problems else []), *problems]) + "\n"


def _cells(run: FoundRun, now: datetime) -> tuple[str, ...]:
    folder, age = run.folder.as_posix(), _age(run.started, now)
    if run.plan is None:
        return folder, *[NOTHING] * 4, run.state, age
    accuracy, n = NOTHING, str(run.plan.train.repeats)
    if run.kind == "search":
        n = count(run.trials or (run.plan.search.trials if run.plan.search else 0), "trial")
    if run.score is not None:
        held_out = " (validation)" if run.split == "validation" else ""
        accuracy = f"{score_text(run.score)}{held_out}"
    return folder, run.plan.graph.name, run.target or NOTHING, accuracy, n, run.state, age


def _age(started: datetime | None, now: datetime) -> str:
    if started is None:
        return NOTHING
    seconds = max(0, int((now - started).total_seconds()))
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return count(seconds // size, unit)


def run_list_json(runs: Sequence[FoundRun]) -> str:
    """A list of objects; what is not known is null."""
    return json.dumps([_facts(run) for run in runs], indent=2, allow_nan=False) + "\n"


def _facts(run: FoundRun) -> dict[str, object]:
    plan, score = run.plan, run.score
    return {
        "folder": run.folder.as_posix(),
        "kind": run.kind,
        "graph": plan and plan.graph.name,
        "data": plan and str(plan.data.source),
        "target": run.target,
        "accuracy": score and score.model_dump(mode="json"),
        "split": run.split,
        "repeats": plan and plan.train.repeats,
        "trials": run.trials,
        "state": run.state,
        "started": run.started and run.started.isoformat(),
        "problem": run.problem,
    }


def nothing_found(folder: str) -> str:
    """The text for a folder without runs, with how to start one."""
    where = "" if Path(folder) == Path("runs") else f" in {folder}"
    return f"no run was found{where}: `ktgc run SPEC` makes one, in `runs`"
