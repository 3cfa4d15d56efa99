"""Counts the answers of a network over batches, on the device."""

import torch
from torch import Tensor

from ktgdsl.measures.counts import BINS, Bin, Counts


def confusion_matrix(answer: Tensor, label: Tensor, classes: int) -> Tensor:
    """How many samples of each class got each answer.

    Args:
        answer: int64, from 0 to `classes` - 1, of any shape.
        label: int64 of the same shape, -1 where there is none: these count nowhere.
        classes: how many there are.

    Returns:
        (classes, classes) int64: a row for each label, a column for each answer.
    """
    labelled = label >= 0
    pairs = label[labelled] * classes + answer[labelled]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def label_ranks(logits: Tensor, label: Tensor) -> Tensor:
    """At which place the label is when classes are ordered by their logits, from 0.

    Of equal logits the class with the smaller number comes first, as `argmax` has it, and NaN
    counts as the largest.

    Args:
        logits: (N, classes).
        label: (N,) int64, from 0 on.

    Returns:
        (N,) int64.
    """
    logits = logits.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
    own = logits.gather(1, label[:, None])
    before = torch.arange(logits.shape[1], device=label.device) < label[:, None]
    return ((logits > own) | ((logits == own) & before)).sum(dim=1)


class Counter:
    """Adds up the counts of one network. Only `read` waits for the device."""

    def __init__(self, classes: int, device: torch.device | str = "cpu") -> None:
        self._classes = classes
        whole = torch.zeros((), dtype=torch.int64, device=device)
        self._confusion = whole.new_zeros(classes, classes)
        self._ranks = whole.new_zeros(classes)
        self._samples, self._correct = whole.new_zeros(BINS), whole.new_zeros(BINS)
        # MPS has no float64.
        dtype = torch.float32 if torch.device(device).type == "mps" else torch.float64
        self._confidence = torch.zeros(BINS, dtype=dtype, device=device)

    @torch.no_grad()
    def update(self, logits: Tensor, label: Tensor) -> None:
        """Add a batch.

        Args:
            logits: (B, classes, *rest); log p will do.
            label: (B, *rest) int64, -1 where there is none.
        """
        label = label.flatten()
        labelled = label >= 0
        logits = logits.movedim(1, -1).reshape(-1, self._classes)[labelled].float()
        label = label[labelled]
        rank = label_ranks(logits, label)
        self._confusion += confusion_matrix(logits.argmax(dim=1), label, self._classes)
        self._ranks += torch.bincount(rank, minlength=self._classes)
        # A network that gives NaN is sure of nothing.
        sure = logits.softmax(dim=1).amax(dim=1).nan_to_num(0).to(self._confidence.dtype)
        place = ((sure * BINS).ceil().long() - 1).clamp(0, BINS - 1)
        self._samples += torch.bincount(place, minlength=BINS)
        self._correct += torch.bincount(place[rank == 0], minlength=BINS)
        self._confidence.index_add_(0, place, sure)

    def read(self) -> Counts:
        """The counts so far."""
        bins = (self._samples.tolist(), self._correct.tolist(), self._confidence.tolist())
        return Counts(
            confusion=tuple(map(tuple, self._confusion.tolist())),
            ranks=tuple(self._ranks.tolist()),
            bins=tuple(Bin(*each) for each in zip(*bins, strict=True)),
        )
