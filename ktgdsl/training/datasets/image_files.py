"""Image files and Pillow images as uint8 tensors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ktgdsl.backend.user_code import describe
from ktgdsl.training.datasets.image_set import LazyImages, UnreadableError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
"""Of the files that count as images, as for torchvision's ImageFolder."""

GREY = frozenset({"1", "L"})
"""Modes of Pillow images that have one channel."""


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
            raise UnreadableError(_other_size(str(path), tuple(image.shape), self.shape))
        return image


def pixels(image: Image.Image, channels: int | None = None) -> Tensor:
    """A Pillow image as (C, H, W) uint8, with one channel or three; by default as it has."""
    channels = channels or (1 if image.mode in GREY else 3)
    array = np.array(image.convert("L" if channels == 1 else "RGB"))
    return torch.from_numpy(array).view(*array.shape[:2], channels).permute(2, 0, 1).contiguous()


def files_in(folder: Path) -> list[Path]:
    """The image files anywhere below a folder, sorted by path."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def common_shape(paths: Sequence[Path]) -> tuple[int, int, int]:
    """The shape of all these images, by their headers alone; grey where all of them are.

    Raises UnreadableError for one that is no image, or of another size than the first.
    """
    sizes: dict[tuple[int, int], Path] = {}
    grey = True
    for path in paths:
        try:
            with Image.open(path) as opened:
                sizes.setdefault(opened.size, path)
                grey = grey and opened.mode in GREY
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UnreadableError(f"the image {path} cannot be read ({describe(error)})") from None
        if len(sizes) > 1:
            (width, height), (other_width, other_height) = sizes
            first = sizes[width, height]
            shapes = (1, other_height, other_width), (1, height, width)
            raise UnreadableError(_other_size(str(path), *shapes, first=str(first)))
    ((width, height),) = sizes
    return 1 if grey else 3, height, width


def _other_size(
    name: str, shape: tuple[int, ...], wanted: tuple[int, ...], first: str = "the others"
) -> str:
    return (
        f"the image {name} has {shape[1]}x{shape[2]} pixels, and {first} "
        f"{wanted[1]}x{wanted[2]}: all images of a data set have the same size"
    )
