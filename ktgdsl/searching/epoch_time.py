"""Measures the time of a training epoch of a search on this machine."""

import time
from statistics import fmean, median

import torch

from ktgdsl.plan.model import Plan
from ktgdsl.searching.estimate import sample_plans
from ktgdsl.training.assemble import assemble
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.device import choose_device
from ktgdsl.training.random_labels import random_labels

GRAPHS = 4
"""The number of graphs of the space that are measured."""

STEPS = 8
"""The number of measured steps of each graph, after two for warm-up."""


def epoch_seconds(plan: Plan, device: str | None = None) -> float:
    """The mean time of a training epoch over some graphs of a space, in seconds.

    Measured on random images, without evaluation, which adds a fifth with the digits.
    """
    plan = complete(plan)
    plans = sample_plans(plan, 4 * GRAPHS)[:GRAPHS] or [plan]
    return fmean(_step_seconds(each, device) * each.data.steps_per_epoch for each in plans)


def _step_seconds(plan: Plan, device: str | None) -> float:
    """The median time of a training step, in seconds."""
    step = assemble(plan, choose_device(device), seed=0, steps=STEPS + 2)
    image = torch.rand(plan.data.batch, *plan.data.shape, device=step.device)
    label = random_labels(plan.data, plan.data.batch).to(step.device)
    sample = torch.arange(plan.data.batch, device=step.device)
    times = []
    for _ in range(STEPS + 2):
        began = time.perf_counter()
        output = step(image, label, sample, image)
        float(next(iter(output.losses.values())))  # wait for the device
        times.append(time.perf_counter() - began)
    return median(times[2:])
