"""Images read while they are needed, by a torch DataLoader with processes of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ktgdsl.training.datasets.problem import unusable
from ktgdsl.training.datasets.stored import Pictures, UnreadableError

CHUNK = 256
"""Images read at once when all are."""


@dataclass(frozen=True)
class Stream:
    """Some of the pictures of a data set: those at `index` (N,) int64, in that order.

    `workers` processes read them, 0 for this one. Pinned batches copy to a GPU without
    waiting for it.
    """

    pictures: Pictures
    index: Tensor
    workers: int = 0
    pin: bool = False

    def images(self, order: Tensor, size: int) -> Iterator[Tensor]:
        """The images (B, C, H, W) uint8 at positions `order`, in batches of `size`; the last
        may be smaller.

        Raises RunError (E508) when one cannot be read.
        """
        chosen = self.index[order]
        loader: DataLoader[Tensor] = DataLoader(
            self.pictures,
            batch_sampler=[chosen[i : i + size].tolist() for i in range(0, len(chosen), size)],
            num_workers=self.workers,
            collate_fn=_whole,
            pin_memory=self.pin,
            generator=torch.Generator(),  # else torch's global stream would move
        )
        try:
            yield from loader
        except UnreadableError as error:
            # From a worker the message comes behind the traceback of that process.
            raise unusable(str(error).rpartition("UnreadableError: ")[2].strip()) from error


def gather(pictures: Pictures, workers: int) -> Tensor:
    """All pictures in memory (N, C, H, W). Raises RunError (E508) when one cannot be read."""
    everything = torch.arange(len(pictures))
    whole = torch.empty((len(pictures), *pictures.shape), dtype=torch.uint8)
    done = 0
    for part in Stream(pictures, everything, workers).images(everything, CHUNK):
        whole[done : done + len(part)] = part
        done += len(part)
    return whole


def _whole(batch: Any) -> Any:
    """A batch as it is: the pictures give it as one tensor."""
    return batch
