"""What a user may have, under names that scripts have for something else; and networks."""

import numpy as np
from torch import Tensor, nn


def kl(source: Tensor, destination: Tensor, label: Tensor) -> Tensor:
    """The squared distance of logits (B, classes) from (B, classes), (B,)."""
    return (source - destination).square().mean(1)


def train(source: Tensor, destination: Tensor, label: Tensor, progress: Tensor) -> Tensor:
    """1 where the source is right, (B,)."""
    return (source.argmax(1) == label).float()


class Answer:
    """Not a tensor, but with logits."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


class Net(nn.Module):
    """Draws initial weights from NumPy, and dropout from torch, as other code does."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.LazyLinear(10)
        self.scale = float(np.random.rand())

    def forward(self, image: Tensor) -> Answer:
        """Logits (B, 10) of images (B, 1, 8, 8)."""
        found = nn.functional.dropout(self.norm(self.conv(image)).relu(), 0.5, self.training)
        return Answer(self.scale * self.head(found.flatten(1)))


def networks(width: int) -> nn.Module:
    """A network, by a function."""
    return Net(width)


def data(split: str, count: int) -> tuple[np.ndarray, list[int]]:
    """Images (count, 1, 8, 8) of noise, each with its label in it."""
    draw = np.random.default_rng(0 if split == "train" else 1)
    image = draw.integers(0, 100, (count, 1, 8, 8), dtype=np.uint8)
    label = [number % 3 for number in range(count)]
    image[range(count), 0, 0, label] = 255
    return image, label


def floats(split: str) -> tuple[np.ndarray, list[int]]:
    """The same as numbers from 0 to 1."""
    image, label = data(split, 12)
    return (image / 255).astype(np.float32), label
