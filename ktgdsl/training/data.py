"""The data of a run: its splits, on the device or streamed to it, and batches drawn from them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets import memory
from ktgdsl.training.datasets.augment import Augment
from ktgdsl.training.datasets.choose import keep_labels, stratified
from ktgdsl.training.datasets.read import read
from ktgdsl.training.datasets.statistics import mean_and_std
from ktgdsl.training.datasets.stored import Parts, Pictures, Rows, Stored
from ktgdsl.training.datasets.stream import Stream, gather
from ktgdsl.training.events import SplitName
from ktgdsl.vocabulary.images import Images
from ktgdsl.vocabulary.registry import entries

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) float32, in [0, 1] unless normalised, and labels (B,) int64."""


@dataclass(frozen=True)
class Look:
    """How a network sees images: augmented while it learns, and normalised always.

    `mean` and `std` are (C, 1, 1) on the device, in units of white; None leaves [0, 1].
    """

    augment: Augment | None = None
    mean: Tensor | None = None
    std: Tensor | None = None


@dataclass(frozen=True)
class Split:
    """Labelled images, all on one device, or streamed to it when they are too many.

    `image` is (N, C, H, W) uint8, `label` (N,) int64, -1 where there is none; a pixel of the
    value `white` is 1.0 in a batch. With a `stream`, which then has the images, `image` is a
    meta tensor: a shape without content.
    """

    image: Tensor
    label: Tensor
    white: int = 255
    look: Look = field(default_factory=Look)
    stream: Stream | None = None

    def __len__(self) -> int:
        return len(self.label)

    def batch(self, chosen: Tensor | slice) -> Batch:
        """The chosen samples, by index or range, as a network takes them, not augmented.

        Of a split whose images are on the device.
        """
        return self.seen(self.image[chosen]), self.label[chosen]

    def seen(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) uint8 as a network takes them."""
        image = image.float().div_(self.white)
        if self.look.mean is None or self.look.std is None:
            return image
        return image.sub_(self.look.mean).div_(self.look.std)


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
    """The splits of a plan's data set, on the device, or streamed to it where they do not fit.

    A held-out validation split is taken from the training samples, stratified, and drawn from
    the seed alone; so are those that keep their label under `labeled`, from what is left.

    Raises:
        RunError: when the data are missing or damaged, or not what the plan says (E508).
    """
    parts, data = read(data)
    return _splits(parts, data, seed, device)


def load_watched(data: DataPlan, seed: int, device: torch.device) -> Watched:
    """`load_splits(...).watched`; the test split is not read unless it is watched."""
    parts, data = read(data)
    if data.holdout:
        nothing = torch.empty((0, *parts.test.shape), dtype=torch.uint8)
        unread = Stored(nothing, parts.test.label[:0], parts.test.white)
        parts = Parts(parts.train, unread)
    return _splits(parts, data, seed, device).watched


def _splits(parts: Parts, data: DataPlan, seed: int, device: torch.device) -> Splits:
    parts, resident = _fetched(parts, data.workers, device)
    learned, held = torch.arange(len(parts.train)), None
    if data.samples is not None:
        mask = stratified(parts.train.label, data.train_samples, derive(seed, "samples"))
        learned = learned[mask]
    if data.holdout:
        label = parts.train.label[learned]
        mask = stratified(label, data.held_samples, derive(seed, "validation"))
        learned, held = learned[~mask], learned[mask]
    label = parts.train.label[learned]
    if data.labeled_samples is not None:
        label = keep_labels(label, data.labeled_samples, derive(seed, "labeled"))
    cut = _Cut(device, resident, data.workers, _look(data, parts.train, learned, device))
    everything = torch.arange(len(parts.test))
    return Splits(
        cut.split(parts.train, learned, label),
        None if held is None else cut.split(parts.train, held, parts.train.label[held]),
        cut.split(parts.test, everything, parts.test.label),
    )


def _fetched(parts: Parts, workers: int, device: torch.device) -> tuple[Parts, bool]:
    """The parts, in the host's memory if they fit there; and whether they fit on the device."""
    size = parts.train.bytes + parts.test.bytes
    if memory.fits(size, torch.device("cpu")):
        parts = Parts(_in_memory(parts.train, workers), _in_memory(parts.test, workers))
    here = isinstance(parts.train.image, Tensor) and isinstance(parts.test.image, Tensor)
    return parts, here and memory.fits(size, device)


