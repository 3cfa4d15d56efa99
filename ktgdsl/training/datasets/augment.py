"""Augmentation: where each image is cut out, and whether it is turned, for a batch at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ktgdsl.backend.seeds import derive


@dataclass(frozen=True)
class Augment:
    """A crop of the image padded by `pad` pixels at each side, and a flip left to right.

    The padding mirrors the image without repeating its edge if `reflect` (the paper's code),
    else it is black. Each of the (2 pad + 1)² places is as likely as any other; with `flips`
    half of the images are mirrored.
    """

    pad: int
    flips: bool
    reflect: bool

    def draw(self, count: int, seed: int, epoch: int) -> "Moves":
        """What happens to the images of an epoch, in the order in which they are drawn.

        On the CPU, from the seed and the epoch alone, so that it is the same on any device.
        """
        generator = torch.Generator().manual_seed(derive(seed, "augment", epoch))
        places = torch.randint(0, 2 * self.pad + 1, (2, count), generator=generator)
        flip = torch.randint(0, 2, (count,), generator=generator).bool()
        return Moves(places[0] - self.pad, places[1] - self.pad, flip & self.flips)

    def apply(self, image: Tensor, moves: "Moves") -> Tensor:
        """The augmented images (B, C, H, W) uint8, on their device and without waiting for it."""
        B, C, H, W = image.shape
        rows = moves.down[:, None] + torch.arange(H, device=image.device)
        columns = moves.right[:, None] + torch.arange(W, device=image.device)
        columns = torch.where(moves.flip[:, None], columns.flip(1), columns)
        source = _inside(rows, H)[:, :, None] * W + _inside(columns, W)[:, None, :]
        source = source.view(B, 1, H * W).expand(B, C, H * W)
        cut = image.reshape(B, C, H * W).gather(2, source).view(B, C, H, W)
        if self.reflect:
            return cut
        seen = ((rows >= 0) & (rows < H))[:, :, None] & ((columns >= 0) & (columns < W))[:, None, :]
        return cut * seen[:, None]


@dataclass(frozen=True)
class Moves:
    """How far the images (N,) are moved, in pixels, and whether they are mirrored after it."""

    down: Tensor
    right: Tensor
    flip: Tensor

    def __getitem__(self, part: slice) -> "Moves":
        return Moves(self.down[part], self.right[part], self.flip[part])

    def to(self, device: torch.device) -> "Moves":
        """The same on another device."""
        down, right, flip = (
            each.to(device, non_blocking=True) for each in (self.down, self.right, self.flip)
        )
        return Moves(down, right, flip)


def _inside(position: Tensor, size: int) -> Tensor:
    """Positions mirrored at 0 and size - 1 until they lie between."""
    period = max(1, 2 * (size - 1))
    position = position % period
    return torch.where(position < size, position, period - position)
