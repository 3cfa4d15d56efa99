"""How long a run or a search takes, by arithmetic from measured times. Numbers in, numbers out."""

from collections.abc import Iterable
from dataclasses import dataclass

from ktgdsl.plan.model import Plan
from ktgdsl.searching.estimate import Estimate


@dataclass(frozen=True)
class Pace:
    """Seconds: of making the networks of a training, of a step with its batch and metrics, and
    of evaluating an image.
    """

    start: float
    step: float
    image: float


@dataclass(frozen=True)
class Work:
    """Trainings of a kind: `count` of them, of `epochs` each in the mean.

    An epoch has `steps`, and `images` are evaluated after it; `last` more are at the end of a
    training.
    """

    what: str
    count: int
    epochs: float
    steps: int
    images: int
    last: int = 0


@dataclass(frozen=True)
class Part:
    """Some work at a pace."""

    work: Work
    pace: Pace

    @property
    def making(self) -> float:
        """Seconds in which networks are made."""
        return self.work.count * self.pace.start

    @property
    def stepping(self) -> float:
        """Seconds of all steps."""
        return self.work.count * self.work.epochs * self.work.steps * self.pace.step

    @property
    def evaluating(self) -> float:
        """Seconds of all evaluations."""
        images = self.work.epochs * self.work.images + self.work.last
        return self.work.count * images * self.pace.image

    @property
    def seconds(self) -> float:
        """Of all that."""
        return self.making + self.stepping + self.evaluating


def total(parts: Iterable[Part]) -> float:
    """Seconds of all parts, one after the other."""
    return sum(part.seconds for part in parts)


def watched(plan: Plan) -> int:
    """How many images are evaluated after an epoch: of the validation split, or the test split."""
    return plan.data.held_samples if plan.data.holdout else plan.data.known.test_samples


def repeats_of(plan: Plan) -> Work:
    """The trainings of a run, a seed each; in the end the test split is evaluated as well."""
    last = plan.data.known.test_samples if plan.data.holdout else 0
    train = plan.train
    return Work(
        "training", train.repeats, train.epochs, plan.data.steps_per_epoch, watched(plan), last
    )


def pretraining_of(plan: Plan, what: str, count: int) -> Work:
    """A network that is trained alone before, so many times. `plan` is that of its training."""
    name = f"pre-training of {what}"
    return Work(name, count, plan.train.epochs, plan.data.steps_per_epoch, watched(plan))


def trials_of(plan: Plan, expected: Estimate) -> Work:
    """The trials of a search, ended by its rule as expected. `plan` is that of a trial."""
    epochs = expected.epochs / expected.trials
    return Work("trials", expected.trials, epochs, plan.data.steps_per_epoch, watched(plan))


def checks_of(plan: Plan, expected: Estimate) -> Work:
    """The trainings that judge the result of a search. `plan` is that of a trial."""
    name, steps = "trainings to judge the result", plan.data.steps_per_epoch
    return Work(name, expected.checks, expected.full, steps, watched(plan))
