"""Folders of runs that were never trained: what listings and comparisons read of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import ktgdsl
from ktgdsl.files import sealed_json
from ktgdsl.plan.model import Plan
from ktgdsl.training.result import NodeResult, RunResult, Score

SPEC = "graph g { node a, b = resnet8 target a edge label -> * edge b -> a }"

STARTED = "2026-11-28T12:00:00+00:00"


def write_run(
    path: Path,
    accuracies: Mapping[str, Sequence[float]] | None,
    *,
    first_seed: int = 0,
    spec: str = SPEC,
    metrics: Mapping[str, Sequence[float]] | None = None,
    **environment: object,
) -> Plan:
    """A run whose nodes have these accuracies, one a seed; an unfinished one without them.

    `metrics` are those of each node.
    """
    repeats = len(accuracies["a"]) if accuracies else 1
    plan = ktgdsl.loads(spec, [f"train.seed={first_seed}", f"train.repeats={repeats}"])
    path.mkdir(parents=True)
    (path / "plan.json").write_text(plan.to_json())
    (path / "environment.json").write_text(sealed_json({"started": STARTED, **environment}))
    if accuracies is not None:
        measured = {name: Score.of(values) for name, values in (metrics or {}).items()}
        result = RunResult(
            folder=path,
            target="a",
            nodes={
                name: NodeResult(accuracy=Score.of(values), metrics=measured or None)
                for name, values in accuracies.items()
            },
            digest=plan.digest,
            seeds=tuple(range(first_seed, first_seed + repeats)),
            epochs=20,
            seconds=1.0,
        )
        (path / "result.json").write_text(result.to_json())
    return plan
