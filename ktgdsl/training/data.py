"""The data of a run: its splits, whole on the device as bytes, and batches drawn from them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ktgdsl.errors import RunError
from ktgdsl.language.diagnostic import Diagnostic
from ktgdsl.plan.model import DataPlan
from ktgdsl.torch_backend.seeds import derive
from ktgdsl.training import digits
from ktgdsl.training.events import SplitName

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) float32 in [0, 1], and labels (B,) int64."""


@dataclass(frozen=True)
class Split:
    """Labelled images, all on one device.

    `image` is (N, C, H, W) uint8, `label` (N,) int64; a pixel of the value `white` is 1.0
    in a batch.
    """

    image: Tensor
    label: Tensor
    white: int = 255

    def __len__(self) -> int:
        return len(self.label)

    def batch(self, chosen: Tensor | slice) -> Batch:
        """The chosen samples, by index or range, as a network takes them."""
        return self.image[chosen].float().div_(self.white), self.label[chosen]

    def to(self, device: torch.device) -> "Split":
        """The same samples on another device."""
        return Split(self.image.to(device), self.label.to(device), self.white)


@dataclass(frozen=True)
class Splits:
    """The splits of a data set. `validation` is None unless the plan holds it out."""

    train: Split
    validation: Split | None
    test: Split

    @property
    def watched(self) -> "Watched":
        """The validation split where one is held out, else the test split."""
        if self.validation is None:
            return Watched(self.train, "test", self.test)
        return Watched(self.train, "validation", self.validation)


@dataclass(frozen=True)
class Watched:
    """All that the epochs of a training see: what is learned, and what is measured after each."""

    train: Split
    name: SplitName
    split: Split


def load_splits(data: DataPlan, seed: int, device: torch.device) -> Splits:
    """The splits of a plan's data set, on the device.

    A held-out validation split is taken from the training samples, stratified, and drawn
    from the seed alone.

    Raises:
        RunError: when there is no such data set or augmentation yet (E901).
    """
    whole = _read(data)
    train, validation = _hold_out(whole.train, data, seed)
    held = None if validation is None else validation.to(device)
    return Splits(train.to(device), held, whole.test.to(device))


def load_watched(data: DataPlan, seed: int, device: torch.device) -> Watched:
    """`load_splits(...).watched`; the test split stays off the device unless it is watched."""
    whole = _read(data)
    train, validation = _hold_out(whole.train, data, seed)
    watched = Splits(train, validation, whole.test).watched
    return Watched(watched.train.to(device), watched.name, watched.split.to(device))


def _read(data: DataPlan) -> Splits:
    """The data set in its own two parts."""
    if data.source.name != "digits":
        raise RunError([_not_yet(f"the data set {data.source}", "use `digits`")])
    if data.augment != "none":
        raise RunError([_not_yet(f"the augmentation {data.augment}", "use `augment = none`")])
    image, label = digits.read()
    n = digits.TRAIN_SAMPLES
    train = Split(image[:n], label[:n], digits.WHITE)
    return Splits(train, None, Split(image[n:], label[n:], digits.WHITE))


def _hold_out(train: Split, data: DataPlan, seed: int) -> tuple[Split, Split | None]:
    """What is left to learn, and what is held out."""
    if not data.holdout:
        return train, None
    held = _stratified(train.label, data.held_samples, derive(seed, "validation"))
    return (
        Split(train.image[~held], train.label[~held], train.white),
        Split(train.image[held], train.label[held], train.white),
    )


def batches(split: Split, size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """Shuffled whole batches of one epoch, counted from 1.

    The order depends on the seed, the epoch and the number of samples alone. The samples
    that do not fill a batch are left out, as in the paper's code; a split that is smaller
    than a batch is one batch. Nothing waits for the device.
    """
    n = len(split)
    size = min(size, n)
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    order = torch.randperm(n, generator=generator).to(split.label.device, non_blocking=True)
    for start in range(0, n - size + 1, size):
        yield split.batch(order[start : start + size])


def batches_in_order(split: Split, size: int) -> Iterator[Batch]:
    """Every sample once, in the order of the split; the last batch may be smaller."""
    for start in range(0, len(split), size):
        yield split.batch(slice(start, start + size))


def _stratified(label: Tensor, count: int, seed: int) -> Tensor:
    """A mask (N,) of `count` samples, each class with its share of them to within one.

    Largest remainders: a class gets its share rounded down, and what is left goes to the
    classes with the greatest fractions, the first of equals first.
    """
    members = [(label == value).nonzero().flatten() for value in sorted(set(label.tolist()))]
    shares = [divmod(count * len(each), len(label)) for each in members]
    left = count - sum(whole for whole, _ in shares)
    favoured = sorted(range(len(shares)), key=lambda i: shares[i][1], reverse=True)[:left]
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(label), dtype=torch.bool)
    for i, each in enumerate(members):
        order = torch.randperm(len(each), generator=generator)
        held[each[order[: shares[i][0] + (i in favoured)]]] = True
    return held


def _not_yet(what: str, instead: str) -> Diagnostic:
    return Diagnostic("E901", f"{what} is not supported yet", help=instead)
