"""Small images of coloured shapes with two labels each, and a network that has a head for each."""

import numpy as np
import torch
from torch import nn

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}
SIDE = 8
_y, _x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
SHAPES = {
    "square": np.maximum(abs(_x), abs(_y)) < 3,
    "cross": np.minimum(abs(_x), abs(_y)) < 1,
    "ring": abs(np.hypot(_x, _y) - 3) < 1,
}


def images(split, count=400):
    """Return noisy images (count, 3, 8, 8) uint8 and their colours and shapes, (count,) each."""
    draw = np.random.default_rng({"train": 0, "test": 1}[split])
    colour, shape = draw.integers(len(COLOURS), size=count), draw.integers(len(SHAPES), size=count)
    ink = np.array(list(COLOURS.values()))[colour][:, :, None, None]
    drawn = np.array(list(SHAPES.values()))[shape][:, None] * ink
    noisy = 0.6 * drawn + 0.4 * draw.random(drawn.shape)
    return (255 * noisy).astype(np.uint8), {"colour": colour, "shape": shape}


class TwoHeads(nn.Module):
    """One body, and a classifier of the colour and one of the shape."""

    def __init__(self, width=8):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
        )
        self.to_colour = nn.Linear(16 * width, len(COLOURS))
        self.to_shape = nn.Linear(16 * width, len(SHAPES))

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the logits (B, 4) of colours and (B, 3) of shapes."""
        features = self.body(image)
        return {"colour": self.to_colour(features), "shape": self.to_shape(features)}
