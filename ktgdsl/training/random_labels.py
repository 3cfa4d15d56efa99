"""Random labels for dry runs and timed steps."""

import torch
from torch import Tensor

from ktgdsl.plan.model import DataPlan


def random_labels(data: DataPlan, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Labels or masks (count, ...) of the classes of some data, or (count, labels), on the CPU."""
    if not data.labels:
        return torch.randint(data.classes, (count, *data.label_shape), generator=generator)
    columns = [
        torch.randint(data.classes_of(head), (count,), generator=generator) for head in data.labels
    ]
    return torch.stack(columns, dim=1)
