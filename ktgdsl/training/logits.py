"""Whether a network that is not ours gives logits, found out before it is trained."""

import torch
from torch import Tensor, nn

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.training.deterministic import naming_operators
from ktgdsl.training.metrics import eval_mode

TRIED = 2
"""How many images a network is tried on."""


@torch.no_grad()
def require_logits(
    node: str, network: nn.Module, image: Tensor, label: Tensor, classes: int
) -> None:
    """Asks the network of a node for the logits of some images, in eval mode.

    Args:
        node: its name.
        network: anything at all.
        image: (B, C, H, W), of which the first two are taken.
        label: (B, ...), whose shape alone counts.
        classes: how many the data have.

    Raises:
        RunError: when it fails or gives something else than (B, classes, ...) (E505), or
            cannot be deterministic and has to be (E504).
    """
    image, label = image[:TRIED], label[:TRIED]
    wanted = (len(label), classes, *label.shape[1:])
    with eval_mode([network]):
        try:
            with naming_operators():
                logits = network(image)
        except RunError:
            raise
        except Exception as error:
            what = f"fails on images {tuple(image.shape)}: {type(error).__name__}: {error}"
            raise _unfit(node, what) from error
    if not isinstance(logits, Tensor):
        raise _unfit(node, f"gives a {type(logits).__name__}, not a tensor of logits")
    if tuple(logits.shape) != wanted or not logits.is_floating_point():
        given = f"{tuple(logits.shape)} of {logits.dtype}"
        raise _unfit(node, f"gives {given}, and logits of these data are {wanted}")


def _unfit(node: str, what: str) -> RunError:
    help = "a network maps images (B, channels, height, width) to logits (B, classes)"
    return RunError([Diagnostic("E505", f"the network of node `{node}` {what}", help=help)])
