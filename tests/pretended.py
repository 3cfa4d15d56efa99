"""Random images of the shape in a plan, for data sets that are not available in tests."""

import torch

from ktgdsl.plan.model import DataPlan
from ktgdsl.training.data import Split, TrainingData


def load_training_data(data: DataPlan, seed: int, device: torch.device) -> TrainingData:
    """In the place of `ktgdsl.training.data.load_training_data`: a batch to learn and to watch."""
    generator = torch.Generator().manual_seed(seed)
    size = data.batch, *data.shape
    image = torch.randint(256, size, generator=generator, dtype=torch.uint8)
    label = torch.randint(data.classes, size[:1], generator=generator)
    mask = None
    if data.known_facts.masks:
        shape = (size[0], *data.label_shape)
        mask = torch.randint(data.classes, shape, generator=generator).to(device)
    split = Split(image.to(device), label.to(device), mask=mask)
    return TrainingData(split, "validation", split)
