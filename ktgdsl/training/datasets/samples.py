"""A sample of a user's Dataset, in the forms that scripts give it: its image and its label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ktgdsl.errors import describe
from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.image_files import pixels

IMAGE_KEYS = ("image", "img", "images", "pixel_values", "input", "inputs", "x", "data")
LABEL_KEYS = (
    *("label", "labels", "target", "targets", "y", "class", "fine_label"),
    *("mask", "masks", "segmentation", "annotation"),
)
"""The keys of image and label in a sample that is a dict, the first that it has."""

CHANNELS = (1, 3)


def parts_of(sample: Any, labels: Sequence[str] = ()) -> tuple[Any, Any]:
    """The image of a sample and its label, None where it has none.

    A sample is an image alone, a dict, or a tuple or list in which the label follows the image.
    Of several `labels` a dict may be the dict of them as well.

    Raises UnreadableError for any other.
    """
    if isinstance(sample, Mapping):
        keys = [next((key for key in names if key in sample), None) for names in _KEYS]
        if keys[0] is not None and set(labels) & sample.keys():
            return sample[keys[0]], sample
        if None in keys:
            missing = ("image", "label")[keys.index(None)]
            known = ", ".join(f"`{key}`" for key in _KEYS[keys.index(None)])
            has = ", ".join(f"`{key}`" for key in sample)
            raise UnreadableError(f"it has {has}, and no {missing}, which is called {known}")
        return sample[keys[0]], sample[keys[1]]
    if _is_image(sample):
        return sample, None
    if not isinstance(sample, tuple | list):
        raise UnreadableError(f"it is a {type(sample).__name__}, not (image, label) or a dict")
    position = next((i for i, each in enumerate(sample) if _is_image(each)), None)
    if position is None:
        kinds = ", ".join(type(each).__name__ for each in sample)
        raise UnreadableError(
            f"none of ({kinds}) is a Pillow image, an array or a tensor of pixels"
        )
    return sample[position], sample[position + 1] if position + 1 < len(sample) else None


_KEYS = (IMAGE_KEYS, LABEL_KEYS)


def _is_image(value: Any) -> bool:
    return isinstance(value, Image.Image) or (
        isinstance(value, Tensor | np.ndarray) and value.ndim > 1
    )


def label_number(label: Any) -> int:
    """The class that a label stands for, -1 where it is None.

    A whole number in any type, `3.0` too, or an array or tensor of one.

    Raises UnreadableError for any other: one is never rounded.
    """
    if label is None:
        return -1
    value = label
    if isinstance(value, Tensor | np.ndarray | np.generic):
        if (value.numel() if isinstance(value, Tensor) else value.size) != 1:
            raise UnreadableError(
                f"its label has the shape {tuple(value.shape)}, and is one number: of one-hot "
                "labels the `argmax`"
            )
        value = value.item()
    if not isinstance(value, int | float) or value != value or value in (_INFINITY, -_INFINITY):
        raise UnreadableError(f"its label is {value!r}, not a whole number")
    if value != int(value):
        raise UnreadableError(f"its label is {value}, and classes are whole numbers")
    if not -(2**63) <= value < 2**63:
        raise UnreadableError(f"its label is {value}, which is no number of a class")
    return int(value)


_INFINITY = float("inf")


def image_tensor(image: Any, channels: int | None = None) -> Tensor:
    """An image (C, H, W), uint8 where white is 255, or float32 with its numbers as they are.

    A Pillow image, an array (H, W, C) or a tensor (C, H, W), or (H, W) of grey pixels.

    Args:
        image: of a sample.
        channels: of a Pillow image; by default as it has.

    Raises UnreadableError for any other.
    """
    if isinstance(image, Image.Image):
        return pixels(image, channels)
    if not isinstance(image, Tensor | np.ndarray):
        kind = type(image).__name__
        raise UnreadableError(f"it is a {kind}, not a Pillow image, an array or a tensor")
    axes = "(height, width, channels)" if isinstance(image, np.ndarray) else _TENSOR_AXES
    shape = tuple(image.shape)
    tensor = as_tensor(image)
    if tensor.ndim == 2:
        tensor = tensor[None]
    elif tensor.ndim == 3 and isinstance(image, np.ndarray) and tensor.shape[2] in CHANNELS:
        tensor = tensor.permute(2, 0, 1)
    if tensor.ndim != 3 or tensor.shape[0] not in CHANNELS:
        is_last = tensor.ndim == 3 and tensor.shape[2] in CHANNELS
        fix = ": `image.permute(2, 0, 1)` puts the channels first" if is_last else ""
        problem = f"it has the shape {shape}, not {axes} with one channel or three{fix}"
        raise UnreadableError(problem)
    return as_pixels(tensor).contiguous()


_TENSOR_AXES = "(channels, height, width)"


def as_tensor(image: Any) -> Tensor:
    """Numbers as a plain tensor on the CPU. Raises UnreadableError for what is no array of them."""
    try:
        if not isinstance(image, Tensor):
            # Neither read-only arrays nor those that run backwards can be tensors.
            image = torch.from_numpy(np.require(image, requirements=["C", "W"]))
        tensor: Tensor = image.detach().cpu().as_subclass(Tensor)
    except (TypeError, ValueError) as error:
        raise UnreadableError(f"its pixels are no numbers ({describe(error)})") from error
    return tensor


def as_pixels(image: Tensor) -> Tensor:
    """Pixels as they are kept: uint8 and floating-point numbers stay what they are.

    Raises UnreadableError where it is not known how bright they are, or some are no numbers.
    """
    if image.dtype == torch.uint8:
        return image
    if image.dtype == torch.bool:
        return image.to(torch.uint8) * 255
    if not image.dtype.is_floating_point:
        raise UnreadableError(
            f"its pixels are {image.dtype}, neither uint8 from 0 to 255 nor floating-point numbers"
        )
    image = image.float()
    if not bool(image.isfinite().all()):
        raise UnreadableError("some of its pixels are not finite numbers")
    return image
