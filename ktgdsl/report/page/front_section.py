"""The front of a search with several objectives, as a section of a page."""

from collections.abc import Iterator

from ktgdsl.plan.goals import goals_of
from ktgdsl.report.curves.front_chart import front_drawings
from ktgdsl.report.curves.recorded_search import RecordedSearch
from ktgdsl.report.formatting import count
from ktgdsl.report.front_text import FRONT
from ktgdsl.report.page.blocks import Block, Figure, Figures, Paragraph, Section, Table
from ktgdsl.report.pictures.svg import inline_svg
from ktgdsl.searching.front import front


def front_section(search: RecordedSearch) -> Iterator[Section]:
    """The section with the chart and, with the same numbers, the table; none of one objective."""
    goals = () if search.plan.search is None else goals_of(search.plan.search)
    if goals:
        yield Section("Front", [*_blocks(search)])


def _blocks(search: RecordedSearch) -> Iterator[Block]:
    assert search.plan.search is not None
    goals = goals_of(search.plan.search)
    best = front(search.trials)
    if not best:
        yield Paragraph("No trial is complete yet.")
        return
    complete = [t for t in search.trials if t.state == best[0].state]
    yield Paragraph(f"{count(len(best), 'trial')} of {len(complete)} complete ones: {FRONT}.")
    on_front = {trial.number for trial in best}
    head = ("trial", *(goal.measure for goal in goals), "on the front")
    rows = [
        (
            f"{trial.number}",
            *(goal.text(value) for goal, value in zip(goals, trial.values, strict=True)),
            "yes" if trial.number in on_front else "",
        )
        for trial in (*best, *(each for each in complete if each.number not in on_front))
    ]
    table = Table(
        "The complete trials, those on the front first",
        head,
        rows,
        frozenset(range(len(goals) + 1)),
    )
    drawings = front_drawings(goals, search.trials)
    yield Figures([Figure(inline_svg(each), each.title, numbers=table) for each in drawings])
