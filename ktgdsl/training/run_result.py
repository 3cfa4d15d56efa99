"""The result of trainings that are finished, from their accuracies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ktgdsl.plan.heads import by_head
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.training.checkpoint import Accuracies
from ktgdsl.training.result import HeadResult, NodeResult, Pretrained, RunResult, Score
from ktgdsl.training.stopping import early_stops


def run_result(
    plan: Plan, folder: Path, seeds: Sequence[int], finished: tuple[Accuracies, ...], seconds: float
) -> RunResult:
    """The result of a plan that was trained with each of these seeds, in so many seconds."""
    graph = plan.graph
    names = dict.fromkeys([*graph.targets, *(node.name for node in graph.evaluated)])
    phases = program_of(plan).phases
    return RunResult(
        folder=folder,
        target=graph.targets[0],
        nodes={name: _node_result(name, finished) for name in names},
        digest=plan.digest,
        seeds=tuple(seeds),
        epochs=max(sum(each.epochs) or plan.epochs for each in finished),
        seconds=round(seconds, 3),
        stopped=tuple(
            stop
            for seed, each in zip(seeds, finished, strict=True)
            for stop in early_stops(phases, seed, each.epochs)
        ),
    )


def _node_result(name: str, finished: tuple[Accuracies, ...]) -> NodeResult:
    pretrained = [each.pretrained[name] for each in finished if name in each.pretrained]
    heads = {
        head: _head_result(f"{name}.{head}", finished) for head in by_head(finished[0].test, name)
    }
    return NodeResult(
        **dict(_head_result(name, finished)),
        pretrained=tuple(map(Pretrained.model_validate, pretrained)) or None,
        heads=heads or None,
    )


def _head_result(name: str, finished: tuple[Accuracies, ...]) -> HeadResult:
    validation = [each.validation[name] for each in finished if each.validation is not None]
    return HeadResult(
        accuracy=Score.of([each.test[name] for each in finished]),
        validation_accuracy=Score.of(validation) if validation else None,
        metrics=_scores([each.measured.get(name, {}) for each in finished]),
        validation_metrics=_scores([each.validation_measured.get(name, {}) for each in finished]),
    )


def _scores(measured: Sequence[Mapping[str, float]]) -> dict[str, Score] | None:
    """The scores of metrics over the repeats; None without any."""
    return {name: Score.of([each[name] for each in measured]) for name in measured[0]} or None
