"""Checks, before the first step, that a network which is not ours gives logits."""

import torch
from torch import Tensor, nn

from ktgdsl.errors import RunError
from ktgdsl.training.deterministic import reporting_nondeterministic_operators
from ktgdsl.training.metrics import eval_mode

CHECKED_IMAGES = 2
"""How many images a network is asked about."""


@torch.no_grad()
def require_logits(
    node: str, network: nn.Module, image: Tensor, label: Tensor, classes: int
) -> None:
    """Ask the network of a node for the logits of two images, in eval mode.

    Args:
        node: its name.
        network: any module.
        image: (B, C, H, W), of which the first two are taken.
        label: (B, ...), whose shape alone counts.
        classes: how many the data have.

    Raises:
        RunError: when it fails or gives something else than (B, classes, ...) (E505), or
            cannot be deterministic and has to be (E504).
    """
    image, label = image[:CHECKED_IMAGES], label[:CHECKED_IMAGES]
    expected = (len(label), classes, *label.shape[1:])
    with eval_mode([network]):
        try:
            with reporting_nondeterministic_operators():
                logits = network(image)
        except RunError:
            raise
        except Exception as error:
            problem = f"fails on images {tuple(image.shape)}: {type(error).__name__}: {error}"
            raise _unfit(node, problem) from error
    if not isinstance(logits, Tensor):
        raise _unfit(node, f"gives a {type(logits).__name__}, not a tensor of logits")
    if tuple(logits.shape) != expected or not logits.is_floating_point():
        actual = f"{tuple(logits.shape)} of {logits.dtype}"
        raise _unfit(node, f"gives {actual}, and logits of these data are {expected}")


def _unfit(node: str, problem: str) -> RunError:
    help = "a network maps images (B, channels, height, width) to logits (B, classes)"
    return RunError.single("E505", f"the network of node `{node}` {problem}", help=help)
