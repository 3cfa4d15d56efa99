"""Further schedules as gates: `until`, `after`, `rampup` and `cosine`.

k counts the steps of the phase from 1, k_end is their number.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from ktgdsl.vocabulary.entry import Moment, Percentage, PositiveMoment
from ktgdsl.vocabulary.gates import Gate, Ramp
from ktgdsl.vocabulary.reads import PROGRESS, Input, PhaseFraction, SourceKind


def _at_start(moment: float | Percentage) -> bool:
    return moment == 0 or moment == Percentage(percent=0)


def _at_end(moment: float | Percentage) -> bool:
    return moment == Percentage(percent=100)


class Until(Gate):
    """1 up to a moment, that step included, then 0.

    Source: the distillation stopped early of Cho and Hariharan, On the Efficacy of Knowledge
    Distillation, ICCV 2019.
    """

    word: ClassVar[str] = "until"

    moment: Annotated[Moment, Field(description="the last open step")]

    @property
    def bounds(self) -> tuple[float, float]:
        """Always 1 or 0 where the moment is the end or the start of the training."""
        return float(_at_end(self.moment)), float(not _at_start(self.moment))

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """k / k_end, and what it is at the moment."""
        return PROGRESS, PhaseFraction(self.moment)


class After(Gate):
    """0 up to a moment, that step included, then 1."""

    word: ClassVar[str] = "after"

    moment: Annotated[Moment, Field(description="the last closed step")]

    @property
    def bounds(self) -> tuple[float, float]:
        """Always 0 or 1 where the moment is the end or the start of the training."""
        return float(_at_start(self.moment)), float(not _at_end(self.moment))

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """k / k_end, and what it is at the moment."""
        return PROGRESS, PhaseFraction(self.moment)


class Rampup(Gate):
    """exp(-5 (1 - e)²) with e = k / length, then 1. Source: Laine and Aila, ICLR 2017."""

    word: ClassVar[str] = "rampup"

    length: Annotated[PositiveMoment, Field(description="when the weight reaches 1")]

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """k / k_end, and what it is when the weight reaches 1."""
        return PROGRESS, PhaseFraction(self.length)


class Cosine(Ramp):
    """start + (stop - start)(1 - cos(pi k / k_end)) / 2: a soft `linear`."""

    word: ClassVar[str] = "cosine"
