"""Counts the FLOPs of training the networks of a graph."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ktgdsl.backend.factories import initial_network
from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.backend.trunks import Part
from ktgdsl.plan.model import Node, Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.training.costs import forward_operations


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in the calling thread alone; steppers made in the block use no other threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class ImageFlops:
    """About how many FLOPs training takes for an image, to compare the graphs of a space.

    A network that learns counts three times its forward, a frozen one or a follower once, and each
    once more where the second view of the samples is read; shared layers are counted once, and
    losses left out.
    """

    def __init__(self) -> None:
        self._forward: dict[tuple[str, tuple[str, ...]], int] = {}

    def of(self, plan: Plan) -> int:
        """The FLOPs of all networks of a plan."""
        count = 0
        updates = [update for phase in program_of(plan).phases for update in phase.updates]
        again = {call.node for each in updates for call in each.calls if call.view == 1}
        for node in plan.graph.nodes:
            others = (each.layers for each in plan.graph.shares if node.name in each.nodes[1:])
            shared = tuple(layer for layers in others for layer in layers)
            forward = self._of_layers(plan, node)
            if shared:
                forward -= self._of_layers(plan, node, shared)
            count += ((3 if node.learns else 1) + (node.name in again)) * forward
        for each in plan.graph.followers:
            followed = plan.graph.networks[each.name]
            count += (1 + (each.name in again)) * self._of_layers(plan, followed)
        return count

    def _of_layers(self, plan: Plan, node: Node, layers: tuple[str, ...] = ()) -> int:
        """The FLOPs of a forward of a network, or of the first layers of it."""
        key = str(node.network), layers
        if key not in self._forward:
            network = initial_network(plan, node, 0)
            if isinstance(network, StagedNetwork) and layers:
                network = Part(network, [each for each in network.stages if each in layers])
            self._forward[key] = _forward(network, plan.data.shape)
        return self._forward[key]


def _forward(network: nn.Module, shape: tuple[int, int, int]) -> int:
    try:
        return forward_operations(network, shape)
    except Exception:  # a network of the user's; the error is reported when it is trained
        return 0
