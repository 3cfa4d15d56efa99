"""The result of a benchmark: plain numbers, each with its unit. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Self

from ktgdsl.bench.duration import PredictedWork, total
from ktgdsl.plan.model import Plan
from ktgdsl.searching.estimate import Estimate

WALL, ONE_THREAD = "wall time", "CPU time of one thread"
"""The clocks that a call is timed by."""


@dataclass(frozen=True)
class Spread:
    """Samples of a number, two at least, in the order in which they were taken.

    Those of a time are in seconds, each the mean of `calls` calls.
    """

    samples: tuple[float, ...]
    calls: int = 1

    @property
    def median(self) -> float:
        """The median of the samples."""
        return median(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third quartile, interpolated linearly."""
        low, _, high = quantiles(self.samples, n=4, method="inclusive")
        return low, high

    def over(self, other: Self, factor: float = 1.0) -> "Spread":
        """The ratios to samples that were taken in the same rounds, times a factor.

        What slows a round down slows both, so they vary less than the samples.
        """
        pairs = zip(self.samples, other.samples, strict=True)
        return Spread(tuple(factor * own / its for own, its in pairs))


@dataclass(frozen=True)
class Memory:
    """The memory of a training, in bytes.

    Attributes:
        what: is measured, in words; None where nothing can be.
        before: the peak before the networks were made.
        peak: after some steps.
        images: all images of the data set, which a training holds and the benchmark does not.
    """

    what: str | None
    before: int
    peak: int
    images: int


@dataclass(frozen=True)
class Machine:
    """The machine, and how steps are executed on it. `clock` is `WALL` or `ONE_THREAD`."""

    device: str
    name: str
    threads: int
    torch: str
    precision: str
    compile: str
    memory_format: str
    clock: str


@dataclass(frozen=True)
class PhaseBench:
    """The numbers of a phase of a training. Times are in seconds.

    Attributes:
        name: of the phase; None of a training without phases.
        step: the time of a step.
        limit: the time of the same networks, each trained alone on the labels.
        besides: the time of drawing a step's batch and adding up its metrics.
        product: the time of a matrix product, taken in the same rounds.
        image: the time of evaluating an image, by node.
        operations: FLOPs of a step, of convolutions and matrix products; two for a
            multiplication and an addition.
    """

    name: str | None
    step: Spread
    limit: Spread
    besides: Spread
    product: Spread
    image: Mapping[str, float]
    operations: int

    @property
    def evaluation(self) -> float:
        """The time of evaluating an image by all of these nodes."""
        return sum(self.image.values())

    @property
    def rate(self) -> float:
        """FLOP/s of a step."""
        return self.operations / self.step.median

    @property
    def overhead(self) -> Spread:
        """The step over the limit: the same networks, each alone on the labels."""
        return self.step.over(self.limit)


@dataclass(frozen=True)
class Bench:
    """The numbers of a benchmark.

    Attributes:
        plan: that was measured.
        subject: what plan that is, in words.
        machine: where.
        batch: images of a step.
        phases: the numbers of each phase; without phases there is one, which has no name.
        product_operations: FLOPs of the matrix product.
        product_what: the product, in words.
        memory: the peak.
        parts: what the run or search consists of, and how long each takes.
        expected: the estimated cost of the search; None of a spec that is no space.
    """

    plan: Plan
    subject: str
    machine: Machine
    batch: int
    phases: tuple[PhaseBench, ...]
    product_operations: int
    product_what: str
    memory: Memory
    parts: tuple[PredictedWork, ...]
    expected: Estimate | None

    def images_per_second(self, phase: PhaseBench) -> float:
        """Training images a second, by steps of the phase alone."""
        return self.batch / phase.step.median

    def peak_rate(self, phase: PhaseBench) -> float:
        """FLOP/s of the matrix product."""
        return self.product_operations / phase.product.median

    def share(self, phase: PhaseBench) -> Spread:
        """The FLOP/s of a step of the phase over those of the matrix product."""
        return phase.product.over(phase.step, phase.operations / self.product_operations)

    @property
    def seconds(self) -> float:
        """The predicted duration of the run or search."""
        return total(self.parts)
