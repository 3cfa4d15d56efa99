"""The output of a training graph's forward pass."""

from collections.abc import Callable
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
    """Logits of each node, (B, classes, ...); of one with several heads each, by `a.colour`."""
    open: dict[tuple[str, str], Tensor]
    """Share of open samples, scalar in [0, 1], of each edge whose gate is not a constant."""

    def detach(self) -> "Output":
        """The same output without gradients."""
        return self._apply(Tensor.detach)

    def clone(self) -> "Output":
        """A copy of the output in new memory."""
        return self._apply(Tensor.clone)

    def _apply(self, function: Callable[[Tensor], Tensor]) -> "Output":
        return Output(
            losses={name: function(loss) for name, loss in self.losses.items()},
            edges={key: function(loss) for key, loss in self.edges.items()},
            logits={name: function(logits) for name, logits in self.logits.items()},
            open={key: function(share) for key, share in self.open.items()},
        )


def join_outputs(outputs: list[Output]) -> Output:
    """The outputs of all updates of a step as one, with each node's logits from its own update.

    The loss of an ensemble that several updates learn from is that of the last of them.
    """
    if len(outputs) == 1:
        return outputs[0]
    logits = {name: each for output in outputs for name, each in output.logits.items()}
    own = {
        name: logits
        for output in outputs
        for name, logits in output.logits.items()
        if name.partition(".")[0] in output.losses  # the node of `a.colour`
    }
    return Output(
        losses={name: each for output in outputs for name, each in output.losses.items()},
        edges={key: each for output in outputs for key, each in output.edges.items()},
        logits=logits | own,
        open={key: each for output in outputs for key, each in output.open.items()},
    )
