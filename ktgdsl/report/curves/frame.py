"""The rectangle of a chart: where numbers are in it, and the grid of its values."""

from collections.abc import Iterator
from dataclasses import dataclass

from ktgdsl.report.curves.axis import Axis
from ktgdsl.report.pictures.shapes import Line, Shape, Text

GRID, MUTED, TEXT_SIZE = "#E2E2E2", "#666666", 11.5


@dataclass(frozen=True)
class Frame:
    """A rectangle with an axis to the right and one upwards.

    `inset` is left free between its sides and the ends of the axis to the right.
    """

    left: float
    top: float
    right: float
    bottom: float
    across: Axis
    up: Axis
    inset: float = 0.0

    def x(self, number: float) -> float:
        """Where a number of the axis to the right is."""
        width = self.right - self.left - 2 * self.inset
        return self.left + self.inset + width * self.across.place(number)

    def y(self, number: float) -> float:
        """Where a number of the axis upwards is."""
        return self.bottom - (self.bottom - self.top) * self.up.place(number)


def grid(frame: Frame) -> Iterator[Shape]:
    """A line for each tick upwards, with its text at the left, and the line at the bottom."""
    for tick, text in zip(frame.up.ticks, frame.up.texts, strict=True):
        y = frame.y(tick)
        yield Line(((frame.left, y), (frame.right, y)), GRID, 1)
        yield Text((frame.left - 6, y), text, TEXT_SIZE, MUTED, anchor="end")
    yield Line(((frame.left, frame.bottom), (frame.right, frame.bottom)), MUTED, 1)
