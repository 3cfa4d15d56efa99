"""The front of a search with several objectives, as lines."""

from collections.abc import Sequence

from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.report.formatting import count
from ktgdsl.searching.events import FrontReached
from ktgdsl.searching.result import SearchResult

FRONT = "no other is better in one objective without being worse in another"

MAX_ROWS = 20
"""More graphs of the front are only counted; `result.json` has all."""


def reached_text(plan: Plan, event: FrontReached) -> str:
    """The line for a trial that reaches the front, with its values."""
    assert plan.search is not None
    pairs = zip(goals_of(plan.search), event.values, strict=True)
    values = ", ".join(f"{goal.measure} {goal.text(value)}" for goal, value in pairs)
    there = "it is alone there" if event.size == 1 else f"with {count(event.size - 1, 'other')}"
    return f"on the front: trial {event.trial}, {values}; {there}"


def front_text(result: SearchResult) -> str:
    """How many graphs are on the front, and what that is."""
    return f"the front, {count(len(result.front), 'graph')}: {FRONT}"


def with_front(result: SearchResult, rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows of the comparison with baselines, with all of the front and a column an objective.

    `rows`, the first of them the heading, have a name, the value in the search, perhaps that of
    further seeds, and a spec.
    """
    names = [each.removeprefix("-") for each in result.objectives]
    judged_by = next(i for i, each in enumerate(result.objectives) if not each.startswith("-"))
    (_, _, *head), *others = rows
    compared = {name: cells for name, *cells in others}
    table = [("", *names, *head)]
    for trial in result.front[:MAX_ROWS]:
        name = f"trial {trial.trial}"
        values = (value_text(result, each, trial.values[each]) for each in names)
        _, *more, _ = compared.pop(name, ("",) * (len(head) + 1))
        table.append((name, *values, *more, trial.spec))
    if (left := len(result.front) - MAX_ROWS) > 0:
        table.append((f"... and {left} more", *[""] * (len(names) + len(head))))
    for name, (value, *more) in compared.items():
        if not more[-1]:  # a baseline, not a graph of the front
            cells = [""] * len(names)
            cells[judged_by] = value
            table.append((name, *cells, *more))
    return table


def value_text(result: SearchResult, name: str, value: float) -> str:
    """A value of the front by the name of what was measured."""
    return f"{value:,.0f}" if f"-{name}" in result.objectives else f"{value:.2f} %"
