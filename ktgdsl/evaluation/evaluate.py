"""Evaluates the networks of a run: every measure of each node, on data that are labelled."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from ktgdsl.errors import warn
from ktgdsl.evaluation.data import data_to_evaluate, samples_of
from ktgdsl.evaluation.result import Evaluation, NodeEvaluation, Split
from ktgdsl.measures.classification import top
from ktgdsl.measures.counter import Counter
from ktgdsl.measures.counts import Counts
from ktgdsl.plan.heads import Answer, answers_of
from ktgdsl.plan.model import Plan
from ktgdsl.training.batches import batches_in_order
from ktgdsl.training.data import Split as Samples
from ktgdsl.training.datasets.loaders import loaders_reported
from ktgdsl.training.device import choose_device
from ktgdsl.training.memory_errors import reporting_out_of_memory
from ktgdsl.training.networks import load_network
from ktgdsl.training.result import Score
from ktgdsl.training.run_files import FolderPath, folder_error, named_folder
from ktgdsl.training.run_folder import RunFolder, open_run_folder
from ktgdsl.training.user_code_errors import locating_user_errors


def evaluate(
    folder: FolderPath,
    nodes: Sequence[str] = (),
    *,
    data: str | None = None,
    root: str | Path | None = None,
    split: Split = "test",
    device: str | torch.device | None = None,
) -> Evaluation:
    """Evaluate the trained networks of a run, those of each seed.

    Warns where the test accuracy is not the one that the run found on the same data.

    Args:
        folder: of the run, in which at least the first seed is trained to the end.
        nodes: networks and ensembles, with all their heads; all of the graph unless given.
        data: a data set in the words of a spec, such as "cifar10" or 'folder("photos")', by
            default that of the run. Their classes are found by name where both have names.
        root: the folder of the data, where it is not the one that the run read.
        split: of the data; the held-out one of a seed is that of its training.
        device: such as "cpu" or "cuda:1"; by default the GPU if there is one.

    Raises:
        ValueError: when there is no such split.
        SpecError: when `data` is no data set.
        RunError: when the folder is not that of a run (E502), it has no such node or has not
            trained it to the end (E505), its weights are damaged (E406), the data are missing or
            damaged or do not fit (E508), there is no such device or too little memory (E504).
    """
    if split not in get_args(Split):
        known = ", ".join(f'"{each}"' for each in get_args(Split))
        raise ValueError(f"there is no split {split!r}; there are {known}")
    run = open_run_folder(named_folder(folder))
    plan, chosen = run.plan(), choose_device(device)
    if plan.data.facts is None:
        message = f"{run.path / 'plan.json'} does not say what the run's images and classes were"
        raise folder_error(run.path, message, "evaluate a run of this version")
    names = _first_target_first(plan, nodes)
    repeats = _trained_repeats(run, plan, names)
    found = data_to_evaluate(plan, data, root)
    counts: dict[Answer, list[Counts]] = {}
    with loaders_reported(), reporting_out_of_memory(chosen):
        samples: Samples | None = None
        for repeat in repeats:
            if samples is None or split != "test":  # which is the same for each seed
                seed = plan.train.seed + repeat - 1
                samples, classes = samples_of(found, split, seed, chosen, plan.data, run.classes())
            counted = _counted(run, names, repeat, samples, found.evaluation_batch_size, plan)
            for answer, each in counted.items():
                counts.setdefault(answer, []).append(each)
    evaluation = Evaluation(
        folder=run.path,
        plan=plan,
        data=str(found.source),
        split=split,
        classes=classes,
        seeds=tuple(plan.train.seed + repeat - 1 for repeat in repeats),
        nodes={
            answer.name: NodeEvaluation(tuple(each), answer.head) for answer, each in counts.items()
        },
    )
    if split == "test" and data is None:
        _compare_with_result(run, evaluation)
    return evaluation


def _first_target_first(plan: Plan, nodes: Sequence[str]) -> list[str]:
    """The distinct nodes to evaluate; `load_network` reports unknown ones."""
    graph = plan.graph
    return [*dict.fromkeys(nodes or [*graph.targets, *(each.name for each in graph.evaluated)])]


def _trained_repeats(run: RunFolder, plan: Plan, names: Sequence[str]) -> list[int]:
    """The repeats that are trained to the end, and the first: if that is missing, loading fails."""
    networks = [name for name in names if name in plan.graph.networks]
    further = range(2, plan.train.repeats + 1)
    if run.result() is not None:
        return [1, *further]
    return [1, *(n for n in further if all(run.weights(name, n).exists() for name in networks))]


@torch.no_grad()
def _counted(
    run: RunFolder, names: Sequence[str], repeat: int, samples: Samples, at_once: int, plan: Plan
) -> dict[Answer, Counts]:
    """The counts of each answer of the nodes in a repeat."""
    device, data = samples.label.device, plan.data
    networks = {name: load_network(run.path, name, repeat).to(device) for name in names}
    answers = answers_of(plan.graph)
    counters = {
        answer: Counter(data.classes_of(answer.head), device)
        for name in names
        for answer in answers[name]
    }
    with locating_user_errors(networks, plan):
        for image, label in batches_in_order(samples, at_once):
            for name, network in networks.items():
                # A network of the user's may write into its input.
                logits = network(image.clone())
                for answer in answers[name]:
                    own = logits if isinstance(logits, Tensor) else logits[answer.head]
                    asked = label if answer.head is None else label[:, data.column(answer.head)]
                    counters[answer].update(own, asked)
    return {answer: counter.read() for answer, counter in counters.items()}


def _compare_with_result(run: RunFolder, evaluation: Evaluation) -> None:
    """Warn (W306) where an accuracy is not what `result.json` says."""
    if (result := run.result()) is None:
        return
    for name in evaluation.by_node:
        now = evaluation.score(name, lambda counts: top(counts, 1))
        then = result.nodes[name].accuracy
        if max(abs(a - b) for a, b in zip(now.runs, then.runs, strict=True)) > 1e-6:
            warn(
                "W306",
                f"the test accuracy of {name} is {now}, and {Score.of(then.runs)} in "
                f"{run.path / 'result.json'}",
                help="the data have changed, or the device is another one: `environment.json` "
                "says what the run had",
            )
