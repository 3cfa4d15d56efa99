"""An evaluation as text in columns and as JSON."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ktgdsl.evaluation.result import Evaluation, NodeEvaluation
from ktgdsl.measures.classification import (
    by_class,
    calibration_error,
    macro_f1,
    mean_iou,
    top,
    top5,
)
from ktgdsl.measures.counts import BINS, Bin, Counts
from ktgdsl.report.describe import columns
from ktgdsl.report.formatting import count
from ktgdsl.report.justified import justified
from ktgdsl.report.narrow import blocks
from ktgdsl.report.run_text import role
from ktgdsl.training.result import Score

NOTHING = "-"

MISTAKES = 10
"""How many pairs of classes are listed where there are too many for a matrix."""

_NEEDS_SIX = 6
"""Classes from which on the top-5 accuracy says something."""


def top1(counts: Counts) -> float:
    """The accuracy."""
    return top(counts, 1)


MEASURES: dict[str, tuple[str, Callable[[Counts], float]]] = {
    "accuracy": ("accuracy", top1),
    "top5": ("top-5", top5),
    "f1": ("macro F1", macro_f1),
    "ece": ("calibration error", calibration_error),
    "miou": ("mean IoU", mean_iou),
}
"""The measures of a node: their headings, and what computes them."""


def evaluation_text(evaluation: Evaluation, detailed: Sequence[str], width: int) -> str:
    """All nodes in a table, and of those that are `detailed` classes, mistakes and calibration."""
    several = len(evaluation.seeds) > 1
    seeds = f"seed{'s' * several} {', '.join(map(str, evaluation.seeds))}"
    graph = evaluation.plan.graph
    spread = ", mean ± standard deviation" * several
    parts = [
        f"{graph.name} on the {evaluation.split} split of {evaluation.data}: "
        f"{samples_text(evaluation)}, {seeds}; in percent{spread}",
        "\n".join(_nodes(evaluation, width)),
    ]
    shown = (each for name in detailed for each in evaluation.by_node[name].items())
    for name, node in shown:
        together = ", all seeds together" * several
        parts += [
            "\n".join([f"{name} by class{together}", *_classes(evaluation, node)]),
            "\n".join(_confusion(evaluation, name, width, together)),
            "\n".join([f"confidence of {name}{together}", *_bins(evaluation, node.counts.bins)]),
        ]
    return "\n\n".join(parts) + "\n"


def _nodes(evaluation: Evaluation, width: int) -> list[str]:
    graph = evaluation.plan.graph
    known = {node.name: node for node in graph.evaluated}
    shown = shown_measures(evaluation)
    head = ["node", "role", *(heading for heading, _ in shown)]
    rows = [
        [name, role(graph, known[name]) if name in known else "", *scores]
        for name, scores in score_rows(evaluation)
    ]
    lines = columns([head, *rows])
    return lines if max(map(len, lines)) <= width else blocks(head, rows, width)


def score_rows(evaluation: Evaluation) -> Iterator[tuple[str, list[str]]]:
    """Each node with its `shown_measures`, the mean over its heads, and each of several heads."""
    shown = shown_measures(evaluation)
    for name, answers in evaluation.by_node.items():
        yield name, [score_text(evaluation.score(name, measure)) for _, measure in shown]
        for head, each in answers.items() if len(answers) > 1 else ():
            yield head, [score_text(each.score(measure)) for _, measure in shown]


def shown_measures(evaluation: Evaluation) -> list[tuple[str, Callable[[Counts], float]]]:
    """The measures that say something: the top-5 accuracy only of six classes or more, and the
    mean IoU where each pixel has a label.
    """
    most = max(len(evaluation.classes_of(each)) for each in evaluation.nodes.values())
    hidden = {"top5"} if most < _NEEDS_SIX else set()
    hidden |= set() if of_pixels(evaluation) else {"miou"}
    return [measure for name, measure in MEASURES.items() if name not in hidden]


def of_pixels(evaluation: Evaluation) -> bool:
    """Whether each pixel has a label."""
    facts = evaluation.plan.data.facts
    return facts is not None and facts.masks


def counted(evaluation: Evaluation) -> str:
    """The noun for what is counted: pixels with masks, else samples."""
    return "pixel" if of_pixels(evaluation) else "sample"


def samples_text(evaluation: Evaluation) -> str:
    """How many samples, or pixels, have a label, of several labels each."""
    if isinstance(evaluation.classes, tuple):
        return count(evaluation.samples, counted(evaluation))
    numbers = _by_label(evaluation).items()
    return ", ".join(f"{count(number, 'sample')} of {label}" for label, number in numbers)


def _by_label(evaluation: Evaluation) -> dict[str, int]:
    """How many samples have a label, by its name."""
    found = {each.head: each.runs[0].samples for each in evaluation.nodes.values()}
    return {label: number for label, number in found.items() if label is not None}


def score_text(score: Score) -> str:
    """A score in percent, without the sign: `72.88 ± 0.41`."""
    return f"{score.mean:.2f}" + ("" if score.std is None else f" ± {score.std:.2f}")


def _classes(evaluation: Evaluation, node: NodeEvaluation) -> list[str]:
    masks = of_pixels(evaluation)
    rows = [["class", f"{counted(evaluation)}s", "accuracy", "precision", "F1", *["IoU"] * masks]]
    for name, each in zip(evaluation.classes_of(node), by_class(node.counts), strict=True):
        shares = (each.recall, each.precision, each.f1, *[each.iou] * masks)
        samples = each.samples // len(node.runs)
        rows.append([name, f"{samples:,}", *map(share_cell, shares)])
    return justified(rows, rows[0][:1])


def share_cell(share: float | None) -> str:
    """A share in percent; 0 / 0 is none."""
    return NOTHING if share is None else f"{share:.2f}"


def _confusion(evaluation: Evaluation, name: str, width: int, together: str) -> list[str]:
    """The matrix where it fits, and else the most frequent mistakes."""
    node = evaluation.nodes[name]
    confusion, classes = node.counts.confusion, evaluation.classes_of(node)
    rows = [["", *classes]]
    for label, row in zip(classes, confusion, strict=True):
        rows.append([label, *(f"{each:,}" if each else "." for each in row)])
    lines = justified(rows, rows[0][:1])
    if max(map(len, lines)) <= width:
        head = f"confusion of {name}{together}: a row for each label, a column for each answer"
        return [head, *lines]
    mistakes = most_frequent_mistakes(evaluation, node)
    found = [["label", "answer", f"{counted(evaluation)}s"]]
    found += [[label, answer, f"{number:,}"] for number, label, answer in mistakes[:MISTAKES]]
    head = f"most frequent mistakes of {name}{together}, of {count(len(mistakes), 'kind')}"
    return [head, *columns(found)] if mistakes else [f"{name} makes no mistake"]


def most_frequent_mistakes(
    evaluation: Evaluation, node: NodeEvaluation
) -> list[tuple[int, str, str]]:
    """How many samples of which class got which other one as the answer, the most first."""
    classes = evaluation.classes_of(node)
    mistakes = [
        (number, classes[label], classes[answer])
        for label, row in enumerate(node.counts.confusion)
        for answer, number in enumerate(row)
        if label != answer and number
    ]
    return sorted(mistakes, key=lambda each: -each[0])


def _bins(evaluation: Evaluation, bins: Sequence[Bin]) -> list[str]:
    rows = [["confidence", f"{counted(evaluation)}s", "mean", "accuracy"]]
    for number, each in enumerate(bins):
        if each.samples:
            limits = f"{100 * number / BINS:.0f} to {100 * (number + 1) / BINS:.0f}"
            sure, right = (100 * part / each.samples for part in (each.confidence, each.correct))
            rows.append([limits, f"{each.samples:,}", f"{sure:.2f}", f"{right:.2f}"])
    return justified(rows, rows[0][:1])


def evaluation_json(evaluation: Evaluation) -> str:
    """An object; shares are in percent, and 0 / 0 is null.

    Where samples have several labels `samples` and `classes` are objects, by label, and a node with
    several heads has each in `heads`, beside their means.
    """
    one = isinstance(evaluation.classes, tuple)
    facts = {
        "folder": evaluation.folder.as_posix(),
        "graph": evaluation.plan.graph.name,
        "digest": evaluation.plan.digest,
        "data": evaluation.data,
        "split": evaluation.split,
        "samples": evaluation.samples if one else _by_label(evaluation),
        "classes": evaluation.classes,
        "seeds": list(evaluation.seeds),
        "nodes": {name: _node_facts(evaluation, name) for name in evaluation.by_node},
    }
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _node_facts(evaluation: Evaluation, name: str) -> dict[str, Any]:
    answers = list(evaluation.by_node[name].values())
    if len(answers) == 1:
        return _answer_facts(evaluation, answers[0])
    means = _scores(lambda measure: evaluation.score(name, measure))
    return {**means, "heads": {each.head: _answer_facts(evaluation, each) for each in answers}}


def _scores(score: Callable[[Callable[[Counts], float]], Score]) -> dict[str, Any]:
    return {name: score(each).model_dump(mode="json") for name, (_, each) in MEASURES.items()}


def _answer_facts(evaluation: Evaluation, node: NodeEvaluation) -> dict[str, Any]:
    counts, runs = node.counts, len(node.runs)
    return {
        **_scores(node.score),
        "by_class": [
            {
                "class": name,
                "samples": each.samples // runs,
                "recall": each.recall,
                "precision": each.precision,
                "f1": each.f1,
                "iou": each.iou,
            }
            for name, each in zip(evaluation.classes_of(node), by_class(counts), strict=True)
        ],
        "confusion": [list(row) for row in counts.confusion],
        "bins": [
            {
                "from": 100 * number / BINS,
                "to": 100 * (number + 1) / BINS,
                "samples": each.samples,
                "confidence": 100 * each.confidence / each.samples if each.samples else None,
                "accuracy": 100 * each.correct / each.samples if each.samples else None,
            }
            for number, each in enumerate(counts.bins)
        ],
    }
