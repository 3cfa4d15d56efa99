"""Checks that the two views of a sample of the user's own data differ, and that masks agree."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ktgdsl.errors import warn
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.image_set import ImageSet
from ktgdsl.training.datasets.preprocessing import Preprocessing


def check_views(data: DataPlan, preprocessing: Preprocessing, train: ImageSet) -> None:
    """Warn (W106) where both views are equal; of other data a check of the spec says it.

    Raises:
        RunError: where a pixel of one view is not that of the other, and each has a label (E508).
    """
    moved = train.lazy.moving or preprocessing.augment is not None
    if preprocessing.augment is None and not train.random:
        colours = "change colours at random in a Dataset"
        crops = "`augment = paper` crops and flips each view at random, or augment in a Dataset"
        warn(
            "W106",
            f"both views of a sample are equal, since {data.source} gives the same each time",
            help=colours if train.masked else crops,
        )
    elif train.masked and moved:
        by = "the Dataset"
        if preprocessing.augment is not None:
            by = f"`augment = {data.augment}`"
        elif data.crop == "random":
            by = "`crop = random`"
        raise data_error(
            f"each pixel of {data.source} has a label, and {by} moves the pixels of both views of "
            "a sample apart, so that losses would compare pixels that are not the same",
            _STILL,
        )


def require_equal_masks(masks: Sequence[Tensor]) -> None:
    """Raise RunError (E508) unless those of a batch (B, H, W) are the same in all views.

    A Dataset that seldom moves a pixel is not known as one before it does.
    """
    if not all(torch.equal(masks[0], other) for other in masks[1:]):
        raise data_error(
            "the masks of both views of a sample differ: its pixels have moved", _STILL
        )


_STILL = "leave `views` out, or change colours alone, by random transforms of a Dataset"
