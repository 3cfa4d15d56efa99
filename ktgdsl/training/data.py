"""The splits of a data set: training, validation and test, on the device or streamed to it."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.heads import ClassNames
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.image_set import MASK, DataSet, ImageSet
from ktgdsl.training.datasets.in_memory import in_memory
from ktgdsl.training.datasets.label_columns import combinations
from ktgdsl.training.datasets.preprocessing import Preprocessing, preprocessing_of
from ktgdsl.training.datasets.read import read
from ktgdsl.training.datasets.stream import ImageStream
from ktgdsl.training.datasets.subsets import keep_labels, stratified, used
from ktgdsl.training.datasets.two_views import check_views
from ktgdsl.training.events import SplitName

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) float32, of uint8 in [0, 1] unless normalised, and labels (B,) int64.

Where samples have several labels, (B, labels); where each pixel has one, masks (B, H, W).
"""


@dataclass(frozen=True)
class Split:
    """Labelled images, all on one device, or streamed to it when they are too many.

    Attributes:
        image: (N, C, H, W) uint8 or float32; with a `stream` a meta tensor, without content.
        label: (N,) int64, -1 where there is none; of masks 0 where some pixel has a label. Where
            samples have several labels, (N, labels).
        white: the value of a uint8 pixel that is 1.0 in a batch.
        preprocessing: of the images.
        stream: reads the images, and their masks, where they are not on the device.
        mask: (N, H, W) int16 on the device, of images whose pixels have labels.
        counted: (N,) bool, the samples whose masks count; None where all do.
    """

    image: Tensor
    label: Tensor
    white: int = 255
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    stream: ImageStream | None = None
    mask: Tensor | None = None
    counted: Tensor | None = None

    def __len__(self) -> int:
        return len(self.label)

    def batch(self, index: Tensor | slice) -> Batch:
        """Samples by index or range, normalised and not augmented.

        Only of a split whose images are on the device.
        """
        image = self.image[index]
        if image.dtype == torch.float32:
            image = image.clone()  # a slice would be a view of the images
        mask = None if self.mask is None else self.mask[index]
        return self.normalized(image), self.labels(index, mask)

    def labels(self, index: Tensor | slice, mask: Tensor | None) -> Tensor:
        """The labels (B,) of samples, or (B, H, W) with their masks, as a batch has them."""
        if mask is None:
            return self.label[index]
        if self.counted is not None:
            mask = mask.masked_fill(~self.counted[index][:, None, None], -1)
        return mask.long()

    def normalized(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) as a network takes them; those of float32 are changed in place."""
        if image.dtype == torch.uint8:
            image = image.float().div_(self.white)
        mean, std = self.preprocessing.mean, self.preprocessing.std
        return image if mean is None or std is None else image.sub_(mean).div_(std)


@dataclass(frozen=True)
class Splits:
    """The splits of a data set. `validation` is None unless the plan holds it out.

    `classes` has the names of the classes, None where unknown.
    """

    train: Split
    validation: Split | None
    test: Split
    classes: ClassNames | None = None

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
        no_masks = torch.empty((0, *test.shape[1:]), dtype=MASK) if test.masked else None
        nothing = replace(test, image=no_images, label=test.label[:0], mask=no_masks)
        data_set = replace(data_set, test=nothing)
    return _splits(data_set, data, seed, device).for_training


def _splits(data_set: DataSet, data: DataPlan, seed: int, device: torch.device) -> Splits:
    data_set, fits_device = in_memory(data_set, data.workers, device)
    train, test = data_set.train, data_set.test
    learned, held_out = torch.arange(len(train)), None
    stratum = combinations(train.label)
    if data.samples is not None:
        learned = learned[used(stratum, data, derive(seed, "samples"))]
    if data.holdout:
        # Only what has a label tells whether an answer is right.
        labeled = learned[stratum[learned] >= 0]
        mask = stratified(stratum[labeled], data.held_out_samples, derive(seed, "validation"))
        held_out = labeled[mask]
        learned = learned[~torch.isin(learned, held_out)]
    label, counted = train.label[learned], None
    if data.labeled_samples is not None:
        kept = keep_labels(stratum[learned], data.labeled_samples, derive(seed, "labeled"))
        counted = (kept == label).to(device) if train.masked else None
        label = label.masked_fill((kept < 0).view(-1, *[1] * (label.ndim - 1)), -1)
    preprocessing = preprocessing_of(data, train, learned, device)
    if data.views > 1 and data.source.name == "python":
        check_views(data, preprocessing, train)

    def split(images: ImageSet, index: Tensor, label: Tensor, *, evaluated: bool = True) -> Split:
        label = label.to(device)
        if fits_device and isinstance(images.image, Tensor):
            chosen = slice(None) if len(index) == len(images) else index
            image = images.image[chosen].to(device)
            mask = None if images.mask is None else images.mask[chosen].to(device)
            return Split(image, label, images.white, preprocessing, mask=mask)
        image = torch.empty((len(index), *images.shape), dtype=images.image.dtype, device="meta")
        lazy = images.lazy.evaluated() if evaluated else images.lazy
        classes = data.classes if lazy.random else None
        stream = ImageStream(lazy, index, data.workers, device.type == "cuda", classes)
        return Split(image, label, images.white, preprocessing, stream)

    return Splits(
        replace(split(train, learned, label, evaluated=False), counted=counted),
        None if held_out is None else split(train, held_out, train.label[held_out]),
        split(test, torch.arange(len(test)), test.label),
        data_set.classes,
    )