def _in_memory(stored: Stored, workers: int) -> Stored:
    if isinstance(stored.image, Tensor):
        return stored
    return Stored(gather(stored.image, workers), stored.label, stored.white)


def _look(data: DataPlan, train: Stored, learned: Tensor, device: torch.device) -> Look:
    """How the networks of a plan see images, by its setting `augment`."""
    if data.augment == "none":
        return Look()
    if data.augment == "paper":
        return Look(Augment(pad=4, flips=True, reflect=True))
    entry = entries("dataset")[data.source.name]
    augment, known = None, None
    if issubclass(entry, Images):
        augment = Augment(entry.pad, entry.flips, reflect=False) if entry.pad else None
        known = entry.mean, entry.std
    mean, std = (
        torch.as_tensor(each, dtype=torch.float32, device=device).view(-1, 1, 1)
        for each in known or mean_and_std(train, learned, data.workers)
    )
    return Look(augment, mean, std)


@dataclass(frozen=True)
class _Cut:
    """Makes splits of what is stored."""

    device: torch.device
    resident: bool
    workers: int
    look: Look

    def split(self, stored: Stored, index: Tensor, label: Tensor) -> Split:
        """The samples at `index`, with these labels."""
        label = label.to(self.device)
        if self.resident:
            assert isinstance(stored.image, Tensor)
            whole = len(index) == len(stored)
            image = (stored.image if whole else stored.image[index]).to(self.device)
            return Split(image, label, stored.white, self.look)
        pictures = stored.image if isinstance(stored.image, Pictures) else Rows(stored.image)
        image = torch.empty((len(index), *stored.shape), dtype=torch.uint8, device="meta")
        stream = Stream(pictures, index, self.workers, pin=self.device.type == "cuda")
        return Split(image, label, stored.white, self.look, stream)


def batches(split: Split, size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """Shuffled whole batches of one epoch, counted from 1, augmented if the split is to be.

    The order depends on the seed, the epoch and the number of samples alone, and so does the
    augmentation, whether the images are streamed or not. The samples that do not fill a batch
    are left out, as in the paper's code; a split that is smaller than a batch is one batch.
    Nothing waits for the device.
    """
    n = len(split)
    size = min(size, n)
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    order = torch.randperm(n, generator=generator)[: n - n % size]
    augment = split.look.augment
    moves = None
    if augment is not None:
        moves = augment.draw(len(order), seed, epoch).to(split.label.device)
    for start, image, label in _drawn(split, order, size):
        if augment is not None and moves is not None:
            image = augment.apply(image, moves[start : start + size])
        yield split.seen(image), label


def batches_in_order(split: Split, size: int) -> Iterator[Batch]:
    """Every sample once, in the order of the split, never augmented; the last batch may be
    smaller.
    """
    if split.stream is None:
        for start in range(0, len(split), size):
            yield split.batch(slice(start, start + size))
    else:
        for _, image, label in _drawn(split, torch.arange(len(split)), size):
            yield split.seen(image), label


def _drawn(split: Split, order: Tensor, size: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The images at `order` (N,), which is on the CPU, in batches: where each begins, and its
    images (B, C, H, W) uint8 and labels (B,) on the device.
    """
    device = split.label.device
    here = order.to(device, non_blocking=True)
    if split.stream is None:
        for start in range(0, len(order), size):
            chosen = here[start : start + size]
            yield start, split.image[chosen], split.label[chosen]
        return
    start = 0
    for image in split.stream.images(order, size):
        chosen = here[start : start + size]
        yield start, image.to(device, non_blocking=True), split.label[chosen]
        start += len(chosen)
