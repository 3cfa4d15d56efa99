"""The data set `folder("path", labels=masks)`: the user's images, and a mask of each."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import UnreadableError, data_error, warn_of_transparency
from ktgdsl.training.datasets.image_files import pixels
from ktgdsl.training.datasets.image_headers import open_image, read_headers
from ktgdsl.training.datasets.image_set import MASK, DataSet, ImageSet
from ktgdsl.training.datasets.mask_paths import LAYOUT, Pair, check_masks, mask_paths
from ktgdsl.training.datasets.python_function import images_of_dataset

NO_LABEL = 255
"""The value of a pixel without a label in a mask."""


def mask_folder(data: DataPlan) -> DataSet:
    """The images and masks of the training and the test split.

    Raises RunError (E508) where files are missing, damaged or do not fit.
    """
    found = mask_paths(data)
    try:
        images = [image for pairs in found.values() for image, _ in pairs]
        headers = read_headers(images, any_size=data.resize is not None)
        for pairs in found.values():
            check_masks(pairs)
        if headers.transparent:
            count = f"{len(headers.transparent):,} of {len(images):,} images have transparent parts"
            warn_of_transparency(count, str(headers.transparent[0]))
        train, test = (
            images_of_dataset(_Masked(pairs, headers.channels), f"{data.source} ({split})", data)
            for split, pairs in found.items()
        )
        _require_foreground(train)
    except UnreadableError as error:
        raise data_error(str(error), LAYOUT) from error
    return DataSet(train, test)


def _require_foreground(train: ImageSet) -> None:
    """Raise UnreadableError for masks of nothing but 0 and 255: the latter is meant as a class."""
    if train.labels.tolist() == [-1, 0]:
        raise UnreadableError(
            f"the masks have no numbers but 0 and {NO_LABEL}, which is a pixel without a label: "
            "give the foreground the number 1"
        )


class _Masked(Dataset[tuple[Tensor, Tensor]]):
    """Samples of an image (C, H, W) uint8 and its mask (H, W) int16, -1 where there is no label."""

    def __init__(self, pairs: list[Pair], channels: int) -> None:
        self._pairs = pairs
        self._channels = channels

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = self._pairs[index]
        with open_image(image) as opened:
            shown = pixels(opened, self._channels)
        with open_image(mask) as opened:
            numbers = torch.from_numpy(np.array(opened)).to(MASK)
        return shown, numbers.masked_fill(numbers == NO_LABEL, -1)
