"""What a user may have, under names that scripts have for something else; and networks."""

from typing import Any

import numpy as np
import torch
from PIL import Image
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


def pixelwise() -> nn.Module:
    """Logits (B, 3, 8, 8)."""
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))


def masks(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images with a label for each pixel, some of which, and some images, have none."""
    image, _ = data(split, 24)
    mask = (image[:, 0] // 40).astype(np.int16).clip(0, 3) - 1
    mask[::7] = -1
    return image, mask


class TwoHeads(nn.Module):
    """Logits of three classes and of two, as a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(64, 3), nn.Linear(64, 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, 3) and (B, 2) of images (B, 1, 8, 8)."""
        flat = image.flatten(1)
        return self.left(flat), self.right(flat)


def two_labels(split: str) -> tuple[np.ndarray, dict[str, list[int]]]:
    """Images with two labels each, of which some lack one or both."""
    image, label = data(split, 30)
    side = [number % 2 for number in range(30)]
    if split == "train":
        label[::5], side[::7] = [-1] * 6, [-1] * 5
    return image, {"place": label, "side": side}


def partly_labeled(split: str) -> tuple[np.ndarray, list[int]]:
    """The same, and to train on some without a label."""
    image, label = data(split, 30)
    return image, [
        -1 if split == "train" and number % 4 == 3 else each for number, each in enumerate(label)
    ]


class Samples:
    """A Dataset of pairs of a Pillow image and a label."""

    def __init__(self, split: str, count: int = 12) -> None:
        image, self.label = data(split, count)
        self.image = [Image.fromarray(each[0]) for each in image]

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, index: int) -> Any:
        return self.image[index], self.label[index]


class MaskSamples(Samples):
    """Pairs of an image and its mask."""

    def __getitem__(self, index: int) -> Any:
        return self.image[index], np.eye(8, dtype=np.int64)


class Dicts(Samples):
    """Samples as dicts of an array (H, W, C) from 0 to 1."""

    def __getitem__(self, index: int) -> Any:
        image = np.repeat(np.array(self.image[index])[..., None], 3, axis=2)
        return {"pixel_values": image / 255, "labels": torch.tensor(self.label[index])}


class Flipped(Samples):
    """Samples as tensors, half of the images upside down, with the number of the sample."""

    def __getitem__(self, index: int) -> Any:
        image = torch.from_numpy(np.array(self.image[index]))
        return index, image.flip(0) if torch.rand(()) < 0.5 else image, self.label[index]


class Mixed(Samples):
    """Every other sample as an array."""

    def __getitem__(self, index: int) -> Any:
        image = self.image[index]
        return np.array(image) if index % 2 else image, self.label[index]


class Unlabeled(Samples):
    """Every other image alone."""

    def __getitem__(self, index: int) -> Any:
        return self.image[index] if index % 2 else (self.image[index], self.label[index])
