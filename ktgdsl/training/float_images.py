"""Warns of floating-point images that a network would normalise a second time."""

from collections.abc import Mapping

import torch
from torch import nn

from ktgdsl.backend.normalization import input_normalization
from ktgdsl.errors import warn
from ktgdsl.training.data import Split, batches_in_order

LOOKED_AT = 64
"""Images whose range is looked at."""


def ask_about_float_images(split: Split, networks: Mapping[str, nn.Module]) -> None:
    """Warn (W305) of a network that normalises images by itself which are not from 0 to 1.

    Floating-point numbers of a user's Dataset stay as they are, so that its own `Normalize` and
    that of a teacher would add up.
    """
    own = [name for name, network in networks.items() if input_normalization(network) is not None]
    if not own or split.image.dtype != torch.float32 or split.preprocessing.mean is not None:
        return
    image, _ = next(batches_in_order(split, LOOKED_AT))
    least, greatest = image.min().item(), image.max().item()
    if least >= 0 and greatest <= 1:
        return
    nodes = " and ".join(f"`{name}`" for name in own)
    warn(
        "W305",
        f"node {nodes} normalises images from 0 to 1 by itself, and those of the data are from "
        f"{least:.3g} to {greatest:.3g}",
        help="leave `Normalize` out of the Dataset; other nodes need `mean` and `std` in the "
        "block `data` then",
    )
