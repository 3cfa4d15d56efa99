"""`python("pkg.module:fn", ...)`: arrays or map-style Datasets that the user's code gives."""

from collections.abc import Sized
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ktgdsl.backend.user_code import UnusableError, call, told
from ktgdsl.errors import RunError
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.pictures import pixels
from ktgdsl.training.datasets.problem import unusable
from ktgdsl.training.datasets.stored import Parts, Pictures, Stored, UnreadableError

WANTED = (
    "fn(split, ...) gives (images, labels), uint8 (samples, channels, height, width) and whole "
    "numbers (samples,), or a map-style Dataset of (image, label)"
)


def own(data: DataPlan) -> Parts:
    """What the user's callable gives for the splits "train" and "test"."""
    return Parts(_part(data, "train"), _part(data, "test"))


def _part(data: DataPlan, split: str) -> Stored:
    arguments = dict(data.source.arguments)
    place = str(arguments.pop("function"))

    def unfit(problem: str, help: str | None = WANTED) -> RunError:
        return unusable(f'the data python("{place}") {problem}', help)

    try:
        made = call(place, data.root, split, **arguments)
    except UnusableError as error:
        raise unfit(str(error), error.help) from error
    try:
        if isinstance(made, tuple) and len(made) == 2:
            return _arrays(*made)
        if isinstance(made, Sized) and hasattr(made, "__getitem__") and not isinstance(made, tuple):
            return _dataset(made)
    except (TypeError, ValueError, UnreadableError) as error:
        raise unfit(f'for "{split}": {error}') from error
    raise unfit(f'gives a {type(made).__name__} for "{split}"')


def _arrays(image: Any, label: Any) -> Stored:
    image = torch.as_tensor(image)
    if image.dtype != torch.uint8:
        raise TypeError(f"the images are {image.dtype}, not uint8 from 0 to 255")
    if image.ndim != 4 or image.shape[1] not in (1, 3) or len(image) == 0:
        raise ValueError(
            f"the images have the shape {tuple(image.shape)}, not (samples, channels, height, "
            "width) with one channel or three"
        )
    found = torch.as_tensor(np.asarray(label))
    if found.dtype.is_floating_point or found.dtype == torch.bool or found.shape != image.shape[:1]:
        raise ValueError(
            f"the labels are {tuple(found.shape)} of {found.dtype}, not ({len(image)},) whole "
            "numbers"
        )
    return Stored(image.cpu(), found.to("cpu", torch.int64))


def _dataset(dataset: Any) -> Stored:
    if len(dataset) == 0:
        raise ValueError("the Dataset is empty")
    items = _Items(dataset)
    targets = getattr(dataset, "targets", None)
    if targets is None or len(targets) != len(dataset):
        targets = [items.label(i) for i in range(len(dataset))]
    return Stored(items, torch.as_tensor([int(each) for each in targets], dtype=torch.int64))


class _Items(Pictures):
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
        """The label of a sample, for which it has to be read."""
        return int(self._item(index)[1])

    def _item(self, index: int) -> tuple[Any, Any]:
        try:
            image, label = self._dataset[index]
        except Exception as error:
            raise UnreadableError(f"sample {index} cannot be read ({told(error)})") from error
        return image, label


def _image(image: Any, index: int) -> Tensor:
    """A Pillow image or uint8 tensor (C, H, W) as the latter."""
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
