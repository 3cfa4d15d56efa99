"""Mean and standard deviation of the pixels of training images, channel by channel."""

import torch
from torch import Tensor

from ktgdsl.training.datasets.stored import Rows, Stored
from ktgdsl.training.datasets.stream import CHUNK, Stream

MOST = 10_000
"""How many images are looked at, evenly spread over a larger set."""


def mean_and_std(stored: Stored, index: Tensor, workers: int) -> tuple[Tensor, Tensor]:
    """Both (C,) float64 in units of `white`, over the images at `index` (N,).

    The standard deviation is that of all pixels (divided by their number); 1 where all are
    equal. The same whether the images are in memory or read one by one.
    """
    chosen = index[torch.arange(min(MOST, len(index))) * len(index) // min(MOST, len(index))]
    pictures = Rows(stored.image) if isinstance(stored.image, Tensor) else stored.image
    stream = Stream(pictures, chosen, workers)
    # Whole numbers: the sums are exact, in whatever parts they are added up.
    total = torch.zeros(stored.shape[0], dtype=torch.int64)
    squares = torch.zeros_like(total)
    for image in stream.images(torch.arange(len(chosen)), CHUNK):
        pixel = image.long()
        total += pixel.sum(dim=(0, 2, 3))
        squares += pixel.square().sum(dim=(0, 2, 3))
    count = len(chosen) * stored.shape[1] * stored.shape[2]
    sums = zip(total.tolist(), squares.tolist(), strict=True)
    variance = [(count * square - one * one) / count**2 for one, square in sums]
    std = torch.tensor(variance, dtype=torch.float64).sqrt() / stored.white
    return total.double() / count / stored.white, torch.where(std > 0, std, 1.0)
