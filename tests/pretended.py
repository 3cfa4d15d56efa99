"""Random images of the shape that a plan says, where its data set is not at hand."""

import torch

from ktgdsl.plan.model import DataPlan
from ktgdsl.training.data import Split, Watched


def load_watched(data: DataPlan, seed: int, device: torch.device) -> Watched:
    """In the place of `ktgdsl.training.data.load_watched`: a batch to learn and to watch."""
    generator = torch.Generator().manual_seed(seed)
    size = data.batch, *data.shape
    image = torch.randint(256, size, generator=generator, dtype=torch.uint8)
    label = torch.randint(data.classes, size[:1], generator=generator)
    split = Split(image.to(device), label.to(device))
    return Watched(split, "validation", split)
