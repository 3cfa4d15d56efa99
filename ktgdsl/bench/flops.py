"""FLOPs that are counted, not derived: of a step, and of a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ktgdsl.backend.initial import initial_network
from ktgdsl.plan.model import Plan
from ktgdsl.training.metrics import eval_mode


def operations(call: Callable[[], object]) -> int:
    """The FLOPs of a call: of its convolutions and matrix products, backward included.

    A multiplication and an addition are two. What the call compiles is not seen, nor what it
    leaves to other threads: make and take a step under `one_thread`.
    """
    from torch.utils.flop_counter import FlopCounterMode  # torch's tables take a second

    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()


@contextmanager
def one_thread() -> Iterator[None]:
    """Everything in the calling thread meanwhile: what is made then has no others."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Sizes:
    """About how many FLOPs training an image takes, by plan: to compare graphs of a space.

    A network that learns counts three times its forward, a frozen one once; losses are left
    out.
    """

    def __init__(self) -> None:
        self._forward: dict[str, int] = {}

    def of(self, plan: Plan) -> int:
        """Of all networks of a plan."""
        found = 0
        for node in plan.graph.nodes:
            word = str(node.network)
            if word not in self._forward:
                self._forward[word] = _forward(initial_network(plan, node, 0), plan.data.shape)
            found += (3 if node.learns else 1) * self._forward[word]
        return found


@torch.no_grad()
def _forward(network: nn.Module, shape: tuple[int, int, int]) -> int:
    with eval_mode([network]):
        try:
            return operations(lambda: network(torch.zeros(1, *shape)))
        except Exception:  # a network of the user's: what is wrong is told where it is trained
            return 0
