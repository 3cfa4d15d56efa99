"""Predicts the duration of a run or a search from measured times."""

from collections.abc import Iterable
from dataclasses import dataclass

from ktgdsl.plan.model import Plan
from ktgdsl.searching.estimate import Estimate


@dataclass(frozen=True)
class Pace:
    """Measured times of a training, in seconds.

    Attributes:
        start: of making its networks.
        step: of a step, with its batch and metrics.
        image: of evaluating an image.
    """

    start: float
    step: float
    image: float


@dataclass(frozen=True)
class Work:
    """Several trainings of one kind.

    Attributes:
        what: they are, in words.
        count: how many.
        epochs: of each, on average.
        steps: of an epoch.
        images: that are evaluated after an epoch.
        last: more images that are evaluated after a training.
    """

    what: str
    count: int
    epochs: float
    steps: int
    images: int
    last: int = 0


@dataclass(frozen=True)
class PredictedWork:
    """Some trainings, and the pace at which they are expected to run."""

    work: Work
    pace: Pace

    @property
    def making(self) -> float:
        """Seconds of making networks."""
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
        """Seconds of everything."""
        return self.making + self.stepping + self.evaluating


def total(parts: Iterable[PredictedWork]) -> float:
    """Seconds of all parts, one after the other."""
    return sum(part.seconds for part in parts)


def evaluated_images(plan: Plan) -> int:
    """How many images are evaluated after an epoch: the validation split, else the test split.

    In a search on the test split both are, where the training goes by the former.
    """
    held, test = plan.data.held_out_samples, plan.data.known_facts.test_samples
    if plan.search is not None and plan.search.judged_on == "test":
        return test + held * plan.judges_held_out
    return held if plan.data.holdout else test


def run_work(plan: Plan) -> tuple[Work, ...]:
    """The trainings of a run, one for each seed: their phases, and what is evaluated at the end.

    That is the test split under `holdout`; after phases it is evaluated by all nodes, those that
    the last one does not compute included.
    """
    count, last = plan.train.repeats, plan.data.known_facts.test_samples
    if not plan.phases:
        return (_work("training", plan, count, plan.epochs, last if plan.data.holdout else 0),)
    works = [_work(f"phase {each.name}", plan, count, each.epochs) for each in plan.phases]
    images = last + (plan.data.held_out_samples if plan.data.holdout else 0)
    return (*works, _work("evaluation of all nodes at the end", plan, count, 0, images))


def pretraining_work(plan: Plan, nodes: str, count: int) -> Work:
    """`count` pre-trainings of a network, by the `plan` of a pre-training."""
    plan = plan.model_copy(update={"search": None})  # it is evaluated as ever
    return _work(f"pre-training of {nodes}", plan, count, plan.train.epochs)


def trials_work(plan: Plan, search: Estimate) -> tuple[Work, ...]:
    """The trials of a search, pruned as expected, by phase. `plan` is that of a trial."""
    if not plan.phases:
        return (_work("trials", plan, search.trials, search.epochs / search.trials),)
    works, begin = [], 0
    for phase in plan.phases:
        epochs = sum(search.trials_per_epoch[begin : begin + phase.epochs])
        begin += phase.epochs
        works.append(
            _work(f"trials, phase {phase.name}", plan, search.trials, epochs / search.trials)
        )
    return tuple(works)


def confirmation_work(plan: Plan, search: Estimate) -> tuple[Work, ...]:
    """The trainings that confirm the result of a search, by phase. `plan` is that of a trial."""
    what = "trainings to judge the result"
    if not plan.phases:
        return (_work(what, plan, search.checks, search.full_epochs),)
    return tuple(
        _work(f"{what}, phase {phase.name}", plan, search.checks, phase.epochs)
        for phase in plan.phases
    )


def _work(what: str, plan: Plan, count: int, epochs: float, last: int = 0) -> Work:
    return Work(what, count, epochs, plan.data.steps_per_epoch, evaluated_images(plan), last)
