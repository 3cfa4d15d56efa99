"""Mean and standard deviation of the pixels of training images, channel by channel."""

import torch
from torch import Tensor

from ktgdsl.training.datasets.image_set import ImageSet
from ktgdsl.training.datasets.stream import CHUNK, ImageStream

MAX_IMAGES = 10_000
"""How many images are read, evenly spread over a larger set."""


def mean_and_std(images: ImageSet, index: Tensor, workers: int) -> tuple[Tensor, Tensor]:
    """Both (C,) float64 over the images at `index` (N,), of uint8 in units of `white`.

    The standard deviation is that of all pixels (divided by their number); 1 where all are
    equal. The same whether the images are in memory or read one by one.
    """
    count = min(MAX_IMAGES, len(index))
    chosen = index[torch.arange(count) * len(index) // count]
    stream = ImageStream(images.lazy, chosen, workers)
    # Whole numbers: the sums are exact, in whatever order they are added up.
    exact = torch.int64 if images.image.dtype == torch.uint8 else torch.float64
    white = images.white if exact == torch.int64 else 1
    total = torch.zeros(images.shape[0], dtype=exact)
    squares = torch.zeros_like(total)
    for batch in stream.images(torch.arange(len(chosen)), CHUNK):
        pixel = batch.to(exact)
        total += pixel.sum(dim=(0, 2, 3))
        squares += pixel.square().sum(dim=(0, 2, 3))
    pixels = len(chosen) * images.shape[1] * images.shape[2]
    sums = zip(total.tolist(), squares.tolist(), strict=True)
    variance = [max(0, pixels * square - one * one) / pixels**2 for one, square in sums]
    std = torch.tensor(variance, dtype=torch.float64).sqrt() / white
    return total.double() / pixels / white, torch.where(std > 0, std, 1.0)
