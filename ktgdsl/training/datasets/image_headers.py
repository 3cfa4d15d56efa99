"""What the headers of image files say, without torch: sizes and numbers of channels."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ktgdsl.backend.user_code import describe
from ktgdsl.training.datasets.errors import UnreadableError

GREY = frozenset({"1", "L"})
"""Modes of Pillow images that have one channel."""


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
            raise UnreadableError(other_size(str(path), *shapes, first=str(first)))
    ((width, height),) = sizes
    return 1 if grey else 3, height, width


def other_size(
    name: str, shape: tuple[int, ...], wanted: tuple[int, ...], first: str = "the others"
) -> str:
    """The sentence that an image has another size than the rest; shapes are (C, H, W)."""
    return (
        f"the image {name} has {shape[1]}x{shape[2]} pixels, and {first} "
        f"{wanted[1]}x{wanted[2]}: all images of a data set have the same size"
    )
