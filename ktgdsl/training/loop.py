"""One training with one seed: epochs of steps, an evaluation after each."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.training.checkpoint import Accuracies
from ktgdsl.training.data import Look, Split, Watched, batches, batches_in_order, load_splits
from ktgdsl.training.events import (
    EpochDone,
    EpochMetrics,
    Listener,
    NonFinite,
    SplitName,
    StepsDone,
    ignore,
)
from ktgdsl.training.logits import TRIED, require_logits
from ktgdsl.training.metrics import EpochMeter, evaluate, finite
from ktgdsl.training.step import Stepper, stepper

EVALUATION_BATCH = 256
"""Images at once, at least, when a split is evaluated: without gradients there is room."""

SAMPLED = 0.1
"""Seconds between two reports of how many steps are done."""


@dataclass(frozen=True)
class Trained:
    """A finished training: `accuracy` is after the last epoch, in percent, of every node.

    `look` is how its networks see images.
    """

    stepper: Stepper
    accuracy: Accuracies
    look: Look


@dataclass(frozen=True)
class Begun:
    """A training that has been cut off: the state of its stepper after `epoch` epochs."""

    epoch: int
    state: Mapping[str, Any]


def train(
    plan: Plan,
    *,
    device: torch.device,
    seed: int,
    listener: Listener = ignore,
    begun: Begun | None = None,
    keep: Callable[[EpochDone, Stepper], None] | None = None,
) -> Trained:
    """Trains the graph of a plan with one seed, or goes on with a training that was cut off.

    After each epoch all nodes are evaluated, on the validation split where one is held out
    and else on the test split; then `keep` is called, then the listener.

    Raises RunError (E503) when a loss, or in the end a weight, is not a finite number.
    """
    splits = load_splits(plan.data, seed, device)
    step = stepper(plan, device, seed=seed, listener=listener)
    known: dict[SplitName, Mapping[str, float]] = {}
    for done in epochs(step, splits.watched, seed=seed, begun=begun, listener=listener):
        if keep is not None:
            keep(done, step)
        listener(done)
        known = {done.split: done.accuracy}

    def on(name: SplitName, split: Split) -> Mapping[str, float]:
        # Cut off after the last epoch, a training lacks only what it was worth.
        return known[name] if name in known else _evaluate(plan, split, _networks(step))

    test, held = on("test", splits.test), splits.validation
    accuracy = Accuracies(test, None if held is None else on("validation", held))
    return Trained(step, accuracy, splits.train.look)


def epochs(
    step: Stepper,
    data: Watched,
    *,
    seed: int,
    begun: Begun | None = None,
    listener: Listener = ignore,
    measured: Collection[str] | None = None,
) -> Iterator[EpochDone]:
    """The epochs of a training, one after the other: none is trained before it is asked for.

    Args:
        step: a new stepper.
        data: what to learn, and what to measure the nodes on after each epoch.
        seed: of the order of the samples.
        begun: where to go on.
        listener: is told of steps.
        measured: the nodes to measure; by default all.

    Raises:
        RunError: when a loss or, after the last epoch, a weight is not a finite number
            (E503), a network does not fit the data (E505), or `begun` not the plan (E502).
    """
    plan, networks = step.plan, _networks(step)
    _require_logits(plan, data.train, networks)
    if begun is not None:
        _go_on(step, begun.state)
    watched = networks if measured is None else {name: networks[name] for name in measured}
    for epoch in range(1 if begun is None else begun.epoch + 1, plan.train.epochs + 1):
        metrics = _train_epoch(step, data.train, epoch, seed, listener)
        if epoch == plan.train.epochs:
            _require_finite_weights(plan, networks)
        accuracy = _evaluate(plan, data.split, watched)
        yield EpochDone(epoch, metrics, data.name, accuracy, dict(step.learning_rates))


def _networks(step: Stepper) -> dict[str, nn.Module]:
    return {node.name: step.graph.networks[node.name] for node in step.plan.graph.nodes}


def _require_logits(plan: Plan, split: Split, networks: Mapping[str, nn.Module]) -> None:
    """A network that is not ours may do anything, so it is tried before it is trained."""
    image, label = next(iter(batches_in_order(split, TRIED)))
    for node in plan.graph.nodes:
        if node.network.name not in ("resnet", "wrn"):
            require_logits(node.name, networks[node.name], image, label, plan.data.classes)


def _go_on(step: Stepper, state: Mapping[str, Any]) -> None:
    try:
        step.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        message = f"the state of the training in the checkpoint does not fit its plan: {error}"
        help = "go on with the versions that wrote it (environment.json), or start a new run"
        raise RunError([Diagnostic("E502", message, help=help)]) from error


def _train_epoch(
    step: Stepper, split: Split, epoch: int, seed: int, listener: Listener
) -> EpochMetrics:
    """Nothing in here waits for the device before the meter is read."""
    meter = EpochMeter(step.plan.graph, step.device)
    reported = time.monotonic()
    order = batches(split, step.plan.data.batch, seed, epoch)
    for done, (image, label) in enumerate(order, start=1):
        meter.update(step(image, label), label, step.taken)
        if (now := time.monotonic()) - reported >= SAMPLED:
            reported = now
            listener(StepsDone(epoch, done))
    metrics = meter.read()
    if metrics.nonfinite is not None:
        raise _nonfinite(step.plan, epoch, metrics.nonfinite)
    return metrics


def _evaluate(plan: Plan, split: Split, networks: Mapping[str, nn.Module]) -> dict[str, float]:
    size = max(plan.data.batch, EVALUATION_BATCH)
    return evaluate(networks, batches_in_order(split, size))


def _nonfinite(plan: Plan, epoch: int, found: NonFinite) -> RunError:
    if found.edge is None:
        what = f"the loss of node {found.node}, though not that of any edge into it,"
    else:
        source, destination = found.edge
        what = f"the loss of edge {source} -> {destination} (into node {found.node})"
    others = f", with {found.others} more at the same step" if found.others else ""
    return RunError(
        [
            Diagnostic(
                "E503",
                f"{what} became {found.value} at epoch {epoch} of {plan.train.epochs}, "
                f"step {found.step} of {plan.steps}{others}",
                help=_CALMER,
            )
        ]
    )


def _require_finite_weights(plan: Plan, networks: Mapping[str, nn.Module]) -> None:
    """The last step may break what no later loss is there to show."""
    learning = [node.name for node in plan.graph.nodes if node.learns]
    for name, fine in zip(learning, finite(networks[name] for name in learning), strict=True):
        if not fine:
            message = (
                f"the weights of node {name} are not finite after epoch {plan.train.epochs}, "
                f"step {plan.steps}, the last one"
            )
            raise RunError([Diagnostic("E503", message, help=_CALMER)])


_CALMER = (
    "lower the learning rate, begin with a `warmup`, limit gradients with `clip`, "
    "or give the edge less weight"
)
