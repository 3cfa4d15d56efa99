"""A run as plain lines: a line for each epoch, and the result."""

import time
from collections.abc import Callable

from ktgdsl.plan.model import DerivedNode, Graph, Node, Plan
from ktgdsl.report.describe import columns
from ktgdsl.report.formatting import Clock, count, duration, step_rate
from ktgdsl.report.run_progress import RunProgress
from ktgdsl.training.events import (
    EpochDone,
    Event,
    Listener,
    PretrainDone,
    PretrainStarted,
    RepeatStarted,
    RunDiscarded,
    RunFinished,
    RunStarted,
)
from ktgdsl.training.result import RunResult
from ktgdsl.vocabulary.networks import shorthand


def plain_run_listener(write: Callable[[str], object], clock: Clock = time.monotonic) -> Listener:
    """A listener that calls `write` with a line, without its end, per epoch, and the result."""
    progress: RunProgress | None = None

    def listen(event: Event) -> None:
        nonlocal progress
        if isinstance(event, RunStarted):
            progress = RunProgress(event, clock)
            for line in (_headline(event), *event.notes, *event.chosen):
                write(line)
        elif isinstance(event, RunFinished):
            result = run_result_text(event.plan, event.result, already=event.already)
            for line in result.splitlines():
                write(line)
        elif progress is not None:
            progress(event)
            if isinstance(event, RepeatStarted) and progress.plan.train.repeats > 1:
                write(f"repeat {event.repeat}/{progress.plan.train.repeats}, seed {event.seed}")
            elif isinstance(event, PretrainStarted):
                reason = f" ({event.reason})" if event.reason else ""
                write(f"{event.node} is frozen: it is trained on the labels first{reason}")
            elif isinstance(event, PretrainDone):
                write(pretrained_text(event))
            elif isinstance(event, EpochDone):
                write(_epoch_line(progress, event))
                if event.stopped and progress.pretraining is None:
                    write(stopped_text(event))
            elif isinstance(event, RunDiscarded):
                write(discarded_text(event))

    return listen


def run_warnings(event: Event) -> tuple[str, ...]:
    """The warnings of a run, which are shown even if only its result is wanted."""
    if isinstance(event, RunStarted):
        return event.notes
    if isinstance(event, PretrainStarted) and event.reason:
        return (f"{event.node} is trained on the labels first: {event.reason}",)
    return ()


def pretrained_text(done: PretrainDone) -> str:
    """The outcome of a pre-training in words."""
    what = "has the weights of its pre-training from the cache" if done.cached else "is pre-trained"
    early = "" if done.stopped is None else f", stopped early after epoch {done.stopped}"
    return f"{done.node} {what}: {done.accuracy:.2f} % on the {done.split} split{early}"


def discarded_text(discarded: RunDiscarded) -> str:
    """The sentence that nothing is kept of a run."""
    return f"no epoch is done, so nothing is kept: {discarded.folder} is removed"


def stopped_text(done: EpochDone) -> str:
    """The sentence that a training, or its phase, has ended early, and why."""
    what = "stopped" if done.phase is None else f"phase {done.phase} stopped"
    return f"{what} after epoch {done.epoch}: {done.stopped}"


def _headline(started: RunStarted) -> str:
    plan = started.plan
    resumed = ""
    if (started.repeat, started.epoch, started.step) != (1, 0, 0):
        repeat = f" of repeat {started.repeat}" if plan.train.repeats > 1 else ""
        step = f"step {started.step} of epoch {started.epoch + 1}"
        resumed = f", going on after {step if started.step else f'epoch {started.epoch}'}{repeat}"
    return (
        f"{plan.graph.name}: {'at most ' * plan.may_stop}{count(plan.epochs, 'epoch')} of "
        f"{count(plan.data.steps_per_epoch, 'step')} "
        f"on {plan.data.source}, {started.device}, into {started.folder}{resumed}"
    )


def _epoch_line(progress: RunProgress, done: EpochDone) -> str:
    cells = epoch_cells(progress, done)
    if progress.rate is not None:
        cells.append(step_rate(progress.rate))
    left = progress.seconds_left or 0
    if round(left):
        cells.append(f"{duration(left)} left")
    return "  ".join(cells)


