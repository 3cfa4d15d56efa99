"""Trains a stepper with one seed: epochs of steps, with an evaluation after each epoch."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from ktgdsl.backend.normalization import set_data_normalization
from ktgdsl.backend.process_group import SINGLE, process_group
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import EdgeError, NodeError, RunError
from ktgdsl.plan.gate_expressions import gate_calls
from ktgdsl.plan.model import Plan
from ktgdsl.program.model import Phase
from ktgdsl.training.batches import batches_in_order
from ktgdsl.training.checkpoint import Accuracies
from ktgdsl.training.data import Split, Splits, TrainingData
from ktgdsl.training.epoch_steps import MID_EPOCH, EpochSteps, OnSteps
from ktgdsl.training.events import (
    EpochDone,
    EpochsSkipped,
    Listener,
    Measured,
    NonFinite,
    SplitName,
    ignore,
)
from ktgdsl.training.float_images import warn_of_float_images
from ktgdsl.training.group import synchronize
from ktgdsl.training.group_stop import GroupStop, stopping_together
from ktgdsl.training.metric_counts import MetricCounts
from ktgdsl.training.metrics import Watch, evaluate, finite
from ktgdsl.training.step import Stepper
from ktgdsl.training.stopping import no_progress
from ktgdsl.training.user_code_errors import locating_user_errors


class UnfitStateError(RunError):
    """The state of a training that is to be resumed does not fit its plan (E502)."""


@dataclass(frozen=True)
class ResumePoint:
    """Where an interrupted training resumes.

    Attributes:
        epoch: the number of finished epochs.
        state: the stepper's state dict after them, or inside the next epoch with the entry that
            `EpochSteps` adds.
    """

    epoch: int
    state: Mapping[str, Any]


def train(
    step: Stepper,
    splits: Splits,
    *,
    seed: int,
    resume: ResumePoint | None = None,
    listener: Listener = ignore,
    on_epoch: Callable[[EpochDone], None] | None = None,
    on_steps: OnSteps | None = None,
) -> Accuracies:
    """Train a stepper to the end of its plan, and evaluate it on all splits.

    After each epoch all nodes are evaluated, on the validation split where one is held out
    and else on the test split; then `on_epoch` is called, then the listener.

    Args:
        step: a new stepper.
        splits: the data of its plan.
        seed: of the order of the samples.
        resume: where to resume.
        listener: receives the events of steps and epochs.
        on_epoch: is called after each epoch, for example to save a checkpoint.
        on_steps: is called inside epochs; see `EpochSteps`.

    Returns:
        The accuracies after the last epoch, in percent, of every node, and the epochs.

    Raises:
        RunError: as `epochs` does.
    """
    nodes = {node.name for node in step.plan.graph.evaluated}
    last: dict[SplitName, tuple[Mapping[str, float], Measured]] = {}
    data = splits.for_training
    with stopping_together() as stop:
        for done in epochs(
            step, data, seed=seed, resume=resume, listener=listener, on_steps=on_steps, stop=stop
        ):
            if on_epoch is not None:
                on_epoch(done)
            listener(done)
            # Reuse the evaluation of the last epoch, unless `take = best` loads other weights or
            # the phase does not compute all nodes.
            final = step.phase.take == "last" and done.accuracy.keys() >= nodes
            last = {done.split: (done.accuracy, done.measured)} if final else {}

    def evaluated(name: SplitName, split: Split) -> tuple[Mapping[str, float], Measured]:
        # `last` is also empty if the training is resumed after its last epoch.
        return last[name] if name in last else evaluate_and_measure(step, split, nodes)

    accuracy, measured = evaluated("test", splits.test)
    found = Accuracies(accuracy, None, epochs=step.epochs, measured=measured)
    if splits.validation is None:
        return found
    accuracy, measured = evaluated("validation", splits.validation)
    return replace(found, validation=accuracy, validation_measured=measured)


def epochs(
    step: Stepper,
    data: TrainingData,
    *,
    seed: int,
    resume: ResumePoint | None = None,
    listener: Listener = ignore,
    evaluated: Collection[str] | None = None,
    on_steps: OnSteps | None = None,
    stop: GroupStop | None = None,
) -> Iterator[EpochDone]:
    """Train epoch by epoch: each iteration trains the next epoch and yields its `EpochDone`.

    Args:
        step: a new stepper.
        data: the training split, and the split on which nodes are evaluated after each epoch.
        seed: of the order of the samples.
        resume: where to resume.
        listener: receives the events of steps.
        evaluated: the nodes to evaluate; by default those that the phase computes.
        on_steps: is called inside epochs; see `EpochSteps`.
        stop: by which several processes stop after the same step.

    Raises:
        RunError: when a loss or, after the last epoch, a weight is not a finite number
            (E503), a network does not fit the data (E505), or `resume` does not fit the plan
            (E502).
    """
    plan, networks = step.plan, step.networks
    shown = data.train.preprocessing
    set_data_normalization(networks.values(), shown.mean, shown.std)
    warn_of_float_images(data.train, networks)
    _require_equal_images(plan, data.train)
    if resume is not None:
        _load_state(step.load_state_dict, resume.state)
    epoch = 0 if resume is None else resume.epoch
    resumed = resume is not None
    while True:
        is_last = step.phase is step.program.phases[-1]
        if over := step.phase_is_over:
            step.end_phase()
            if is_last:
                return
        if (over or resumed) and (skipped := _skipped(step)):
            listener(EpochsSkipped(skipped))
        epoch += 1
        phase = step.phase
        steps = EpochSteps(step, data.train, epoch, seed, listener, on_steps, stop)
        if resumed and resume is not None and MID_EPOCH in resume.state:
            _load_state(steps.load_state_dict, resume.state)
        resumed = False
        metrics = steps.train()
        if metrics.nonfinite is not None:
            raise _nonfinite_loss(plan, epoch, metrics.nonfinite)
        synchronize(step.changing, epoch)
        judged = {*(phase.nodes if evaluated is None else evaluated), *step.judged}
        with steps.saved_on_interrupt():
            accuracy, measured = evaluate_and_measure(step, data.evaluation, judged)
        step.end_epoch(metrics.loss, accuracy)
        if ends := step.phase_is_over:
            _require_finite_weights(plan, phase, networks | step.mixers, epoch, step.taken)
        yield EpochDone(
            epoch,
            metrics,
            data.evaluation_name,
            accuracy,
            dict(step.learning_rates),
            phase.name,
            last=ends and phase is step.program.phases[-1],
            stopped=no_progress(phase) if step.stopped else "",
            measured=measured,
        )


def _skipped(step: Stepper) -> int:
    """The number of epochs that earlier phases skipped by stopping early."""
    planned = [phase.epochs for phase in step.program.phases]
    return sum(planned[i] - trained for i, trained in enumerate(step.epochs[:-1]))


def _require_equal_images(plan: Plan, split: Split) -> None:
    """Raise NodeError where outputs are cached of images that are random in each epoch."""
    if split.stream is not None and split.stream.source.random:
        for node in plan.graph.nodes:
            if node.cache == "outputs":
                message = f"the outputs of `{node.name}` cannot be kept: the images are random"
                help = "leave `cache` out, or let the data give equal images in each epoch"
                raise NodeError(node.name, Diagnostic("E505", message, help=help))


def _load_state(load: Callable[[Mapping[str, Any]], None], state: Mapping[str, Any]) -> None:
    """Load a state. Raises UnfitStateError if it is of another training or version."""
    try:
        load(state)
    except Exception as error:  # torch may raise any exception for a state of another model
        message = f"the state of the training in the checkpoint does not fit its plan: {error}"
        help = "go on with the versions that wrote it (environment.json), or start a new run"
        raise UnfitStateError([Diagnostic("E502", message, help=help)]) from error


def evaluate_and_measure(
    step: Stepper, split: Split, nodes: Collection[str]
) -> tuple[dict[str, float], Measured]:
    """The accuracies of `evaluate_nodes`, and the plan's other metrics from the same pass."""
    counts = MetricCounts(step.plan.train.metrics)
    watch = counts if step.plan.train.metrics else None
    return evaluate_nodes(step, split, nodes, watch), counts.read()


