"""What one forward of a training graph gives."""

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """Losses, edges and logits of one batch, all on the device.

    A node's loss is the sum of the losses of its edges as given here (Eq. 3). `open` has
    the share of samples whose gate is not zero, for the edges whose gate can be zero.
    """

    losses: dict[str, Tensor]
    """Scalar loss of each node that learns (Eq. 3)."""
    edges: dict[tuple[str, str], Tensor]
    """Scalar loss of each live edge, (source, destination), after gate and reduction (Eq. 2)."""
    logits: dict[str, Tensor]
    """Logits of each node, (B, classes, ...)."""
    open: dict[tuple[str, str], Tensor]
    """Share of open samples, scalar in [0, 1], of each edge whose gate is not a constant."""
