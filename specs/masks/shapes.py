"""Images of shapes in noise, with a class for each pixel, and a small U-Net."""

import numpy as np
import torch
from torch import nn


def images(split, size=32, count=256):
    """Grey images (N, 1, size, size) and their masks (N, size, size).

    Class 0 is the background, 1 a disk, 2 a square. Edges are unlabeled (-1), as in the masks of
    PASCAL VOC. There are a quarter as many to test.
    """
    random = np.random.default_rng(split == "test")
    count = count if split == "train" else count // 4
    mask = np.zeros((count, size, size), np.int64)
    rows, columns = np.mgrid[:size, :size]
    for each in mask:
        for shape in (1, 2):
            down, right = random.uniform(0.2, 0.8, 2) * size
            tall, wide = abs(rows - down), abs(columns - right)
            distance = np.maximum(tall, wide) if shape == 2 else np.hypot(tall, wide)
            radius = random.uniform(0.12, 0.25) * size
            each[distance < radius] = shape
            each[abs(distance - radius) < 0.5] = -1
    brightness = np.array([0.35, 0.6, 0.6])[mask.clip(0)]
    image = brightness + random.normal(0, 0.15, mask.shape)
    return (255 * image.clip(0, 1)).astype(np.uint8)[:, None], mask


def unet(width=8, channels=1, classes=3):
    """An encoder, a decoder and skips between them (Ronneberger et al., MICCAI 2015)."""
    return UNet(width, channels, classes)


class UNet(nn.Module):
    """Logits (B, classes, H, W) for images (B, channels, H, W); H and W are divisible by 4."""

    def __init__(self, width, channels, classes):
        super().__init__()
        self.down1 = stage(channels, width)
        self.down2 = stage(width, 2 * width)
        self.bottom = stage(2 * width, 4 * width)
        self.up2 = stage(6 * width, 2 * width)
        self.up1 = stage(3 * width, width)
        self.logits = nn.Conv2d(width, classes, 1)

    def forward(self, image):
        """Return the logits."""
        fine = self.down1(image)
        middle = self.down2(nn.functional.max_pool2d(fine, 2))
        coarse = self.bottom(nn.functional.max_pool2d(middle, 2))
        middle = self.up2(torch.cat([middle, upsampled(coarse)], 1))
        return self.logits(self.up1(torch.cat([fine, upsampled(middle)], 1)))


def stage(channels, width):
    """A convolution with batch norm and ReLU."""
    layers = nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    return nn.Sequential(*layers)


def upsampled(x):
    """Maps of twice the height and width."""
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)
