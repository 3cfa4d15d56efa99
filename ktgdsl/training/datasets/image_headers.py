"""Image files by their headers, without torch: sizes, channels, transparency and orientation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ktgdsl.errors import describe
from ktgdsl.training.datasets.errors import UnreadableError

GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
"""Modes of Pillow images that have one channel, besides an alpha channel."""

_ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held; 5 to 8 exchange height and width."""


@dataclass(frozen=True)
class Headers:
    """The common properties of a data set's images, from their headers.

    Attributes:
        channels: one where all images are grey, else three.
        size: (height, width) of the first in pixels, as a viewer shows it.
        transparent: those with an alpha channel or a transparent colour.
    """

    channels: int
    size: tuple[int, int]
    transparent: tuple[Path, ...]


def read_headers(paths: Sequence[Path], *, any_size: bool = False) -> Headers:
    """The headers of these images.

    Raises UnreadableError for one that is no image, or unless `any_size` of another size than
    the first.
    """
    sizes: dict[tuple[int, int], Path] = {}
    channels, transparent = 1, []
    for path in paths:
        with open_image(path) as image:
            sizes.setdefault(upright_size(image), path)
            channels = channels if image.mode in GREY else 3
            if image.has_transparency_data:
                transparent.append(path)
        if len(sizes) > 1 and not any_size:
            (first, other), example = sizes, next(iter(sizes.values()))
            raise UnreadableError(other_size(str(path), other, first, str(example)))
    return Headers(channels, next(iter(sizes)), tuple(transparent))


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """The image in a file, not decoded yet.

    Raises UnreadableError, which names the file, for whatever goes wrong with it, and where
    decoding would take more memory than Pillow allows (`Image.MAX_IMAGE_PIXELS`).
    """
    try:
        with Image.open(path) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most is not None and image.width * image.height > most:
                raise UnreadableError(f"it has more than {most:,} pixels, Pillow's limit")
            yield image
    except UnreadableError as error:
        raise UnreadableError(f"the image {path} cannot be read: {error}") from None
    except Exception as error:  # of any of Pillow's decoders
        raise UnreadableError(f"the image {path} cannot be read ({describe(error)})") from None


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an image, from 1 to 8; 1, upright, where it has none.

    Of a file that is not decoded yet: Pillow turns a TIFF image when it is.
    """
    if image.format == "TIFF":
        return 1
    with suppress(Exception):  # of a damaged tag, which viewers ignore
        # That of PNG files would decode them for a tag behind the pixels.
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
    return 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) in pixels as a viewer shows them."""
    return image.size if orientation(image) in (5, 6, 7, 8) else (image.height, image.width)


def other_size(
    name: str, size: tuple[int, int], wanted: tuple[int, int], first: str = "the others"
) -> str:
    """The sentence that an image has another size than the rest; sizes are (height, width)."""
    return (
        f"the image {name} has {size[0]}x{size[1]} pixels, and {first} {wanted[0]}x{wanted[1]}: "
        "all images of a data set have the same size, unless `resize` gives them one"
    )
