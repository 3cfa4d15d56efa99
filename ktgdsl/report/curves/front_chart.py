"""The chart of a search with several objectives: complete trials, and the front among them."""

from collections.abc import Iterator, Sequence

from optuna.trial import FrozenTrial

from ktgdsl.plan.goals import Goal
from ktgdsl.report.curves.axis import number_axis
from ktgdsl.report.curves.drawing import COLOURS, FAINT, PLOT_HEIGHT, WIDTH
from ktgdsl.report.curves.frame import MUTED, TEXT_SIZE, Frame, grid
from ktgdsl.report.pictures.shapes import Circle, Drawing, Line, Point, Shape, Text
from ktgdsl.report.pictures.style import INK, shortened, width_of
from ktgdsl.searching.front import front, has_several_values

_TITLE_SIZE, _ABOVE, _BELOW, _RIGHT = 13.0, 34.0, 44.0, 26.0
_INSET = 14.0
"""Space between the ends of the axes and the outer ticks, so that points do not cover texts."""
_MAX_NAMED = 12
"""Trials of the front whose numbers stand beside their points; the table has all."""


def front_drawings(goals: Sequence[Goal], trials: Sequence[FrozenTrial]) -> list[Drawing]:
    """For each objective after the first a drawing, of it to the right and the first upwards.

    Trials on the front are large, joined by a line and, if they are few, numbered; all others are
    small. None while no trial is complete.
    """
    complete = [trial for trial in trials if has_several_values(trial)]
    if not complete:
        return []
    return [_drawing(goals, number, complete) for number in range(1, len(goals))]


def _drawing(goals: Sequence[Goal], number: int, trials: Sequence[FrozenTrial]) -> Drawing:
    up = number_axis([abs(trial.values[0]) for trial in trials], most=5)
    across = number_axis([abs(trial.values[number]) for trial in trials], most=5)
    left = max(width_of(text, TEXT_SIZE) for text in up.texts) + 14
    frame = Frame(left, _ABOVE, WIDTH - _RIGHT, _ABOVE + PLOT_HEIGHT, across, up, _INSET)
    first, other = (_name(goals[index]) for index in (0, number))
    title = f"{first} against {other}"
    letters = int(WIDTH / width_of("x", _TITLE_SIZE))
    shapes: list[Shape] = [
        Text((8, 16), shortened(title, letters), _TITLE_SIZE, INK, bold=True, anchor="start")
    ]
    shapes += _axes(frame, other)
    best = front(trials)
    on_front = {trial.number for trial in best}
    for trial in trials:
        if trial.number not in on_front:
            at = _place(frame, trial, number)
            shapes.append(Circle(at, 2.2, FAINT, FAINT, 0.8, tooltip=_tooltip(goals, trial)))
    places = [_place(frame, trial, number) for trial in best]
    if len(best) > 1:
        shapes.append(Line(tuple(sorted(places)), COLOURS[0], 1.4, dashed=True, tooltip="front"))
    for trial, at in zip(best, places, strict=True):
        shapes.append(Circle(at, 4.2, COLOURS[0], COLOURS[0], 0.8, tooltip=_tooltip(goals, trial)))
    if len(best) <= _MAX_NAMED:
        shapes += [
            Text((x, y - 11), f"{trial.number}", TEXT_SIZE, COLOURS[0], bold=True)
            for trial, (x, y) in zip(best, places, strict=True)
        ]
    return Drawing(title, WIDTH, frame.bottom + _BELOW, tuple(shapes))


def _place(frame: Frame, trial: FrozenTrial, number: int) -> Point:
    """Where a trial is, to the right by that objective."""
    return frame.x(abs(trial.values[number])), frame.y(abs(trial.values[0]))


def _name(goal: Goal) -> str:
    return goal.measure if goal.is_cost else f"{goal.measure}, %"


def _tooltip(goals: Sequence[Goal], trial: FrozenTrial) -> str:
    values = zip(goals, trial.values, strict=True)
    texts = ", ".join(f"{goal.measure} {goal.text(value)}" for goal, value in values)
    return f"trial {trial.number}: {texts}"


def _axes(frame: Frame, name: str) -> Iterator[Shape]:
    yield from grid(frame)
    for tick, text in zip(frame.across.ticks, frame.across.texts, strict=True):
        yield Text((frame.x(tick), frame.bottom + 12), text, TEXT_SIZE, MUTED)
    middle = (frame.left + frame.right) / 2
    yield Text((middle, frame.bottom + 29), name, TEXT_SIZE, MUTED)
