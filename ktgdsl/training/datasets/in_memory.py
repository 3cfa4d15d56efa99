"""Loads the images of a data set into memory, if they fit."""

from dataclasses import replace

import torch
from torch import Tensor

from ktgdsl.training.datasets import memory
from ktgdsl.training.datasets.image_set import DataSet, ImageSet
from ktgdsl.training.datasets.stream import load_all


def in_memory(data_set: DataSet, workers: int, device: torch.device) -> tuple[DataSet, bool]:
    """The data set, in the host's memory if it fits there; and whether that fits on the device."""
    parts = [data_set.train, data_set.test]
    size = sum(each.bytes for each in parts if not each.random)
    if memory.fits(size, torch.device("cpu")):
        train, test = (_read(each, workers) for each in parts)
        data_set = replace(data_set, train=train, test=test)
    return data_set, memory.fits(size, device)


def _read(images: ImageSet, workers: int) -> ImageSet:
    """The images in memory, except those that are drawn anew whenever they are read."""
    if isinstance(images.image, Tensor) or images.random:
        return images
    image, *masks = load_all(images.image, workers)
    return replace(images, image=image, mask=masks[0] if masks else None)
