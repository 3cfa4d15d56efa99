"""The value of a trial after an epoch: its objective on the split that judges it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ktgdsl.plan.model import DataPlan
from ktgdsl.searching.protocol import Task
from ktgdsl.training.data import Split, Splits, TrainingData, load_splits, load_training_data
from ktgdsl.training.events import EpochDone, Measured, SplitName
from ktgdsl.training.loop import evaluate_and_measure
from ktgdsl.training.step import Stepper


@dataclass(frozen=True)
class TrialData:
    """The data of a trial: those of its training, and the split that judges it.

    `take = best`, `stop` and `plateau` go by held-out samples, whichever split judges the trial.
    """

    training: TrainingData
    judging: Split
    splits: Splits | None = None
    """All of them, where they were asked for."""

    @property
    def judged_by_held_out(self) -> bool:
        """Whether the samples that the training goes by judge it, too."""
        return self.judging is self.training.evaluation


def load_trial_data(
    data: DataPlan, seed: int, device: torch.device, judged_on: SplitName, *, whole: bool = False
) -> TrialData:
    """The data of trials that hold out a validation split.

    They have the test split only if it judges them, or the data are to be `whole`.

    Raises RunError as `load_splits` does.
    """
    if judged_on == "test" or whole:
        splits = load_splits(data, seed, device)
        training = splits.for_training
        judging = splits.test if judged_on == "test" else training.evaluation
        return TrialData(training, judging, splits)
    training = load_training_data(data, seed, device)
    return TrialData(training, training.evaluation)


def value_after(
    done: EpochDone, step: Stepper, data: TrialData, task: Task, before: float | None
) -> float:
    """The objective, in percent, of what the trial would keep if it ended after this epoch.

    `before` is the value after the epoch before, None after the first.
    """
    if before is not None and step.keeps_earlier(task.judged):
        return before
    if data.judged_by_held_out:
        return _objective(task, done.accuracy, done.measured)
    return value_now(step, data, task)


def value_now(step: Stepper, data: TrialData, task: Task) -> float:
    """The objective, in percent, with the weights as they are."""
    return _objective(task, *evaluate_and_measure(step, data.judging, [task.judged]))


def _objective(task: Task, accuracy: Mapping[str, float], measured: Measured) -> float:
    if task.metric is None:
        return accuracy[task.objective]
    return measured[task.objective][task.metric]
