"""The data set `python("pkg.module:fn", ...)`: reads the result of a function of the user's."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ktgdsl.backend.own_code_errors import place_in_own_code
from ktgdsl.backend.user_code import UnusableError, call_user_function
from ktgdsl.errors import RunError, describe
from ktgdsl.plan.heads import ClassNames
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets import memory
from ktgdsl.training.datasets.errors import UnreadableError, data_error
from ktgdsl.training.datasets.image_set import MASK, DataSet, ImageSet
from ktgdsl.training.datasets.label_columns import check_names, needed, unread_labels
from ktgdsl.training.datasets.masks import is_labeled, mask_tensor, occurring
from ktgdsl.training.datasets.samples import CHANNELS, as_pixels, as_tensor, label_number
from ktgdsl.training.datasets.stream import chunks, load_all, read_batches
from ktgdsl.training.datasets.user_images import UserImages

EXPECTED = (
    "fn(split, ...) gives (images, labels), uint8 or floating-point (samples, channels, height, "
    "width) and whole numbers (samples,), or masks of them (samples, height, width), or a "
    "map-style Dataset of (image, label)"
)


def python_function(data: DataPlan) -> DataSet:
    """The data set that the user's function returns for the splits "train" and "test"."""
    (train, names), (test, _) = _part(data, "train"), _part(data, "test")
    return DataSet(train, test, names)


def _part(data: DataPlan, split: str) -> tuple[ImageSet, ClassNames | None]:
    """The images of a split, and the names of the classes where a Dataset has them."""
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
            return _arrays(*result, data.labels), None
        if (
            isinstance(result, Sized)
            and hasattr(result, "__getitem__")
            and not isinstance(result, tuple | Mapping)
        ):
            name = f'the Dataset of python("{function}") for "{split}"'
            return images_of_dataset(result, name, data), _class_names(result, data.labels)
    except RunError:
        raise
    except Exception as error:
        if place := place_in_own_code(error):  # a Dataset's `__len__`, say
            raise error_of(f'fails for "{split}": {describe(error)}{place}', None) from error
        if isinstance(error, TypeError | ValueError | UnreadableError):
            raise error_of(f'for "{split}": {error}') from error
        raise
    raise error_of(f'gives a {type(result).__name__} for "{split}"')


def _arrays(image: Any, label: Any, names: Sequence[str]) -> ImageSet:
    fix = "images.permute(0, 3, 1, 2)" if isinstance(image, Tensor) else "np.moveaxis(images, 3, 1)"
    image = as_tensor(image)
    if image.ndim and len(image) == 0:
        raise ValueError("there are no samples")
    if image.ndim != 4 or image.shape[1] not in CHANNELS:
        is_last = image.ndim == 4 and image.shape[3] in CHANNELS
        help = f": `{fix}` puts the channels first" if is_last else ""
        raise ValueError(
            f"the images have the shape {tuple(image.shape)}, not (samples, channels, height, "
            f"width) with one channel or three{help}"
        )
    try:
        image = as_pixels(image)
    except UnreadableError as error:
        raise ValueError(f"the images: {error}") from error
    if names:
        if not isinstance(label, Mapping):
            raise ValueError(f"the labels are a {type(label).__name__}: {needed(names)}")
        check_names(label, names)
        columns = [_numbers(_array(label[each], f"labels `{each}`", len(image))) for each in names]
        return ImageSet(image, torch.stack(columns, dim=1))
    if isinstance(label, Mapping):
        raise ValueError(unread_labels("the", label))
    labels = np.asarray(label.detach().cpu() if isinstance(label, Tensor) else label)
    if labels.ndim > 2:
        return _masked(image, labels)
    return ImageSet(image, _numbers(_array(labels, "labels", len(image))))


def _array(label: Any, called: str, count: int) -> Any:
    """Labels (count,) as an array."""
    labels = np.asarray(label.detach().cpu() if isinstance(label, Tensor) else label)
    if labels.shape != (count,):
        raise ValueError(
            f"the {called} are {labels.shape} of {labels.dtype}, not ({count},) whole numbers"
        )
    return labels


