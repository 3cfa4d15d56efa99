"""Computes the value of a trial after an epoch: the objective on the split that judges trials."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ktgdsl.plan.model import DataPlan
from ktgdsl.searching.workers.protocol import Task
from ktgdsl.training.data import Split, Splits, TrainingData, load_splits, load_training_data
from ktgdsl.training.events import EpochDone, Measured, SplitName
from ktgdsl.training.loop import evaluate_and_measure
from ktgdsl.training.step import Stepper


@dataclass(frozen=True)
class TrialData:
    """The data of a trial: its training data, and the split that judges it.

    `take = best`, `stop` and `plateau` use the validation split, even if the test split judges.
    """

    training: TrainingData
    judging: Split
    splits: Splits | None = None
    """All splits, if they were loaded."""

    @property
    def judged_by_held_out(self) -> bool:
        """Whether the validation split judges the trial, on which each epoch is evaluated."""
        return self.judging is self.training.evaluation


def load_trial_data(
    data: DataPlan,
    seed: int,
    device: torch.device,
    judged_on: SplitName,
    *,
    all_splits: bool = False,
) -> TrialData:
    """Load the data of trials, which hold out a validation split.

    The test split is loaded only if it judges trials, or with `all_splits`.

    Raises RunError as `load_splits` does.
    """
    if judged_on == "test" or all_splits:
        splits = load_splits(data, seed, device)
        training = splits.for_training
        judging = splits.test if judged_on == "test" else training.evaluation
        return TrialData(training, judging, splits)
    training = load_training_data(data, seed, device)
    return TrialData(training, training.evaluation)


def value_after(
    done: EpochDone, step: Stepper, data: TrialData, task: Task, before: float | None
) -> float:
    """The objective, in percent, with the weights that the trial would keep if it ended now.

    With `take = best` these may be of an earlier epoch. `before` is the value after the previous
    epoch, None after the first.
    """
    if before is not None and step.keeps_earlier(task.judged):
        return before
    if data.judged_by_held_out:
        return _objective(task, done.accuracy, done.measured)
    return value_now(step, data, task)


def value_now(step: Stepper, data: TrialData, task: Task) -> float:
    """The objective, in percent, with the current weights."""
    return _objective(task, *evaluate_and_measure(step, data.judging, [task.judged]))


def _objective(task: Task, accuracy: Mapping[str, float], measured: Measured) -> float:
    if task.metric is None:
        return accuracy[task.objective]
    return measured[task.objective][task.metric]
