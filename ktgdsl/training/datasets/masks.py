"""Masks: a label for each pixel of an image, in the forms that scripts give them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.image_set import MASK
from ktgdsl.training.datasets.samples import as_tensor

UNLABELED = "where a pixel has no label, often 255 in files, give -1, in a type that has it"
"""The fix for a number in a mask that is no class."""


def is_mask(label: Any) -> bool:
    """Whether the label of a sample is one for each pixel: a Pillow image, or an array of rows."""
    if isinstance(label, Image.Image):
        return True
    return isinstance(label, Tensor | np.ndarray) and label.ndim > 1 and max(label.shape) > 1


def mask_tensor(label: Any, size: Sequence[int]) -> Tensor:
    """The mask (H, W) int16 of an image, -1 where a pixel has no label; None has none at all.

    A Pillow image of grey pixels or of numbers of a palette, or an array or tensor (H, W) of whole
    numbers in any type, also with one channel.

    Args:
        label: of a sample.
        size: (height, width) of its image in pixels.

    Raises UnreadableError for any other: one is never resized or rounded.
    """
    height, width = size
    if label is None:
        return torch.full((height, width), -1, dtype=MASK)
    if isinstance(label, Image.Image):
        if len(label.getbands()) > 1:
            raise UnreadableError(
                f"its mask is a Pillow image of mode {label.mode}, and classes are the grey "
                "pixels of one (`L`, `I`) or the numbers of a palette (`P`)"
            )
        label = np.asarray(label)
    if not is_mask(label) and (height, width) != (1, 1):
        raise UnreadableError(f"its label is {label!r}, and others are masks of their pixels")
    mask = as_tensor(label)
    shape = tuple(mask.shape)
    if mask.ndim == 3 and 1 in (mask.shape[0], mask.shape[2]):
        mask = mask.squeeze(0 if mask.shape[0] == 1 else 2)
    if tuple(mask.shape) != (height, width):
        one_hot = ": of one-hot masks the `argmax`" if mask.ndim == 3 else ""
        raise UnreadableError(
            f"its mask has the shape {shape}, and its image {height} x {width} pixels{one_hot}"
        )
    return _whole(mask)


def _whole(mask: Tensor) -> Tensor:
    if mask.is_complex():
        raise UnreadableError(f"its mask is {mask.dtype}, and classes are whole numbers")
    number = mask.double() if mask.is_floating_point() else mask.long()
    wrong = number[number != number.round()]  # NaN too
    if len(wrong):
        raise UnreadableError(f"its mask has {wrong[0].item()}, and classes are whole numbers")
    limits = torch.iinfo(MASK)
    wrong = number[(number < limits.min) | (number > limits.max)]
    if len(wrong):
        raise UnreadableError(f"its mask has {wrong[0].item()}, which is no number of a class")
    return number.to(MASK)


def is_labeled(masks: Tensor) -> Tensor:
    """Labels (B,) int64 for masks (B, H, W): 0 where some pixel has a label, else -1."""
    return (masks >= 0).flatten(1).any(1).long() - 1


def occurring(masks: Tensor) -> Tensor:
    """The different labels (L,) int64 of pixels, the least first."""
    return torch.from_numpy(np.unique(masks.numpy())).long()


def require_classes(mask: Tensor, classes: int, sample: str) -> None:
    """Raise UnreadableError for a mask with a number that is none of a class, nor -1."""
    least, greatest = mask.aminmax()
    wrong = next((n for n in (greatest.item(), least.item()) if not -1 <= n < classes), None)
    if wrong is not None:
        raise UnreadableError(
            f"the mask of {sample} has the label {wrong}, and labels of {classes} classes are 0 to "
            f"{classes - 1}, or -1 for none"
        )
