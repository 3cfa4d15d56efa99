"""The splits of a data set, on the device or streamed to it, and batches drawn from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets import memory
from ktgdsl.training.datasets.augment import Augment
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.image_set import DataSet, ImageSet
from ktgdsl.training.datasets.read import read
from ktgdsl.training.datasets.statistics import mean_and_std
from ktgdsl.training.datasets.stream import ImageStream, load_all
from ktgdsl.training.datasets.subsets import keep_labels, stratified
from ktgdsl.training.events import SplitName
from ktgdsl.vocabulary.images import Images
from ktgdsl.vocabulary.registry import entries

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) float32, of uint8 in [0, 1] unless normalised, and labels (B,) int64."""


@dataclass(frozen=True)
class Preprocessing:
    """What is done to images before a network sees them.

    Attributes:
        augment: of training images only.
        mean: (C, 1, 1) on the device, where white is 1; None leaves pixels in [0, 1].
        std: as `mean`.
    """

    augment: Augment | None = None
    mean: Tensor | None = None
    std: Tensor | None = None


@dataclass(frozen=True)
class Split:
    """Labelled images, all on one device, or streamed to it when they are too many.

    Attributes:
        image: (N, C, H, W) uint8 or float32; with a `stream` a meta tensor, without content.
        label: (N,) int64, -1 where there is none.
        white: the value of a uint8 pixel that is 1.0 in a batch.
        preprocessing: of the images.
        stream: reads the images where they are not on the device.
    """

    image: Tensor
    label: Tensor
    white: int = 255
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    stream: ImageStream | None = None

    def __len__(self) -> int:
        return len(self.label)

    def batch(self, index: Tensor | slice) -> Batch:
        """Samples by index or range, normalised and not augmented.

        Only of a split whose images are on the device.
        """
        image = self.image[index]
        if image.dtype == torch.float32:
            image = image.clone()  # a slice would be a view of the images
        return self.normalized(image), self.label[index]

    def normalized(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) as a network takes them; those of float32 are changed in place."""
        if image.dtype == torch.uint8:
            image = image.float().div_(self.white)
        mean, std = self.preprocessing.mean, self.preprocessing.std
        return image if mean is None or std is None else image.sub_(mean).div_(std)


@dataclass(frozen=True)
class Splits:
    """The splits of a data set. `validation` is None unless the plan holds it out.

    `classes` has the names of the classes in the order of their numbers, None where unknown.
    """

    train: Split
    validation: Split | None
    test: Split
    classes: tuple[str, ...] | None = None

    @property
    def for_training(self) -> "TrainingData":
        """The training split with the validation split if one is held out, else the test split."""
        if self.validation is None:
            return TrainingData(self.train, "test", self.test)
        return TrainingData(self.train, "validation", self.validation)


@dataclass(frozen=True)
class TrainingData:
    """The data that epochs need: those to learn, and those to evaluate on after each epoch."""

    train: Split
    evaluation_name: SplitName
    evaluation: Split


def load_splits(data: DataPlan, seed: int, device: torch.device) -> Splits:
    """The splits of a plan's data set, on the device, or streamed to it where they do not fit.

    A held-out validation split is taken from the training samples, stratified, and drawn from
    the seed alone; so are those that keep their label under `labeled`, from what is left.

    Raises:
        RunError: when the data are missing or damaged, or not what the plan says (E508).
    """
    data_set, data = read(data)
    return _splits(data_set, data, seed, device)


def load_training_data(data: DataPlan, seed: int, device: torch.device) -> TrainingData:
    """`load_splits(...).for_training`; the test split is not read unless it is evaluated."""
    data_set, data = read(data)
    if data.holdout:
        test = data_set.test
        no_images = torch.empty((0, *test.shape), dtype=torch.uint8)
        nothing = ImageSet(no_images, test.label[:0], test.white)
        data_set = replace(data_set, test=nothing)
    return _splits(data_set, data, seed, device).for_training


def _splits(data_set: DataSet, data: DataPlan, seed: int, device: torch.device) -> Splits:
    data_set, fits_device = _loaded(data_set, data.workers, device)
    train, test = data_set.train, data_set.test
    learned, held_out = torch.arange(len(train)), None
    if data.samples is not None:
        learned = learned[_used(train.label, data, derive(seed, "samples"))]
    if data.holdout:
        # Only what has a label tells whether an answer is right.
        labeled = learned[train.label[learned] >= 0]
        mask = stratified(train.label[labeled], data.held_samples, derive(seed, "validation"))
        held_out = labeled[mask]
        learned = learned[~torch.isin(learned, held_out)]
    label = train.label[learned]
    if data.labeled_samples is not None:
        label = keep_labels(label, data.labeled_samples, derive(seed, "labeled"))
    preprocessing = _preprocessing(data, train, learned, device)

    def split(images: ImageSet, index: Tensor, label: Tensor, *, evaluated: bool = True) -> Split:
        label = label.to(device)
        if fits_device and isinstance(images.image, Tensor):
            whole = len(index) == len(images)
            image = (images.image if whole else images.image[index]).to(device)
            return Split(image, label, images.white, preprocessing)
        image = torch.empty((len(index), *images.shape), dtype=images.image.dtype, device="meta")
        lazy = images.lazy.evaluated() if evaluated else images.lazy
        stream = ImageStream(lazy, index, data.workers, pin=device.type == "cuda")
        return Split(image, label, images.white, preprocessing, stream)

    return Splits(
        split(train, learned, label, evaluated=False),
        None if held_out is None else split(train, held_out, train.label[held_out]),
        split(test, torch.arange(len(test)), test.label),
        data_set.classes,
    )


def _used(label: Tensor, data: DataPlan, seed: int) -> Tensor:
    """A mask (N,) of the training samples that the plan uses, of those without a label as well."""
    labeled = label >= 0
    mask = torch.zeros_like(labeled)
    for part, count in (
        (labeled, data.labeled_train_samples),
        (~labeled, data.train_samples - data.labeled_train_samples),
    ):
        if bool(part.any()):
            mask[part] = stratified(label[part], count, seed)
    return mask


def _loaded(data_set: DataSet, workers: int, device: torch.device) -> tuple[DataSet, bool]:
    """The data set, in the host's memory if it fits there; and whether that fits on the device."""
    parts = [data_set.train, data_set.test]
    size = sum(each.bytes for each in parts if not each.random)
    if memory.fits(size, torch.device("cpu")):
        train, test = (_in_memory(each, workers) for each in parts)
        data_set = replace(data_set, train=train, test=test)
    return data_set, memory.fits(size, device)


