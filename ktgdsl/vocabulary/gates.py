"""Gates: per-sample weights w(n, k) >= 0 of an edge's loss.

k counts the steps of the phase from 1, k_end is their number.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from ktgdsl.vocabulary.entry import Entry, NonNegative
from ktgdsl.vocabulary.reads import (
    LABEL,
    PROGRESS,
    Input,
    Moving,
    Read,
    SourceKind,
)


class Gate(Entry):
    """Base of all gates.

    `per_sample` is true for predicates, false for schedules; `reads_source` for gates that read
    the source; and `one_from_label` for those that are always 1 on an edge from the labels, as any
    gate has to be whose `inputs("label")` would read the source. `folds` is true for gates that
    are a constant in each phase: the compiler computes them, and they have no function. `views` is
    how many views of each sample the data must have.
    """

    kind: ClassVar[str] = "gate"
    per_sample: ClassVar[bool] = False
    reads_source: ClassVar[bool] = False
    one_from_label: ClassVar[bool] = False
    folds: ClassVar[bool] = False
    views: ClassVar[int] = 1

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest weight that the gate can give."""
        return 0.0, 1.0

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """The inputs of its function in the back end, in order, on an edge from `source`."""
        raise NotImplementedError(f"what `{self.word}` reads is not declared")


class Through(Gate):
    """1: every sample's loss as it is. Source: Minami et al., ACCV 2020, Eq. 4."""

    word: ClassVar[str] = "through"
    folds: ClassVar[bool] = True

    @property
    def bounds(self) -> tuple[float, float]:
        """Always 1."""
        return 1.0, 1.0


class Cutoff(Gate):
    """0: the edge does not exist and nothing is computed for it. Source: Minami et al.,
    ACCV 2020, Eq. 5."""

    word: ClassVar[str] = "cutoff"
    folds: ClassVar[bool] = True

    @property
    def bounds(self) -> tuple[float, float]:
        """Always 0."""
        return 0.0, 0.0


class Ramp(Gate):
    """Base of the schedules that run from one weight to another."""

    start: Annotated[NonNegative, Field(description="weight before the first step")] = 0.0
    stop: Annotated[NonNegative, Field(description="weight at the last step")] = 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """From the lesser end to the greater."""
        return min(self.start, self.stop), max(self.start, self.stop)

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """k / k_end, the start and the stop."""
        return PROGRESS, self.start, self.stop

    def moving(self, *, squared: bool = False) -> Moving:
        """The number that it gives in each step, as an input of another function."""
        return Moving(self.word, self.inputs("nothing"), squared)


class Linear(Ramp):
    """start + (stop - start) k / k_end, by default k / k_end: opened over the training.

    `linear(1, 0)` runs down. Source: Minami et al., ACCV 2020, Eq. 6.
    """

    word: ClassVar[str] = "linear"


class Correct(Gate):
    """1 where the source's top-1 class is the label, else 0. Source: Minami et al.,
    ACCV 2020, Eq. 7.

    0 on unlabeled samples; from `label` it is `through`.
    """

    word: ClassVar[str] = "correct"
    per_sample: ClassVar[bool] = True
    reads_source: ClassVar[bool] = True
    one_from_label: ClassVar[bool] = True

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """z_s and the label."""
        return Read("logits", "source"), LABEL
