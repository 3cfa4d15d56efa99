"""Counts the FLOPs of a step, and of the networks of a graph."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ktgdsl.backend.factories import initial_network
from ktgdsl.plan.model import Plan
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

    A network that learns counts three times its forward, a frozen one once; losses are left
    out.
    """

    def __init__(self) -> None:
        self._forward: dict[str, int] = {}

    def of(self, plan: Plan) -> int:
        """The FLOPs of all networks of a plan."""
        count = 0
        for name, node in plan.graph.networks.items():
            word = str(node.network)
            if word not in self._forward:
                self._forward[word] = _forward(initial_network(plan, node, 0), plan.data.shape)
            count += (3 if node.learns and name == node.name else 1) * self._forward[word]
        return count


@torch.no_grad()
def _forward(network: nn.Module, shape: tuple[int, int, int]) -> int:
    with eval_mode([network]):
        try:
            return operations(lambda: network(torch.zeros(1, *shape)))
        except Exception:  # a network of the user's; the error is reported when it is trained
            return 0
