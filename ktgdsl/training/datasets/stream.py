"""Images read from files while they are needed, by a torch DataLoader with worker processes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ktgdsl.training.datasets.errors import UnreadableError, data_error
from ktgdsl.training.datasets.image_set import MASK, LazyImages, ReadAgain
from ktgdsl.training.datasets.loaders import loaders_reported
from ktgdsl.training.datasets.masks import require_classes

CHUNK = 256
"""Images in a batch when all of a data set are read."""


@dataclass(frozen=True)
class ImageStream:
    """A subset of a data set's images, read in batches by worker processes.

    Attributes:
        source: the images of the data set.
        index: (N,) int64, which of them.
        workers: the processes that read them, 0 for this one.
        pin: whether batches are in pinned memory, so that copies to a GPU are asynchronous.
        classes: the classes that masks may have, None where it is known that they have no other.
    """

    source: LazyImages
    index: Tensor
    workers: int = 0
    pin: bool = False
    classes: int | None = None

    def images(self, order: Tensor, size: int, draw: int = 0) -> Iterator[Tensor]:
        """Images in batches (B, C, H, W); the last batch may be smaller.

        Args:
            order: (n,) int64, positions in `index`.
            size: images in a batch.
            draw: the seed of what is random in the images.

        Raises:
            RunError: when an image cannot be read (E508).
        """
        batches = chunks(self.index[order], size)
        return read_batches(self.source.drawn(draw), batches, self.workers, pin=self.pin)

    def samples(self, order: Tensor, size: int, draw: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches like `images`: (images,), or with masks (images, masks (B, H, W) int16)."""
        source = self.source.drawn(draw)
        yield from self._read(source, chunks(self.index[order], size))

    def readings(
        self, order: Tensor, size: int, draws: Sequence[int], reading: Tensor
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches like `samples`, each read several times with other seeds: random images.

        The readings of a batch are concatenated, (times · B, ...).

        Args:
            order: (n,) int64, positions in `index`.
            size: images in a batch.
            draws: the seed of each reading.
            reading: (times, n) int64, positions in `draws`.

        Raises:
            RunError: when an image cannot be read (E508).
        """
        source = ReadAgain(self.source, draws)
        index = self.index[order] + reading * len(self.source)
        yield from self._read(source, [p.flatten() for p in torch.split(index, size, dim=1)])

    def _read(self, source: LazyImages, batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, ...]]:
        if source.masked:
            masked = _WithMasks(source, self.classes)
            yield from read_batches(masked, batches, self.workers, pin=self.pin)
            return
        for images in read_batches(source, batches, self.workers, pin=self.pin):
            yield (images,)


class _WithMasks(Dataset[Any]):
    """Images with their masks, whose classes are checked where others may come up."""

    def __init__(self, source: LazyImages, classes: int | None) -> None:
        self._source = source
        self._classes = classes

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        images, masks = self._source.samples(indices)
        if self._classes is not None:
            for mask, index in zip(masks, indices, strict=True):
                require_classes(mask, self._classes, f"sample {index % len(self._source)}")
        return images, masks


def read_batches(
    source: Dataset[Any], batches: Iterable[Tensor], workers: int, *, pin: bool = False
) -> Iterator[Any]:
    """The result of a map-style Dataset's `__getitems__` for each batch of indices (B,).

    Raises:
        RunError: when a sample cannot be read (E508), or a process that reads them cannot start
            or ends (E504).
    """
    loader: DataLoader[Any] = DataLoader(
        source,
        batch_sampler=[batch.tolist() for batch in batches],
        num_workers=workers,
        collate_fn=Packed if workers else _as_it_is,
        pin_memory=pin,
        generator=torch.Generator(),  # else torch's global random state would change
    )
    try:
        with loaders_reported():
            for batch in loader:
                yield batch.unpacked() if isinstance(batch, Packed) else batch
    except UnreadableError as error:
        # From a worker the message follows the traceback of that process.
        raise data_error(str(error).rpartition("UnreadableError: ")[2].strip()) from error


class Packed:
    """A batch as NumPy arrays, which reach the main process through a pipe.

    Tensors go through shared memory, and where that is full PyTorch waits for ever.
    """

    def __init__(self, batch: Any) -> None:
        self._alone = isinstance(batch, Tensor)
        self._arrays = [part.numpy() for part in ([batch] if self._alone else batch)]

    def unpacked(self) -> Any:
        """The batch as it was."""
        tensors = tuple(torch.from_numpy(array) for array in self._arrays)
        return tensors[0] if self._alone else tensors

    def pin_memory(self) -> Any:
        """The batch as it was, in pinned memory: what a DataLoader asks for in its thread."""
        batch = self.unpacked()
        return batch.pin_memory() if self._alone else tuple(part.pin_memory() for part in batch)


def chunks(index: Tensor, size: int = CHUNK) -> list[Tensor]:
    """Indices (N,) in parts of `size`; the last may be smaller."""
    return [index[start : start + size] for start in range(0, len(index), size)]


def load_all(source: LazyImages, workers: int) -> tuple[Tensor, ...]:
    """All images in memory (N, C, H, W), and where they are masked the masks (N, H, W) int16.

    Raises RunError (E508) when one is unreadable.
    """
    everything = torch.arange(len(source))
    loaded = [torch.empty((len(source), *source.shape), dtype=source.dtype)]
    if source.masked:
        loaded.append(torch.empty((len(source), *source.shape[1:]), dtype=MASK))
    done = 0
    for batch in ImageStream(source, everything, workers).samples(everything, CHUNK):
        for whole, part in zip(loaded, batch, strict=True):
            whole[done : done + len(part)] = part
        done += len(batch[0])
    return tuple(loaded)


def _as_it_is(batch: Any) -> Any:
    """The identity as `collate_fn`: `__getitems__` gives whole batches already."""
    return batch
