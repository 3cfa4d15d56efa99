"""What a benchmark has found: plain numbers, each with its unit. No torch."""

from dataclasses import dataclass
from statistics import median, quantiles
from typing import Self

from ktgdsl.bench.duration import Part, total
from ktgdsl.plan.model import Plan
from ktgdsl.searching.estimate import Estimate

WALL, ONE_THREAD = "wall time", "CPU time of one thread"
"""What is measured as the time of a call."""


@dataclass(frozen=True)
class Spread:
    """Samples of a number, two at least, in the order in which they were taken.

    Those of a time are in seconds, each the mean of `calls` calls.
    """

    samples: tuple[float, ...]
    calls: int = 1

    @property
    def median(self) -> float:
        """Half of the samples are below."""
        return median(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the samples is below the first, and above the second; linear between."""
        low, _, high = quantiles(self.samples, n=4, method="inclusive")
        return low, high

    def over(self, other: Self, factor: float = 1.0) -> "Spread":
        """The ratios to samples that were taken in the same turns, times a factor.

        What slows a turn down slows both, so they vary less than the samples.
        """
        pairs = zip(self.samples, other.samples, strict=True)
        return Spread(tuple(factor * own / its for own, its in pairs))


@dataclass(frozen=True)
class Memory:
    """Bytes: `before` is the peak until the networks were made, `peak` that after some steps.

    `what` says what is measured; None where nothing can be. `images` is what all images of the
    data set take as bytes, which the measuring does not hold and a training does.
    """

    what: str | None
    before: int
    peak: int
    images: int


@dataclass(frozen=True)
class Machine:
    """Where and how it was computed. `clock` says what time the seconds are of."""

    device: str
    name: str
    threads: int
    torch: str
    precision: str
    compile: str
    memory_format: str
    clock: str


@dataclass(frozen=True)
class Bench:
    """All numbers of a benchmark.

    `plan` is what was measured, `subject` in words what that is. `operations` are the FLOPs of
    a step: those of convolutions and matrix products, two for a multiplication and addition.
    `product` is a matrix product of `product_operations` FLOPs, in words `product_what`.
    `evaluation` is of an image, by all nodes. `expected` is None unless it is a space.
    """

    plan: Plan
    subject: str
    machine: Machine
    batch: int
    step: Spread
    limit: Spread
    besides: Spread
    evaluation: float
    operations: int
    product: Spread
    product_operations: int
    product_what: str
    memory: Memory
    parts: tuple[Part, ...]
    expected: Estimate | None

    @property
    def images_per_second(self) -> float:
        """Training images, by steps alone."""
        return self.batch / self.step.median

    @property
    def rate(self) -> float:
        """FLOP/s that are achieved."""
        return self.operations / self.step.median

    @property
    def peak_rate(self) -> float:
        """FLOP/s of the matrix product."""
        return self.product_operations / self.product.median

    @property
    def share(self) -> Spread:
        """What is achieved over the rate of the matrix product."""
        return self.product.over(self.step, self.operations / self.product_operations)

    @property
    def overhead(self) -> Spread:
        """The step over the limit: the same networks, each alone on the labels."""
        return self.step.over(self.limit)

    @property
    def seconds(self) -> float:
        """The predicted duration."""
        return total(self.parts)
