"""The front of a search with several objectives, as lines."""

from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.report.describe import columns
from ktgdsl.report.formatting import count, truncated
from ktgdsl.searching.events import FrontReached
from ktgdsl.searching.result import SearchResult

FRONT = "no other is better in one objective without being worse in another"

MOST_ROWS = 20
"""More graphs of the front are only counted; `result.json` has all."""


def reached_text(plan: Plan, event: FrontReached) -> str:
    """That a trial is on the front, with its values."""
    assert plan.search is not None
    pairs = zip(goals_of(plan.search), event.values, strict=True)
    values = ", ".join(f"{goal.measure} {goal.text(value)}" for goal, value in pairs)
    there = "it is alone there" if event.size == 1 else f"with {count(event.size - 1, 'other')}"
    return f"on the front: trial {event.trial}, {values}; {there}"


def front_lines(result: SearchResult) -> list[str]:
    """The front as a table under a heading; nothing of a single objective."""
    if not result.front:
        return []
    names = [each.removeprefix("-") for each in result.objectives]
    rows: list[tuple[str, ...]] = [("", *names, "graph")]
    for trial in result.front:
        values = (value_text(result, name, trial.values[name]) for name in names)
        rows.append((f"trial {trial.trial}", *values, trial.spec))
    head = f"the front, {count(len(result.front), 'graph')}: {FRONT}"
    return [head, *truncated(columns(rows), MOST_ROWS + 1)]


def value_text(result: SearchResult, name: str, value: float) -> str:
    """A value of the front by the name of what was measured."""
    return f"{value:,.0f}" if f"-{name}" in result.objectives else f"{value:.2f} %"
