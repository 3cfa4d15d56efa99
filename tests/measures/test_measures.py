"""Counts and measures against closed forms, NumPy and torchmetrics."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ktgdsl.measures.classification import (
    by_class,
    calibration_error,
    macro_f1,
    mean_iou,
    top,
    top5,
)
from ktgdsl.measures.counter import Counter, confusion_matrix, label_ranks
from ktgdsl.measures.counts import BINS, Bin, Counts


def counted(logits: Tensor, label: Tensor, classes: int | None = None) -> Counts:
    counter = Counter(classes or logits.shape[1])
    counter.update(logits, label)
    return counter.read()


def drawn(n: int = 300, classes: int = 7, scale: float = 2.0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(classes)
    label = torch.randint(classes, (n,), generator=random)
    logits = scale * torch.randn(n, classes, generator=random)
    logits[torch.arange(n), label] += 1
    return logits, label


def answers(*wanted: int, classes: int = 3) -> Tensor:
    return 4 * torch.nn.functional.one_hot(torch.tensor(wanted), classes).float()


def test_confusion_has_a_row_for_each_label() -> None:
    answer, label = torch.tensor([0, 1, 1, 2, 0]), torch.tensor([0, 1, 0, 0, -1])
    assert confusion_matrix(answer, label, 3).tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]


def test_confusion_counts_pixels_as_it_counts_samples() -> None:
    answer, label = torch.tensor([[[0, 1], [1, 1]]]), torch.tensor([[[0, 0], [1, -1]]])
    assert confusion_matrix(answer, label, 2).tolist() == [[1, 1], [0, 1]]


def test_counts_of_pixels_are_those_of_as_many_samples() -> None:
    logits, label = drawn(24, 3)
    pixels = logits.reshape(2, 3, 4, 3).movedim(-1, 1)
    assert counted(pixels, label.reshape(2, 3, 4), 3) == counted(logits, label)


def test_of_equal_logits_the_smaller_class_comes_first() -> None:
    logits = torch.tensor([[1.0, 1.0, 1.0, 0.0]]).expand(4, 4)
    assert label_ranks(logits, torch.arange(4)).tolist() == [0, 1, 2, 3]
    assert top(counted(logits, torch.arange(4)), 2) == 50.0


def test_infinite_logits_have_their_place_and_nan_the_first() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, torch.inf], [0.0, torch.nan, torch.inf]])
    assert label_ranks(logits, torch.tensor([0, 0])).tolist() == [2, 2]
    assert label_ranks(logits, torch.tensor([2, 1])).tolist() == [0, 0]


def test_top_5_of_fewer_than_five_classes_is_everything() -> None:
    counts = counted(answers(0, 0, 0), torch.tensor([0, 1, 2]))
    assert (top(counts, 1), top(counts, 2), top5(counts)) == (100 / 3, 200 / 3, 100.0)


def test_a_class_without_samples_or_answers_has_no_measures_and_is_in_no_mean() -> None:
    # Class 1 is answered once and has no sample, class 3 has a sample and no answer, 4 has neither.
    counts = counted(answers(0, 0, 1, 0, classes=5), torch.tensor([0, 0, 0, 3]))
    zero, one, two, three, four = by_class(counts)
    assert zero == (3, 3, 2, 200 / 3, 200 / 3, 200 / 3, 50.0)
    assert one == (0, 1, 0, None, 0.0, 0.0, 0.0)
    assert three == (1, 0, 0, 0.0, None, 0.0, 0.0)
    assert two == four == (0, 0, 0, None, None, None, None)
    assert macro_f1(counts) == pytest.approx(200 / 3 / 3)
    assert mean_iou(counts) == pytest.approx(50 / 3)


def test_samples_without_a_label_count_nowhere() -> None:
    logits, label = drawn(60)
    without = torch.cat([label, -torch.ones_like(label)])
    assert counted(torch.cat([logits, logits.flip(0)]), without) == counted(logits, label)


def test_nothing_is_measured_of_no_label() -> None:
    counts = counted(answers(0, 1), torch.tensor([-1, -1]))
    assert counts.samples == 0
    assert (top(counts, 1), macro_f1(counts), calibration_error(counts)) == (0, 0, 0)


def test_batches_add_up_and_so_do_counts() -> None:
    logits, label = drawn()
    counter = Counter(7)
    for part in (slice(100), slice(100, 300)):
        counter.update(logits[part], label[part])
    whole, parts = counted(logits, label), counter.read()
    added = counted(logits[:100], label[:100]) + counted(logits[100:], label[100:])
    for each in (parts, added):
        assert (each.confusion, each.ranks) == (whole.confusion, whole.ranks)
        assert np.allclose(each.bins, whole.bins, rtol=1e-12)


def test_calibration_error_by_hand() -> None:
    # Probabilities 0.9 (right), 0.9 (wrong) and 0.65 (right): |1 - 1.8| + |1 - 0.65|, by 3.
    p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.65, 0.35]], dtype=torch.float64)
    counts = counted(p.log(), torch.tensor([0, 1, 0]))
    assert calibration_error(counts) == pytest.approx(100 * (0.8 + 0.35) / 3, abs=1e-5)
    filled = {number: each for number, each in enumerate(counts.bins) if each.samples}
    assert {number: each[:2] for number, each in filled.items()} == {9: (1, 1), 13: (2, 1)}


def test_full_confidence_is_in_the_last_bin_and_nan_in_the_first() -> None:
    logits = torch.tensor([[500.0, 0.0], [torch.nan, 0.0]])
    counts = counted(logits, torch.tensor([0, 1]))
    assert counts.bins[BINS - 1] == Bin(1, 1, 1.0)
    assert counts.bins[0] == Bin(1, 0, 0.0)


def numpy_measures(logits: Any, label: Any) -> tuple[float, float, float, float]:
    """Top-1, top-5, macro F1 and calibration error in percent, in NumPy."""
    order = np.argsort(-logits, axis=1, kind="stable")
    hit = order == label[:, None]
    answer = order[:, 0]
    f1 = []
    for c in np.union1d(label, answer):
        right = np.sum((label == c) & (answer == c))
        f1.append(2 * right / (np.sum(label == c) + np.sum(answer == c)))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    sure = (p / p.sum(axis=1, keepdims=True)).max(axis=1)
    place = np.digitize(sure, np.linspace(0, 1, BINS + 1), right=True)
    error = sum(abs(np.sum((hit[:, 0] - sure)[place == b])) for b in np.unique(place))
    return tuple(
        100 * each for each in (hit[:, 0].mean(), hit[:, :5].any(1).mean(), np.mean(f1),
                                error / len(label))
    )  # fmt: skip


@pytest.mark.parametrize("classes", [2, 7, 30])
def test_measures_are_those_of_numpy(classes: int) -> None:
    logits, label = drawn(300, classes)
    counts = counted(logits, label)
    measured = top(counts, 1), top5(counts), macro_f1(counts), calibration_error(counts)
    assert measured == pytest.approx(numpy_measures(logits.double().numpy(), label.numpy()))


@pytest.mark.parametrize("classes", [7, 30])
def test_measures_are_those_of_torchmetrics(classes: int) -> None:
    oracle = pytest.importorskip("torchmetrics.functional.classification")
    logits, label = drawn(300, classes)
    counts = counted(logits, label)
    of_torchmetrics = [
        oracle.multiclass_accuracy(logits, label, classes, average="micro"),
        oracle.multiclass_accuracy(logits, label, classes, average="micro", top_k=5),
        oracle.multiclass_f1_score(logits, label, classes, average="macro"),
        oracle.multiclass_calibration_error(logits, label, classes, n_bins=BINS),
    ]
    measured = top(counts, 1), top5(counts), macro_f1(counts), calibration_error(counts)
    assert measured == pytest.approx([100 * each.item() for each in of_torchmetrics], abs=1e-4)
    matrix = oracle.multiclass_confusion_matrix(logits, label, classes)
    assert matrix.tolist() == [list(row) for row in counts.confusion]
    recalls = oracle.multiclass_recall(logits, label, classes, average="none")
    precisions = oracle.multiclass_precision(logits, label, classes, average="none")
    f1 = oracle.multiclass_f1_score(logits, label, classes, average="none")
    for each, *expected in zip(by_class(counts), recalls, precisions, f1, strict=True):
        ours = [value or 0.0 for value in (each.recall, each.precision, each.f1)]
        assert ours == pytest.approx([100 * value.item() for value in expected], abs=1e-4)
