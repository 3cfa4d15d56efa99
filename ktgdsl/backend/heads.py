"""Networks with several heads: their logits as a dict by head, in whatever form they give them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

FORM = (
    "a network with several heads maps images (B, channels, height, width) to a dict of the logits "
    "(B, classes) of each head by its name, or to a tuple of them in the order of `heads`"
)


def answer_by_head(network: nn.Module, heads: tuple[str, ...]) -> None:
    """Let a network give a dict of logits (B, classes, ...) by head from here on.

    It may give a dict, an object with attributes of these names, or a tuple or list in their
    order. Any other output is passed on, and `network_dry_run` reports it.
    """
    network.register_forward_hook(partial(_by_head, heads))


def _by_head(heads: tuple[str, ...], _: nn.Module, inputs: object, output: Any) -> Any:
    if isinstance(output, Mapping):
        return {head: output[head] for head in heads} if {*heads} <= output.keys() else output
    if all(hasattr(output, head) for head in heads):
        return {head: getattr(output, head) for head in heads}
    if isinstance(output, tuple | list) and len(output) == len(heads):
        return dict(zip(heads, output, strict=True))
    return output
