"""Trains a plan as a run does, without a folder."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from ktgdsl.plan.model import Plan
from ktgdsl.training.checkpoint import Accuracies
from ktgdsl.training.data import Splits, load_splits
from ktgdsl.training.epoch_steps import OnSteps
from ktgdsl.training.events import EpochDone, Listener, ignore
from ktgdsl.training.loop import ResumePoint, train
from ktgdsl.training.prepare import stepper
from ktgdsl.training.step import Stepper

CPU = torch.device("cpu")


class Trained(NamedTuple):
    """A finished training."""

    stepper: Stepper
    splits: Splits
    accuracy: Accuracies


def train_plan(
    plan: Plan,
    seed: int = 0,
    *,
    listener: Listener = ignore,
    resume: ResumePoint | None = None,
    on_epoch: Callable[[EpochDone, Stepper], None] = lambda done, step: None,
    on_steps: OnSteps | None = None,
) -> Trained:
    """One training on the CPU, from the start or from where it was interrupted."""
    splits = load_splits(plan.data, seed, CPU)
    step = stepper(plan, CPU, seed=seed, listener=listener)
    accuracy = train(
        step,
        splits,
        seed=seed,
        resume=resume,
        listener=listener,
        on_epoch=lambda done: on_epoch(done, step),
        on_steps=on_steps,
    )
    return Trained(step, splits, accuracy)
