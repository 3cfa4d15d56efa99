"""Warns of floating-point images that are not as networks expect them: scaled, normalised once."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ktgdsl.backend.normalization import input_normalization
from ktgdsl.errors import warn
from ktgdsl.training.batches import batches_in_order
from ktgdsl.training.data import Split

CHECKED_IMAGES = 64
"""How many images the range is taken from."""

MAX_NONNEGATIVE, MAX_NORMALIZED = 2, 30
"""The greatest absolute values of scaled images: of those without negative values, of others."""


def warn_of_float_images(split: Split, networks: Mapping[str, nn.Module]) -> None:
    """Warn of a network that normalises images by itself which are not from 0 to 1 (W305), and of
    images that nobody has scaled (W308).

    Floating-point numbers of a user's Dataset stay as they are, so that its own `Normalize` and
    that of a teacher would add up.
    """
    if split.image.dtype != torch.float32:
        return
    image, _ = next(batches_in_order(split, CHECKED_IMAGES))
    least, greatest = image.min().item(), image.max().item()
    own = [name for name, network in networks.items() if input_normalization(network) is not None]
    if own and split.preprocessing.mean is None and not (least >= 0 and greatest <= 1):
        _warn_of_nodes(own, least, greatest)
    if len(own) < len(networks) and _is_unscaled(least, greatest):
        normalized = "" if split.preprocessing.mean is None else ", `mean` and `std` taken off,"
        warn(
            "W308",
            f"the images of the data are floating-point numbers{normalized} from {least:.3g} to "
            f"{greatest:.3g}, and go to the networks as they are",
            help="divide them by their greatest value, or write their `mean` and `std` in the "
            "block `data`",
        )


def _is_unscaled(least: float, greatest: float) -> bool:
    """Whether the range is neither that of images from 0 to 1 nor that of normalised ones, which
    are around 0 and seldom beyond ten standard deviations.
    """
    return max(-least, greatest) > MAX_NORMALIZED or (least >= 0 and greatest > MAX_NONNEGATIVE)


def _warn_of_nodes(own: Sequence[str], least: float, greatest: float) -> None:
    nodes = " and ".join(f"`{name}`" for name in own)
    warn(
        "W305",
        f"node {nodes} normalises images from 0 to 1 by itself, and those of the data are from "
        f"{least:.3g} to {greatest:.3g}",
        help="leave `Normalize` out of the Dataset; other nodes need `mean` and `std` in the "
        "block `data` then",
    )