def epoch_cells(progress: RunProgress, done: EpochDone) -> list[str]:
    """The cells of an epoch's line: its number, the accuracy of each node, and the loss.

    The loss is that of the first target that learns, or of the node that is pre-trained.
    """
    nodes = [node.name for node in targets_first(progress.plan.graph)]
    measured = [name for name in nodes if name in progress.accuracy]
    cells = [f"epoch {progress.epoch:>{len(str(progress.epochs))}}/{progress.epochs}"]
    if progress.pretraining is not None:
        cells.insert(0, f"pre-training {progress.pretraining}:")
    elif done.phase is not None:
        cells.insert(0, f"phase {done.phase}:")
    accuracies = ((name, f"{progress.accuracy[name]:.1f} %") for name in measured)
    cells += [f"{name} {accuracy}{_metrics(progress, name)}" for name, accuracy in accuracies]
    learning = next(name for name in measured if name in progress.loss)
    return [*cells, f"loss {progress.loss[learning]:.3f}"]


def _metrics(progress: RunProgress, name: str) -> str:
    """The metrics of a target besides its accuracy."""
    measured = progress.measured.get(name, {}) if name in progress.plan.graph.targets else {}
    values = [f"{metric} {value:.1f}" for metric, value in measured.items()]
    return f" ({', '.join(values)})" if values else ""


def run_result_text(plan: Plan, result: RunResult, *, already: bool = False) -> str:
    """The result of a run as plain lines: the accuracy of each node, and where the files are."""
    nodes = targets_first(plan.graph)
    rows = zip(
        ["node", *(node.name for node in nodes)],
        ["role", *(role(plan.graph, node) for node in nodes)],
        ["network", *(network_text(node) for node in nodes)],
        *accuracy_columns(plan, result),
        strict=True,
    )
    return "\n".join(
        [
            *columns(rows),
            *head_lines(plan, result),
            *early_stop_lines(result),
            last_line(result, already),
        ]
    )


def head_lines(plan: Plan, result: RunResult) -> list[str]:
    """A line for each node with several heads: the test accuracy of each, whose mean is above."""
    return [
        f"{node.name} by head: "
        + ", ".join(f"{head} {each.accuracy}" for head, each in (heads or {}).items())
        for node in targets_first(plan.graph)
        if (heads := result.nodes[node.name].heads)
    ]


def early_stop_lines(result: RunResult) -> list[str]:
    """A line for each phase that ended early: after which of its epochs, and why."""
    several = len(result.seeds) > 1
    return [
        (f"seed {stop.seed}: " if several else "")
        + (f"phase {stop.phase} " if stop.phase is not None else "")
        + f"stopped after {stop.epochs:,} of {count(stop.planned, 'epoch')}: {stop.reason}"
        for stop in result.stopped
    ]


def accuracy_columns(plan: Plan, result: RunResult) -> list[list[str]]:
    """A column for each split that was measured, its heading first."""
    nodes = [result.nodes[node.name] for node in targets_first(plan.graph)]
    table = [["test accuracy", *(str(node.accuracy) for node in nodes)]]
    held_out = [node.validation_accuracy for node in nodes if node.validation_accuracy is not None]
    if held_out:
        table.append(["validation accuracy", *map(str, held_out)])
    for metric in nodes[0].metrics or {}:
        scores = [str((node.metrics or {})[metric]) for node in nodes]
        table.append([f"test {metric}", *scores])
    return table


def last_line(result: RunResult, already: bool) -> str:
    """How long the run took and where its files are."""
    finished = "already finished: it took" if already else "finished in"
    return f"{finished} {duration(result.seconds)}, everything is in {result.folder}"


def targets_first(graph: Graph) -> list[Node | DerivedNode]:
    """The nodes that have an accuracy, as reports list them."""
    nodes = {node.name: node for node in graph.evaluated}
    targets = [nodes.pop(name) for name in graph.targets]
    return [*targets, *nodes.values()]


def role(graph: Graph, node: Node | DerivedNode) -> str:
    """The role of a node in its graph, in a word."""
    if node.name in graph.targets:
        return "target"
    return "frozen" if isinstance(node, Node) and not node.learns else "auxiliary"


def network_text(node: Node | DerivedNode) -> str:
    """The network of a node, or what it is made from, in a few words."""
    if isinstance(node, Node):
        return shorthand(node.network)
    return f"{node.made.name} of {', '.join(node.sources)}"