def evaluate_nodes(
    step: Stepper, split: Split, nodes: Collection[str], watch: Watch | None = None
) -> dict[str, float]:
    """The accuracies of nodes on a split, in percent, with the current weights."""
    if not nodes:
        return {}
    at_once = step.plan.data.evaluation_batch_size
    group = process_group() if watch is None else SINGLE  # a watch has to see all answers
    with locating_user_errors(step.networks, step.plan):
        return evaluate(
            step.predictor(nodes), batches_in_order(split, at_once, group), watch, group
        )


def _nonfinite_loss(plan: Plan, epoch: int, first: NonFinite) -> RunError:
    if first.edge is None:
        what = f"the loss of node {first.node}, though not that of any edge into it,"
    else:
        source, destination = first.edge
        edge = f"{source} -> {destination}" if source else destination
        what = f"the loss of edge {edge} (into node {first.node})"
    others = f", with {first.others} more at the same step" if first.others else ""
    message = (
        f"{what} became {first.value} at epoch {epoch} of {plan.epochs}, "
        f"step {first.step} of {plan.steps}{others}"
    )
    help = _OWN_GATE_HELP if _has_own_gate(plan, first) else _DIVERGENCE_HELP
    problem = Diagnostic("E503", message, help=help)
    return NodeError(first.node, problem) if first.edge is None else EdgeError(first.edge, problem)


def _has_own_gate(plan: Plan, first: NonFinite) -> bool:
    """Whether the edge has a user's gate, whose invalid weights may have caused the NaN."""
    terms = (t for edge in plan.graph.edges if edge.key == first.edge for t in edge.terms)
    return any(call.name == "python" for term in terms for call in gate_calls(term.gate))


def _require_finite_weights(
    plan: Plan, phase: Phase, networks: Mapping[str, nn.Module], epoch: int, step: int
) -> None:
    """Raise NodeError unless all learned weights are finite: no later loss would show it."""
    learning = [learner.name for learner in phase.learners]
    for name, fine in zip(learning, finite(networks[name] for name in learning), strict=True):
        if not fine:
            of_phase = "" if phase.name is None else f" of phase {phase.name}"
            message = (
                f"the weights of node {name} are not finite after epoch {epoch}, "
                f"step {step}, the last one{of_phase}"
            )
            raise NodeError(name, Diagnostic("E503", message, help=_DIVERGENCE_HELP))


_OWN_GATE_HELP = (
    "the gate `python(...)` has to give weights from 0 to 1; if it does, lower the learning rate "
    "or limit gradients with `clip`"
)
_DIVERGENCE_HELP = (
    "lower the learning rate, begin with a `warmup`, limit gradients with `clip`, "
    "or give the edge less weight"
)
