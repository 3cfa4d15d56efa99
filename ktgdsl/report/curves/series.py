"""Values by epoch: the mean over the repeats of a run, with its spread."""

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from ktgdsl.report.curves.recorded import EpochRecord


@dataclass(frozen=True)
class Point:
    """The value after an epoch: mean and sample deviation over `n` repeats, None for one.

    `phase` is the one that values are of that do not compare with those of another.
    """

    epoch: int
    mean: float
    std: float | None
    n: int
    phase: str | None = None

    @property
    def low(self) -> float:
        """One deviation below the mean."""
        return self.mean - (self.std or 0.0)

    @property
    def high(self) -> float:
        """One deviation above the mean."""
        return self.mean + (self.std or 0.0)


@dataclass(frozen=True)
class Series:
    """A curve: points by epoch, in order."""

    name: str
    points: tuple[Point, ...]

    @property
    def last(self) -> Point:
        """The point after the last epoch."""
        return self.points[-1]

    @property
    def pieces(self) -> Iterator[tuple[Point, ...]]:
        """The points that a line connects: without a gap, as a node may be left out of a phase."""
        start = 0
        for place, (before, after) in enumerate(pairwise(self.points), start=1):
            if after.epoch > before.epoch + 1 or after.phase != before.phase:
                yield self.points[start:place]
                start = place
        yield self.points[start:]


def series(
    name: str,
    records: Iterable[EpochRecord],
    value: Callable[[EpochRecord], float | None],
    *,
    by_phase: bool = False,
) -> Series | None:
    """The curve of a value over the records of a node; None where none of them has it.

    `by_phase` says that values of different phases do not compare, as those of losses.
    """
    by_epoch: dict[int, list[float]] = {}
    phases: dict[int, str | None] = {}
    for record in records:
        if (found := value(record)) is not None:
            by_epoch.setdefault(record.epoch, []).append(found)
            phases[record.epoch] = record.phase if by_phase else None
    points = tuple(
        _point(epoch, values, phases[epoch]) for epoch, values in sorted(by_epoch.items())
    )
    return Series(name, points) if points else None


def _point(epoch: int, values: list[float], phase: str | None) -> Point:
    std = statistics.stdev(values) if len(values) > 1 else None
    return Point(epoch, statistics.fmean(values), std, len(values), phase)