def _masked(image: Tensor, labels: Any) -> ImageSet:
    """Images (N, C, H, W) of which each pixel has a label."""
    if len(labels) != len(image):
        raise ValueError(f"there are {len(labels)} masks of {len(image)} images")
    masks = []
    for index, label in enumerate(labels):
        try:
            masks.append(mask_tensor(label, image.shape[2:]))
        except UnreadableError as error:
            raise ValueError(f"sample {index}: {error}") from error
    mask = torch.stack(masks)
    return ImageSet(image, is_labeled(mask), pixel_labels=occurring(mask), mask=mask)


def images_of_dataset(dataset: Any, name: str, data: DataPlan) -> ImageSet:
    """A map-style Dataset: its images are read when they are needed, if they need memory.

    Its labels are those of its samples; the list of them that it may have too is not asked, as
    what a transform of labels makes of it does not show there.
    """
    if len(dataset) == 0:
        raise ValueError("the Dataset is empty")
    images = UserImages(dataset, name, any_size=data.resize is not None, labels=data.labels)
    listed = images.listed_labels()
    if listed is not None:
        return ImageSet(images, torch.tensor(listed))
    pixel = images.shape[0] * images.dtype.itemsize + MASK.itemsize * images.masked
    size = len(images) * pixel * int(np.prod(images.shape[1:]))
    kept = not images.random and data.resize is None and memory.fits(size, torch.device("cpu"))
    if images.masked:
        return _dataset_of_masks(images, kept, data.workers)
    pixels = torch.empty((len(images) if kept else 0, *images.shape), dtype=images.dtype)
    shape = (len(images), len(data.labels)) if data.labels else (len(images),)
    labels = torch.empty(shape, dtype=torch.int64)
    batches = chunks(torch.arange(len(images)))
    read = read_batches(_Samples(images, kept), batches, data.workers)
    for chunk, (label, *image) in zip(batches, read, strict=True):
        labels[chunk] = label
        if kept:
            pixels[chunk] = image[0]
    return ImageSet(pixels if kept else images, labels)


def _dataset_of_masks(images: UserImages, kept: bool, workers: int) -> ImageSet:
    """Images of which each pixel has a label, in memory if they are to be kept."""
    if kept:
        image, mask = load_all(images, workers)
        return ImageSet(image, is_labeled(mask), pixel_labels=occurring(mask), mask=mask)
    labels, numbers = [], []
    for label, number in read_batches(_Masks(images), chunks(torch.arange(len(images))), workers):
        labels.append(label)
        numbers.append(number)
    return ImageSet(images, torch.cat(labels), pixel_labels=occurring(torch.cat(numbers)))


def _class_names(dataset: Any, labels: Sequence[str]) -> ClassNames | None:
    """The attribute `classes` of a Dataset, as those of torchvision have it, or a dict of such."""
    names = getattr(dataset, "classes", None)
    if not labels:
        return _names(names)
    if not isinstance(names, Mapping):
        return None
    found = {label: _names(names.get(label)) for label in labels}
    return {label: each for label, each in found.items() if each is not None} or None


def _names(names: Any) -> tuple[str, ...] | None:
    named = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return tuple(names) if named and names else None


class _Samples(Dataset[Any]):
    """Labels, and if they are to be kept images too."""

    def __init__(self, images: UserImages, kept: bool) -> None:
        self._images = images
        self._kept = kept

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        if not self._kept:
            return (torch.stack(self._images.labels(indices)),)
        images, labels = self._images.samples(indices)
        return labels, images

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return self.__getitems__([index])


class _Masks(Dataset[Any]):
    """Whether each mask has labels, and which occur: of masks that may differ in size."""

    def __init__(self, images: UserImages) -> None:
        self._images = images

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        masks = self._images.labels(indices)
        labels = torch.cat([is_labeled(mask[None]) for mask in masks])
        return labels, occurring(torch.cat([mask.flatten() for mask in masks]))


def _numbers(labels: Any) -> Tensor:
    """Labels (N,) as int64. Raises ValueError for one that is not a whole number."""
    if labels.dtype.kind in "iub":
        return torch.from_numpy(labels.astype(np.int64))
    numbers = []
    for index, label in enumerate(labels):
        try:
            numbers.append(label_number(label))
        except UnreadableError as error:
            raise ValueError(f"sample {index}: {error}") from error
    return torch.tensor(numbers)
