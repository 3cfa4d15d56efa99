"""The images of a user's map-style Dataset; some are read to find out their type and shape."""

from collections.abc import Sequence
from copy import copy
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Subset

from ktgdsl.backend.own_code_errors import describe_with_place
from ktgdsl.backend.seeds import derive
from ktgdsl.errors import warn
from ktgdsl.training.datasets.errors import UnreadableError, warn_of_transparency
from ktgdsl.training.datasets.image_headers import GREY
from ktgdsl.training.datasets.image_set import LazyImages
from ktgdsl.training.datasets.label_columns import label_numbers
from ktgdsl.training.datasets.masks import is_mask, mask_tensor
from ktgdsl.training.datasets.random_states import preserved, seed_all
from ktgdsl.training.datasets.samples import image_tensor, label_number, parts_of

PROBES = 32
"""Samples that are read several times, spread over the Dataset, or as many readings of fewer.

A flip of half of the images goes unseen once in 2³² times, what changes one in four once in 10⁶.
"""


class UserImages(LazyImages):
    """The images of a map-style Dataset, all of one type and, unless `any_size`, of one shape.

    Attributes:
        random: whether a sample differs from one reading to the next, as random augmentation
            does. Then it is drawn from a seed for each sample: that of `drawn` and its number.
        masked: whether the labels are masks, one number for each pixel.
        moving: whether a mask differs from one reading to the next.
    """

    def __init__(
        self, dataset: Any, name: str, *, any_size: bool = False, labels: Sequence[str] = ()
    ) -> None:
        """Read some samples; `name` is what messages call the Dataset.

        `labels` are the names of those that a sample has, where it has several.

        Raises UnreadableError when a sample is not one.
        """
        self._dataset = dataset
        self._draw = 0
        self._any_size = any_size
        self._labels = labels
        count = len(dataset)
        step = max(1, count // PROBES)
        self._probed = range(0, count, step)[:PROBES]
        with preserved():
            samples = [self._parts(i) for i in self._probed]
            self._channels = _channels([image for image, _ in samples])
            if any(map(_is_transparent, (image for image, _ in samples))):
                warn_of_transparency(f"images of {name} have transparent parts", "the first ones")
            self.masked = not labels and any(is_mask(label) for _, label in samples)
            first = self._tensor(samples[0][0], 0)
            self.shape = (first.shape[0], first.shape[1], first.shape[2])
            self.dtype = first.dtype
            self.random = self._differs(name)

    def __len__(self) -> int:
        return len(self._dataset)

    def drawn(self, seed: int) -> "UserImages":
        """The same images with their randomness drawn from this seed."""
        other = copy(self)
        other._draw = seed
        return other

    def __getitem__(self, index: int) -> Tensor:
        return self.sample(index)[0]

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        return self.samples(indices)[0]

    def samples(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The images (B, C, H, W) of some samples and their labels int64, or their masks.

        Labels are (B,), or (B, labels) where samples have several.
        """
        with preserved():
            images, labels = zip(*(self.sample(i) for i in indices), strict=True)
        return torch.stack(images), torch.stack(labels)

    def labels(self, indices: Sequence[int]) -> list[Tensor]:
        """The labels of some samples, () or (labels,) int64, or their masks (H, W) int16."""
        with preserved():
            return [self.sample(i)[1] for i in indices]

    def sample(self, index: int) -> tuple[Tensor, Tensor]:
        """The image of a sample and its labels or mask, -1 where it has none."""
        if self.random:
            seed_all(derive(self._draw, "sample", index))
        image, label = self._parts(index)
        tensor = self._tensor(image, index)
        number = self._label(label, tensor, index)
        same = (tensor.shape[0], *self.shape[1:]) if self._any_size else tensor.shape
        if same != self.shape:
            shape = tuple(tensor.shape)
            raise UnreadableError(
                f"image {index} has the shape {shape}, the first {self.shape}: all have the same, "
                "unless `resize` gives them one size"
            )
        if tensor.dtype != self.dtype:
            raise UnreadableError(f"image {index} is {tensor.dtype}, the first {self.dtype}")
        return tensor, number

    def listed_labels(self) -> list[int] | None:
        """The labels without reading the images, where the Dataset has a list that it gives them
        from: a data set of torchvision, or a Subset of one, that does not transform labels.
        """
        listed = _listed(self._dataset)
        if listed is None or self.masked or self._labels:
            return None
        with preserved():
            read = [label_number(self._parts(i)[1]) for i in self._probed]
        labels = [label_number(each) for each in listed]
        return labels if [labels[i] for i in self._probed] == read else None

    def _differs(self, name: str) -> bool:
        """Whether the samples are random; warns where no seed makes them the same (W302)."""
        repeats = max(1, PROBES // len(self._probed))
        differ = unseeded = False
        for index in self._probed:
            readings = []
            for seed in (0, *range(repeats + 1)):
                seed_all(derive(seed, "probe"))
                image, label = self._parts(index)
                tensor = self._tensor(image, index)
                readings.append((tensor, self._label(label, tensor, index)))
            moving = any(not _equal(readings[0][1], label) for _, label in readings)
            if moving and not self.masked:
                raise UnreadableError(f"the label of sample {index} differs from time to time")
            self.moving = self.moving or moving
            first, again, *others = readings
            unseeded = unseeded or not all(map(_equal, first, again))
            differ = differ or any(not all(map(_equal, first, other)) for other in others)
        if unseeded:
            warn(
                "W302",
                f"{name} gives other images each time although every random stream has the same "
                "seed: no seed repeats a training on them",
                help="draw from `torch`, `numpy.random` or `random`, which are seeded for each "
                "sample, not from a generator of its own",
            )
        return differ or unseeded

    def _parts(self, index: int) -> tuple[Any, Any]:
        try:
            sample = self._dataset[index]
        except Exception as error:
            problem = f"sample {index} cannot be read: {describe_with_place(error)}"
            raise UnreadableError(problem) from error
        try:
            return parts_of(sample, self._labels)
        except UnreadableError as error:
            raise UnreadableError(f"sample {index}: {error}") from error

    def _label(self, label: Any, image: Tensor, index: int) -> Tensor:
        """A label () int64, all (labels,), or the mask (H, W) int16 of an image (C, H, W)."""
        try:
            if self.masked:
                return mask_tensor(label, image.shape[1:])
            return torch.tensor(label_numbers(label, self._labels))
        except UnreadableError as error:
            raise UnreadableError(f"sample {index}: {error}") from error

    def _tensor(self, image: Any, index: int) -> Tensor:
        if self._channels == 1 and isinstance(image, Image.Image) and image.mode not in GREY:
            raise UnreadableError(
                f"image {index} is in colour, and those that were looked at first are grey: "
                "convert all of them to `RGB` or to `L`"
            )
        try:
            return image_tensor(image, self._channels)
        except UnreadableError as error:
            raise UnreadableError(f"image {index}: {error}") from error


def _channels(images: Sequence[Any]) -> int | None:
    """The channels of Pillow images: one if all of them are grey."""
    modes = {image.mode for image in images if isinstance(image, Image.Image)}
    return (1 if modes <= GREY else 3) if modes else None


def _is_transparent(image: Any) -> bool:
    return isinstance(image, Image.Image) and image.has_transparency_data


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _listed(dataset: Any) -> Sequence[Any] | None:
    """The labels that a Dataset of torchvision gives, by their list; None of any other."""
    if type(dataset) is Subset:
        whole = _listed(dataset.dataset)
        return None if whole is None else [whole[i] for i in dataset.indices]
    module = getattr(type(dataset).__getitem__, "__module__", "")
    both = getattr(dataset, "transforms", None)
    own = [getattr(each, "target_transform", None) for each in (dataset, both)]
    if not module.startswith("torchvision.datasets.") or own != [None, None]:
        return None
    if (samples := getattr(dataset, "samples", None)) is not None:
        return [label for _, label in samples]
    targets = getattr(dataset, "targets", None)
    if targets is None:
        targets = getattr(dataset, "labels", None)
    return None if targets is None or len(targets) != len(dataset) else targets
