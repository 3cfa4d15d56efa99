"""Image files and Pillow images as uint8 tensors: what an image viewer shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.image_headers import GREY, open_image, orientation, other_size
from ktgdsl.training.datasets.image_set import LazyImages

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that makes an image upright, by its EXIF orientation."""

_SHORT = 2**16 - 1
"""White in 16 bits."""


class ImageFiles(LazyImages):
    """Image files, grey or in colour as their number of channels says.

    All of `size` (height, width), or of any size where that is None; `shape` is then only true
    of their channels.
    """

    def __init__(
        self, paths: Sequence[Path], channels: int, size: tuple[int, int] | None = None
    ) -> None:
        self.paths = paths
        self.shape = (channels, *(size or (0, 0)))
        self._size = size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        with open_image(path) as opened:
            image = pixels(opened, self.shape[0])
        size = image.shape[1], image.shape[2]
        if self._size is not None and size != self._size:
            raise UnreadableError(other_size(str(path), size, self._size))
        return image


def pixels(image: Image.Image, channels: int | None = None) -> Tensor:
    """A Pillow image as (C, H, W) uint8, with one channel or three; by default as it has.

    Upright, transparent parts on black, and 16 bits or numbers from 0 to 1 scaled to 8 bits.

    Raises UnreadableError where it is not known how bright its pixels are.
    """
    channels = channels or (1 if image.mode in GREY else 3)
    turn = _UPRIGHT.get(orientation(image))
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = Image.fromarray(_eight_bits(image))
    elif image.has_transparency_data:
        image = _on_black(image)
    image = image.convert("L" if channels == 1 else "RGB")
    if turn is not None:
        image = image.transpose(turn)
    array = np.array(image)
    return torch.from_numpy(array).view(*array.shape[:2], channels).permute(2, 0, 1).contiguous()


def _on_black(image: Image.Image) -> Image.Image:
    """The image without transparency: each colour times its opacity."""
    if image.mode == "La":
        image = image.convert("LA")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)


def _eight_bits(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Grey pixels of 16 or 32 bits, or floating-point numbers, as (H, W) uint8."""
    array = np.array(image)
    white = 1 if image.mode == "F" else _SHORT
    least, greatest = array.min(), array.max()
    if not (least >= 0 and greatest <= white):  # nor where some are not numbers
        raise UnreadableError(
            f"its pixels are from {least:g} to {greatest:g}, and black is 0, white {white}"
        )
    return np.rint(array.astype(np.float64) * (255 / white)).astype(np.uint8)
