"""The identity of a data set by its content, whatever it is called and wherever it lies."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ktgdsl.training.datasets import memory
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.image_files import ImageFiles
from ktgdsl.training.datasets.image_set import DataSet, ImageSet, LazyImages, TensorImages
from ktgdsl.training.datasets.resizing import ResizedImages
from ktgdsl.training.datasets.stream import CHUNK, ImageStream

MAX_FILES = 200_000
"""How many image files are read; of more, as many that are evenly spread, and the sizes of all."""

MAX_IMAGES = 1000
"""How many images of a Dataset are read that does not fit into memory, or is random."""


def content_digest(data_set: DataSet, workers: int = 0) -> str:
    """The SHA-256 of all images, labels and masks of a data set, which `workers` processes read.

    The same for equal data in other files, or below another root. Of a Dataset of the user's that
    does not fit into memory some images count, and all labels; of one whose images are random,
    images as drawn from a seed, unless no seed makes them the same.

    Raises:
        RunError: when an image cannot be read (E508).
    """
    total = hashlib.sha256()
    for part in (data_set.train, data_set.test):
        total.update(f"{len(part)} {part.shape} {part.white}\n".encode())
        total.update(_bytes(part.label))
        if part.pixel_labels is not None:
            total.update(b"masks" + _bytes(part.pixel_labels))
        for content in _images(part, workers):
            total.update(content)
    return total.hexdigest()


def _images(images: ImageSet, workers: int) -> Iterator[bytes | memoryview]:
    image = images.image
    if isinstance(image, ResizedImages) and isinstance(image.source, ImageFiles | TensorImages):
        image = image.source  # the plan has the size
    if isinstance(image, Tensor):
        yield _bytes(image)
        if images.mask is not None:
            yield _bytes(images.mask)
    elif isinstance(image, ImageFiles):
        yield from _files(image.paths)
    else:
        yield from _lazy(image, images.bytes, workers)


def _files(paths: Iterable[Path]) -> Iterator[bytes]:
    paths = list(paths)
    chosen = {int(i) for i in _spread(len(paths), MAX_FILES)}
    for number, path in enumerate(paths):
        try:
            content = path.read_bytes() if number in chosen else str(path.stat().st_size).encode()
        except OSError as error:
            message = f"the image {path} cannot be read ({error.strerror or error})"
            raise data_error(message, path=path) from error
        yield hashlib.sha256(content).digest()


def _lazy(images: LazyImages, size: int, workers: int) -> Iterator[bytes | memoryview]:
    everything = memory.fits(size, torch.device("cpu")) and not images.random
    chosen = _spread(len(images), len(images) if everything else MAX_IMAGES)
    stream = ImageStream(images, torch.arange(len(images)), workers)
    if images.random:
        first, again = (next(stream.samples(chosen[:CHUNK], CHUNK)) for _ in range(2))
        if not all(map(torch.equal, first, again)):
            return
    for sample in stream.samples(chosen, CHUNK):
        yield from map(_bytes, sample)


def _spread(count: int, most: int) -> Tensor:
    """At most so many indices below `count`, evenly spread."""
    chosen = min(count, most)
    return torch.arange(chosen) * count // max(1, chosen)


def _bytes(tensor: Tensor) -> bytes | memoryview:
    array: Any = tensor.contiguous().numpy()
    return memoryview(array).cast("B") if array.size else b""
