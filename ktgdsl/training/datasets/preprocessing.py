"""Preprocessing of images: augmentation and normalisation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.augment import Augment
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.image_set import ImageSet
from ktgdsl.training.datasets.statistics import mean_and_std
from ktgdsl.vocabulary.images import Images
from ktgdsl.vocabulary.registry import entries


@dataclass(frozen=True)
class Preprocessing:
    """The augmentation and the normalisation of images.

    Attributes:
        augment: of training images only.
        mean: (C, 1, 1) on the device, where white is 1; None leaves pixels in [0, 1].
        std: as `mean`.
    """

    augment: Augment | None = None
    mean: Tensor | None = None
    std: Tensor | None = None


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


def preprocessing_of(
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
