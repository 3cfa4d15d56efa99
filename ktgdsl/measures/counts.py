"""Counts of a network's answers, as plain data from which every measure is computed."""

from dataclasses import dataclass
from typing import NamedTuple, Self

BINS = 15
"""Intervals of confidence, as in Guo et al., On Calibration of Modern Neural Networks, 2017."""


class Bin(NamedTuple):
    """Samples of similar confidence: how many, how many right, and the sum of the confidences."""

    samples: int
    correct: int
    confidence: float


@dataclass(frozen=True)
class Counts:
    """Answers to labelled samples; those without a label are in none of these.

    Attributes:
        confusion: `confusion[label][answer]` samples of a class got that answer.
        ranks: so many labels have the highest logit, the second highest, ...; one a class.
        bins: by confidence, which is the largest probability: interval i of n has those in
            (i / n, (i + 1) / n], and 0 belongs to the first.
    """

    confusion: tuple[tuple[int, ...], ...]
    ranks: tuple[int, ...]
    bins: tuple[Bin, ...]

    @property
    def samples(self) -> int:
        """How many samples have a label."""
        return sum(self.ranks)

    def __add__(self, other: Self) -> "Counts":
        """The counts of both together, of the same classes."""
        return Counts(
            tuple(
                tuple(map(sum, zip(*rows, strict=True)))
                for rows in zip(self.confusion, other.confusion, strict=True)
            ),
            tuple(map(sum, zip(self.ranks, other.ranks, strict=True))),
            tuple(
                Bin(a.samples + b.samples, a.correct + b.correct, a.confidence + b.confidence)
                for a, b in zip(self.bins, other.bins, strict=True)
            ),
        )
