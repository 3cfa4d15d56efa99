"""The data set `python("pkg.module:fn", ...)`: what a function of the user's returns."""

from collections.abc import Sized
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ktgdsl.backend.user_code import UnusableError, call_user_function, describe
from ktgdsl.errors import RunError
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.image_files import pixels
from ktgdsl.training.datasets.image_set import DataSet, ImageSet, LazyImages, UnreadableError

EXPECTED = (
    "fn(split, ...) gives (images, labels), uint8 (samples, channels, height, width) and whole "
    "numbers (samples,), or a map-style Dataset of (image, label)"
)


def python_function(data: DataPlan) -> DataSet:
    """What the user's function returns for the splits "train" and "test"."""
    return DataSet(_part(data, "train"), _part(data, "test"))


def _part(data: DataPlan, split: str) -> ImageSet:
    arguments = dict(data.source.arguments)
    function = str(arguments.pop("function"))

    def error_of(problem: str, help: str | None = EXPECTED) -> RunError:
        return data_error(f'the data python("{function}") {problem}', help)

    try:
        result = call_user_function(function, data.root, split, **arguments)
    except UnusableError as error:
        raise error_of(str(error), error.help) from error
    try:
        if isinstance(result, tuple) and len(result) == 2:
            return _arrays(*result)
        if (
            isinstance(result, Sized)
            and hasattr(result, "__getitem__")
            and not isinstance(result, tuple)
        ):
            return _dataset(result)
    except (TypeError, ValueError, UnreadableError) as error:
        raise error_of(f'for "{split}": {error}') from error
    raise error_of(f'gives a {type(result).__name__} for "{split}"')


def _arrays(image: Any, label: Any) -> ImageSet:
    image = torch.as_tensor(image)
    if image.dtype != torch.uint8:
        raise TypeError(f"the images are {image.dtype}, not uint8 from 0 to 255")
    if image.ndim != 4 or image.shape[1] not in (1, 3) or len(image) == 0:
        raise ValueError(
            f"the images have the shape {tuple(image.shape)}, not (samples, channels, height, "
            "width) with one channel or three"
        )
    labels = torch.as_tensor(np.asarray(label))
    if (
        labels.dtype.is_floating_point
        or labels.dtype == torch.bool
        or labels.shape != image.shape[:1]
    ):
        raise ValueError(
            f"the labels are {tuple(labels.shape)} of {labels.dtype}, not ({len(image)},) whole "
            "numbers"
        )
    return ImageSet(image.cpu(), labels.to("cpu", torch.int64))


def _dataset(dataset: Any) -> ImageSet:
    if len(dataset) == 0:
        raise ValueError("the Dataset is empty")
    items = _DatasetImages(dataset)
    targets = getattr(dataset, "targets", None)
    if targets is None or len(targets) != len(dataset):
        targets = [items.label(i) for i in range(len(dataset))]
    return ImageSet(items, torch.as_tensor([int(each) for each in targets], dtype=torch.int64))


class _DatasetImages(LazyImages):
    """The images of a map-style Dataset, all of the shape of the first."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        _, height, width = shape = _image(self._item(0)[0], 0).shape
        self.shape = (shape[0], height, width)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Tensor:
        image = _image(self._item(index)[0], index)
        if image.shape != self.shape:
            shape = tuple(image.shape)
            raise UnreadableError(f"image {index} has the shape {shape}, the first {self.shape}")
        return image

    def label(self, index: int) -> int:
        """The label of a sample; the sample is read for it."""
        return int(self._item(index)[1])

    def _item(self, index: int) -> tuple[Any, Any]:
        try:
            image, label = self._dataset[index]
        except Exception as error:
            raise UnreadableError(f"sample {index} cannot be read ({describe(error)})") from error
        return image, label


def _image(image: Any, index: int) -> Tensor:
    """A Pillow image or a uint8 tensor (C, H, W), as such a tensor."""
    if isinstance(image, Image.Image):
        return pixels(image)
    if not isinstance(image, Tensor):
        kind = type(image).__name__
        raise UnreadableError(f"image {index} is a {kind}, not a Pillow image or a tensor")
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] not in (1, 3):
        raise UnreadableError(
            f"image {index} is {tuple(image.shape)} of {image.dtype}, not (channels, height, "
            "width) of uint8: leave out what makes floating-point numbers of it"
        )
    return image
