"""Image files and Pillow images as uint8 tensors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ktgdsl.backend.user_code import describe
from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.image_headers import GREY, other_size
from ktgdsl.training.datasets.image_set import LazyImages


class ImageFiles(LazyImages):
    """Image files, read as images of that shape, grey or in colour as its channels say."""

    def __init__(self, paths: Sequence[Path], shape: tuple[int, int, int]) -> None:
        self.paths = paths
        self.shape = shape

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        try:
            with Image.open(path) as opened:
                image = pixels(opened, self.shape[0])
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UnreadableError(f"the image {path} cannot be read ({describe(error)})") from None
        if image.shape != self.shape:
            raise UnreadableError(other_size(str(path), tuple(image.shape), self.shape))
        return image


def pixels(image: Image.Image, channels: int | None = None) -> Tensor:
    """A Pillow image as (C, H, W) uint8, with one channel or three; by default as it has."""
    channels = channels or (1 if image.mode in GREY else 3)
    array = np.array(image.convert("L" if channels == 1 else "RGB"))
    return torch.from_numpy(array).view(*array.shape[:2], channels).permute(2, 0, 1).contiguous()
