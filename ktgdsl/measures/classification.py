"""Measures of a classification, computed from its counts; shares are in percent."""

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import NamedTuple

from ktgdsl.measures.counts import Counts


class ClassMeasures(NamedTuple):
    """One class: its samples, how often it was the answer, and how often it was right.

    `recall` is the share of its samples that got it as the answer, which is the accuracy of the
    class; `precision` the share of its answers that are right; `f1` their harmonic mean; and `iou`,
    intersection over union, of those that have it as label or answer the share that have both. Each
    is None where it would be 0 / 0: without samples, without answers, or without either. With
    masks a sample is a pixel.
    """

    samples: int
    answers: int
    correct: int
    recall: float | None
    precision: float | None
    f1: float | None
    iou: float | None


def top(counts: Counts, k: int) -> float:
    """The share of labels that are among the k classes with the largest logits."""
    return _percent(sum(counts.ranks[:k]), counts.samples) or 0.0


def top5(counts: Counts) -> float:
    """`top` of five; 100 of five classes or fewer."""
    return top(counts, 5)


def by_class(counts: Counts) -> list[ClassMeasures]:
    """Every class by itself."""
    samples = [sum(row) for row in counts.confusion]
    answers = [sum(column) for column in zip(*counts.confusion, strict=True)]
    right = [row[number] for number, row in enumerate(counts.confusion)]
    return [
        ClassMeasures(
            *(n, m, k, _percent(k, n), _percent(k, m)),
            f1=_percent(2 * k, n + m),
            iou=_percent(k, n + m - k),
        )
        for n, m, k in zip(samples, answers, right, strict=True)
    ]


def macro_f1(counts: Counts) -> float:
    """The mean of the F1 of all classes that have a sample or were an answer."""
    known = [each.f1 for each in by_class(counts) if each.f1 is not None]
    return fmean(known) if known else 0.0


def mean_iou(counts: Counts) -> float:
    """The mean of intersection over union of all classes that have a sample or were an answer.

    Of all pixels of a split together, not image by image, as in the benchmark of PASCAL VOC
    (Everingham et al., IJCV 2010).
    """
    known = [each.iou for each in by_class(counts) if each.iou is not None]
    return fmean(known) if known else 0.0


def calibration_error(counts: Counts) -> float:
    """The expected calibration error: sum over bins of n_b / n |accuracy_b - confidence_b|.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, Eq. 3, with 15 bins.
    """
    gaps = (abs(each.correct - each.confidence) for each in counts.bins)
    return _percent(sum(gaps), counts.samples) or 0.0


METRICS: Mapping[str, Callable[[Counts], float]] = {
    "top5": top5,
    "f1": macro_f1,
    "ece": calibration_error,
    "miou": mean_iou,
}
"""The measures that `train { metrics = [...] }` names."""


def _percent(part: float, whole: int) -> float | None:
    return 100 * part / whole if whole else None
