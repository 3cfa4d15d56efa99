"""A loss and a gate of a user's, under names that scripts have for something else."""

from torch import Tensor


def kl(source: Tensor, destination: Tensor, label: Tensor) -> Tensor:
    """The squared distance of logits (B, classes) from (B, classes), (B,)."""
    return (source - destination).square().mean(1)


def train(source: Tensor, destination: Tensor, label: Tensor, progress: Tensor) -> Tensor:
    """1 where the source is right, (B,)."""
    return (source.argmax(1) == label).float()
