"""Augmentation: a random crop and flip of each image, for a whole batch at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ktgdsl.backend.seeds import derive


@dataclass(frozen=True)
class Augment:
    """A random crop of the padded image, and a random flip left to right.

    Attributes:
        pad: pixels of padding at each side; all (2 pad + 1)² crops are equally likely.
        flips: whether half of the images are flipped.
        reflect: whether the padding mirrors the image, without repeating its edge (the paper's
            code); else it is 0, which is black.
    """

    pad: int
    flips: bool
    reflect: bool

    def draw(self, count: int, seed: int, epoch: int, view: int = 0) -> "AugmentDraws":
        """Draw the crops and flips of an epoch's images, in the order of its batches.

        On the CPU, from the seed, the epoch and the view alone, so that they are the same on any
        device.
        """
        parts = (epoch,) if view == 0 else (view, epoch)
        generator = torch.Generator().manual_seed(derive(seed, "augment", *parts))
        offsets = torch.randint(0, 2 * self.pad + 1, (2, count), generator=generator)
        flip = torch.randint(0, 2, (count,), generator=generator).bool()
        return AugmentDraws(offsets[0] - self.pad, offsets[1] - self.pad, flip & self.flips)

    def apply_to_masks(self, mask: Tensor, draws: "AugmentDraws") -> Tensor:
        """The masks (B, H, W) of images that `apply` augments: -1 in padding that is black."""
        moved: Tensor = self.apply(mask.unsqueeze(1) + 1, draws).squeeze(1) - 1
        return moved

    def apply(self, image: Tensor, draws: "AugmentDraws") -> Tensor:
        """The augmented images (B, C, H, W), of the same type; nothing waits for their device."""
        B, C, H, W = image.shape
        rows = draws.down[:, None] + torch.arange(H, device=image.device)
        columns = draws.right[:, None] + torch.arange(W, device=image.device)
        columns = torch.where(draws.flip[:, None], columns.flip(1), columns)
        source = _reflected(rows, H)[:, :, None] * W + _reflected(columns, W)[:, None, :]
        source = source.view(B, 1, H * W).expand(B, C, H * W)
        cut = image.reshape(B, C, H * W).gather(2, source).view(B, C, H, W)
        if self.reflect:
            return cut
        inside = ((rows >= 0) & (rows < H))[:, :, None] & ((columns >= 0) & (columns < W))[
            :, None, :
        ]
        return cut * inside[:, None]


@dataclass(frozen=True)
class AugmentDraws:
    """The offset of each crop (N,) in pixels from the middle, and whether it is flipped after."""

    down: Tensor
    right: Tensor
    flip: Tensor

    def __getitem__(self, part: slice | Tensor) -> "AugmentDraws":
        return AugmentDraws(self.down[part], self.right[part], self.flip[part])

    def to(self, device: torch.device) -> "AugmentDraws":
        """The same on another device."""
        down, right, flip = (
            each.to(device, non_blocking=True) for each in (self.down, self.right, self.flip)
        )
        return AugmentDraws(down, right, flip)


def _reflected(position: Tensor, size: int) -> Tensor:
    """Positions reflected at 0 and size - 1 until they are between."""
    period = max(1, 2 * (size - 1))
    position = position % period
    return torch.where(position < size, position, period - position)
