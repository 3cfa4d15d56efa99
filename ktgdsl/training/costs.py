"""The costs of networks: FLOPs of a computation, and parameters and FLOPs of a plan's nodes."""

from collections.abc import Callable

import torch
from torch import nn

from ktgdsl.backend.factories import initial_network
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import evaluation_of
from ktgdsl.training.metrics import eval_mode


def operations(call: Callable[[], object]) -> int:
    """The FLOPs of a call: of its convolutions and matrix products, backward included.

    A multiplication and an addition are two. Compiled code and other threads are not counted:
    make and take a step under `one_thread`.
    """
    from torch.utils.flop_counter import FlopCounterMode  # a second to import

    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()


@torch.no_grad()
def forward_operations(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """The FLOPs of a forward of one image (1, C, H, W), in eval mode, on the CPU."""
    with eval_mode([network]):
        return operations(lambda: network(torch.zeros(1, *shape)))


def trainable_parameters(network: nn.Module) -> int:
    """The number of parameters of a network that can be trained."""
    return sum(each.numel() for each in network.parameters() if each.requires_grad)


def cost(plan: Plan, node: str, word: str) -> int:
    """The `parameters` or `flops` of what computes the logits of a node, of an ensemble the sum.

    Whatever layers are shared count in each network: it is deployed with them. Raises RunError
    (E505) where a network cannot be made, and whatever one of the user's own raises.
    """
    networks = [initial_network(plan, plan.graph.networks[name], 0) for name in _needed(plan, node)]
    if word == "parameters":
        return sum(map(trainable_parameters, networks))
    return sum(forward_operations(network, plan.data.shape) for network in networks)


def _needed(plan: Plan, node: str) -> list[str]:
    """The nodes with the networks that the logits of a node need."""
    return list(dict.fromkeys(call.node for call in evaluation_of(plan, [node]).calls))
