"""The folder of a run whose metrics are said, not trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ktgdsl
from ktgdsl.files import sealed_json, sha256
from ktgdsl.training.events import EdgeMetrics, EpochDone, EpochMetrics
from ktgdsl.training.metrics_file import append_metrics, metric_lines
from ktgdsl.training.result import NodeResult, RunResult, Score
from ktgdsl.training.run_folder import RunFolder

Accuracies = Mapping[str, Sequence[Sequence[float]]]
"""By node, for each repeat, in percent after each epoch."""

PAIR = """
graph pair { node a, b = resnet8 target a edge label -> * edge b -> a : kl via linear }
train { epochs = 4 }
"""


def write_run(
    folder: Path,
    accuracies: Accuracies,
    text: str = PAIR,
    *,
    finished: bool = True,
    **environment: Any,
) -> RunFolder:
    """Write a run of the spec; losses and gates follow from the epoch, and phases from the spec."""
    plan = ktgdsl.loads(text)
    run = RunFolder(folder)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.to_json())
    (folder / "spec.ktg").write_text(text)
    digests = {"plan": sha256(plan.to_json().encode())}
    (folder / "environment.json").write_text(sealed_json({**environment, **digests}))
    repeats = max(len(each) for each in accuracies.values())
    for repeat in range(repeats):
        epochs = max(len(each[repeat]) for each in accuracies.values() if repeat < len(each))
        for epoch in range(1, epochs + 1):
            phase = plan.phase_at(epoch)
            nodes = [name for name, each in accuracies.items() if epoch <= len(each[repeat])]
            done = EpochDone(
                epoch,
                EpochMetrics(
                    steps=1,
                    loss=dict.fromkeys(nodes, 2 / epoch + repeat),
                    accuracy=dict.fromkeys(nodes, 50.0),
                    edges={
                        edge.key: EdgeMetrics(1 / epoch + repeat, epoch / epochs)
                        for edge in plan.graph.edges
                    },
                ),
                "validation" if plan.data.holdout else "test",
                {name: accuracies[name][repeat][epoch - 1] for name in nodes},
                {},
                phase=None if phase is None else phase.name,
            )
            append_metrics(run.metrics, metric_lines(plan, repeat + 1, done))
    if finished:
        scores = {
            name: NodeResult(accuracy=Score.of([each[-1] for each in runs]))
            for name, runs in accuracies.items()
        }
        result = RunResult(
            folder=folder,
            target=plan.graph.targets[0],
            nodes=scores,
            digest=plan.digest,
            seeds=tuple(range(repeats)),
            epochs=plan.epochs,
            seconds=65.0,
        )
        (folder / "result.json").write_text(result.to_json())
    return run
