"""Learning-rate schedules: the factor of each, and the rate of a step with its warm-up."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ktgdsl.plan.model import Call


@dataclass(frozen=True)
class Clock:
    """The steps of a training, to convert moments of the language into steps.

    Attributes:
        steps_per_epoch: of the training data.
        steps: of the whole training, k_end.
    """

    steps_per_epoch: int
    steps: int

    def in_steps(self, moment: Any) -> Fraction:
        """A moment or length, `30%` of the steps or a number of epochs, exactly in steps."""
        if isinstance(moment, dict):
            return Fraction(str(moment["percent"])) * self.steps / 100
        return Fraction(str(moment)) * self.steps_per_epoch


Schedule = Callable[[Mapping[str, Any], int, Clock], float]
"""The factor on the learning rate, from the arguments, the steps done before, and the clock."""


def _constant(arguments: Mapping[str, Any], done: int, clock: Clock) -> float:
    return 1.0


def _step(arguments: Mapping[str, Any], done: int, clock: Clock) -> float:
    return float(arguments["gamma"] ** (done // clock.in_steps(arguments["every"])))


def _multistep(arguments: Mapping[str, Any], done: int, clock: Clock) -> float:
    drops = sum(done >= clock.in_steps(moment) for moment in arguments["at"])
    return float(arguments["gamma"] ** drops)


def _exponential(arguments: Mapping[str, Any], done: int, clock: Clock) -> float:
    return float(arguments["gamma"] ** (done // clock.steps_per_epoch))


def _cosine(arguments: Mapping[str, Any], done: int, clock: Clock) -> float:
    """Loshchilov and Hutter, ICLR 2017, Eq. 5, without restarts."""
    minimum: float = arguments["minimum"]
    if arguments.get("by") == "epoch":
        done -= done % clock.steps_per_epoch
    return minimum + (1 - minimum) * (1 + math.cos(math.pi * done / clock.steps)) / 2


SCHEDULES: Mapping[str, Schedule] = {
    "constant": _constant,
    "step": _step,
    "multistep": _multistep,
    "exponential": _exponential,
    "cosine": _cosine,
    "plateau": _constant,  # what has happened so far is another factor: `Plateau`
}
"""The function that computes a schedule, by its word in the vocabulary."""


def learning_rate(schedule: Call, base: float, k: int, steps_per_epoch: int, steps: int) -> float:
    """The learning rate of step k, counted from 1, of `steps`.

    A drop after n epochs, or after a share of the steps, first affects the step after them;
    that step is computed exactly. In the w steps of a warm-up the schedule's rate is multiplied
    by k / w (Goyal et al., 2017, Sec. 2.2, from step 1); the schedule itself starts at step 1
    all the same.
    """
    clock = Clock(steps_per_epoch, steps)
    factor = SCHEDULES[schedule.name](schedule.arguments, k - 1, clock)
    warmup = clock.in_steps(schedule.arguments["warmup"])
    return float(base * factor * (k / warmup if k < warmup else 1))
