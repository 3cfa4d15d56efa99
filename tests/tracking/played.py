"""Runs whose epochs are said, not trained: what a listener hears of them, and what is recorded."""

from collections.abc import Callable
from pathlib import Path

import ktgdsl
from ktgdsl.files import sealed_json
from ktgdsl.plan.model import Plan
from ktgdsl.tracking.run_log import recorded_rows
from ktgdsl.training.events import (
    EdgeMetrics,
    EpochDone,
    EpochMetrics,
    Event,
    PretrainDone,
    PretrainStarted,
    RepeatStarted,
    RunFinished,
    RunStarted,
)
from ktgdsl.training.metrics_file import append_metrics, metric_lines, truncate_metrics
from ktgdsl.training.result import NodeResult, Pretrained, RunResult, Score
from ktgdsl.training.run_folder import RunFolder

ODD = """
graph odd {
    node a = resnet8
    node p[2] = resnet8
    node t = resnet8 { frozen = true }
    target a
    edge label -> a, p
    edge p, t -> a : kl via linear
    edge p[0]."stage1.0.conv1" -> a.stage1 : attention
    edge a : 0.1 * entropy
}
phase warm { learn = [a, p]  epochs = 2 }
phase late { learn = [a]  epochs = 2 }
train { repeats = 2  metrics = [f1] }
"""
"""Names with brackets, quotes and dots; phases; repeats; a node that is pre-trained."""


def begin(folder: Path, spec: str = ODD) -> Plan:
    """The folder of a run that has no epoch yet."""
    plan = ktgdsl.loads(spec)
    folder.mkdir()
    (folder / "spec.ktg").write_text(spec)
    (folder / "plan.json").write_text(plan.to_json())
    content = {"device": "cpu", "versions": {"ktgdsl": "1", "torch": "2"}}
    (folder / "environment.json").write_text(sealed_json(content))
    return plan


def epoch(plan: Plan, number: int, seed: int) -> EpochDone:
    """What an epoch reached, another value everywhere."""
    phase = plan.phase_at(number)
    nodes = [node.name for node in plan.graph.evaluated]
    learning = nodes if phase is None else list(phase.learn)
    edges = [edge for edge in plan.graph.edges if edge.destination.node in learning]
    base = number + seed / 10
    return EpochDone(
        number,
        EpochMetrics(
            steps=3,
            loss={name: base + i / 100 for i, name in enumerate(learning)},
            accuracy={name: 30 + base + i / 100 for i, name in enumerate(nodes)},
            edges={e.key: EdgeMetrics(base / 3 + i, i / 10) for i, e in enumerate(edges)},
        ),
        "test",
        {name: 50 + base + i / 100 for i, name in enumerate(nodes)},
        dict.fromkeys(learning, 0.1 / number),
        phase=None if phase is None else phase.name,
        measured={name: {"f1": 40 + base} for name in nodes} if plan.train.metrics else {},
    )


def play(
    listener: Callable[[Event], None],
    plan: Plan,
    folder: Path,
    repeat: int = 1,
    epochs: range | None = None,
) -> None:
    """Epochs of a repeat, from its start or from a resume; what was recorded beyond is dropped."""
    epochs = epochs or range(1, plan.epochs + 1)
    seed, run = plan.train.seed + repeat - 1, RunFolder(folder)
    truncate_metrics(run.metrics, repeat, epochs[0] - 1)
    listener(RepeatStarted(repeat, seed, epochs[0] - 1))
    for node in plan.graph.nodes:
        if node.pretrained:
            listener(PretrainStarted(node.name, plan))
            listener(epoch(ktgdsl.loads(ALONE), 1, 0))
            listener(PretrainDone(node.name, 99.0, "test"))
    for number in epochs:
        done = epoch(plan, number, seed)
        append_metrics(run.metrics, metric_lines(plan, repeat, done))
        listener(done)


def play_all(listener: Callable[[Event], None], plan: Plan, folder: Path) -> None:
    """A whole run."""
    listener(RunStarted(plan, folder, "cpu"))
    for repeat in range(1, plan.train.repeats + 1):
        play(listener, plan, folder, repeat)
    listener(RunFinished(plan, result(plan, folder)))


def result(plan: Plan, folder: Path) -> RunResult:
    """The result of a run of two repeats."""
    pretrained = Pretrained(accuracy=99.0, split="test", cached=False)
    nodes = {
        node.name: NodeResult(accuracy=Score.of([60.0, 62.0]), metrics={"f1": Score.of([1.0, 3.0])})
        for node in plan.graph.nodes
    }
    nodes["t"] = nodes["t"].model_copy(update={"pretrained": (pretrained, pretrained)})
    return RunResult(
        folder=folder,
        target="a",
        nodes=nodes,
        digest=plan.digest,
        seeds=(0, 1),
        epochs=plan.epochs,
        seconds=1.0,
    )


ALONE = "graph t { node t = resnet8 target t edge label -> t }"


def recorded(plan: Plan, folder: Path, repeat: int = 1) -> dict[int, dict[str, float]]:
    """The numbers in `metrics.jsonl` by epoch, under the names that they are logged by."""
    return {row.epoch: dict(row.values) for row in recorded_rows(plan, folder, repeat)}