def _in_memory(images: ImageSet, workers: int) -> ImageSet:
    """The images in memory, except those that are drawn anew whenever they are read."""
    if isinstance(images.image, Tensor) or images.random:
        return images
    return ImageSet(load_all(images.image, workers), images.label, images.white)


def augmentation(data: DataPlan) -> Augment | None:
    """The augmentation of training images, by the plan's setting `augment`."""
    if data.augment == "none":
        return None
    if data.augment == "paper":
        return Augment(pad=4, flips=True, reflect=True)
    entry = entries("dataset")[data.source.name]
    if issubclass(entry, Images) and entry.pad:
        return Augment(entry.pad, entry.flips, reflect=False)
    return None


def _preprocessing(
    data: DataPlan, train: ImageSet, learned: Tensor, device: torch.device
) -> Preprocessing:
    """The preprocessing by the plan: `mean` and `std` normalise, and so does `standard`."""
    augment = augmentation(data)
    entry = entries("dataset")[data.source.name]
    if data.mean is not None and data.std is not None:
        known: Sequence[Sequence[float] | Tensor] = data.mean, data.std
        _require_channels(data, train.shape[0])
    elif data.augment != "standard":
        return Preprocessing(augment)
    elif issubclass(entry, Images):
        known = entry.mean, entry.std
    else:
        known = mean_and_std(train, learned, data.workers)
    mean, std = (
        torch.as_tensor(each, dtype=torch.float32, device=device).view(-1, 1, 1) for each in known
    )
    return Preprocessing(augment, mean, std)


def _require_channels(data: DataPlan, channels: int) -> None:
    """Raise RunError (E508) unless `mean` and `std` are of one number or one a channel."""
    for name, numbers in (("mean", data.mean), ("std", data.std)):
        if numbers is not None and len(numbers) not in (1, channels):
            raise data_error(
                f"`{name}` has {len(numbers)} numbers, and the images of {data.source} have "
                f"{channels} channel{'s' * (channels > 1)}"
            )


def batches(
    split: Split, size: int, seed: int, epoch: int, *, drop_last: bool = True
) -> Iterator[Batch]:
    """`numbered_batches` without the numbers of the samples."""
    drawn = numbered_batches(split, size, seed, epoch, drop_last=drop_last)
    return ((image, label) for image, label, _ in drawn)


def numbered_batches(
    split: Split, size: int, seed: int, epoch: int, *, drop_last: bool = True
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Shuffled batches of one epoch, counted from 1, augmented if the split is to be.

    Each is images, labels and the numbers of the samples: (B,) int64, positions in the split.

    The order depends on the seed, the epoch and the number of samples alone, and so do the
    augmentation and what is random in a user's Dataset, whether the images are streamed or not.
    The samples that do not fill a batch are left out, as in the paper's code, or with
    `drop_last=False` are a smaller last batch; a split that is smaller than a batch is one batch.
    Nothing waits for the device.
    """
    n = len(split)
    size = min(size, n)
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    order = torch.randperm(n, generator=generator)
    if drop_last:
        order = order[: n - n % size]
    augment, draws = split.preprocessing.augment, None
    if augment is not None:
        draws = augment.draw(len(order), seed, epoch).to(split.label.device)
    draw = derive(seed, "read", epoch)
    for start, image, chosen in _raw_batches(split, order, size, draw):
        if augment is not None and draws is not None:
            image = augment.apply(image, draws[start : start + size])
        yield split.normalized(image), split.label[chosen], chosen


def batches_in_order(split: Split, size: int) -> Iterator[Batch]:
    """Every sample once, in the order of the split, never augmented; the last batch may be
    smaller. What is random in a user's Dataset is the same each time.
    """
    if split.stream is None:
        for start in range(0, len(split), size):
            yield split.batch(slice(start, start + size))
    else:
        for _, image, chosen in _raw_batches(split, torch.arange(len(split)), size):
            yield split.normalized(image), split.label[chosen]


def _raw_batches(
    split: Split, order: Tensor, size: int, draw: int = 0
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The samples at `order` (N,), which is on the CPU, in batches: the position of the first,
    images (B, C, H, W) and their positions in the split (B,) on the device. `draw` seeds what is
    random in the images.
    """
    device = split.label.device
    index = order.to(device, non_blocking=True)
    if split.stream is None:
        for start in range(0, len(order), size):
            chosen = index[start : start + size]
            yield start, split.image[chosen], chosen
        return
    start = 0
    for image in split.stream.images(order, size, draw):
        chosen = index[start : start + size]
        yield start, image.to(device, non_blocking=True), chosen
        start += len(chosen)
