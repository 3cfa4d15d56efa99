"""The networks of a graph at the same time on a CPU, each in a thread, over the same weights.

Small networks have small tensors, which several cores cannot share well. Whole networks they
can: nothing passes between the nodes of a graph but logits.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.output import Output
from ktgdsl.backend.partition import apart


def side_by_side(graph: TrainingGraph, threads: int) -> Callable[[Tensor, Tensor, Tensor], Output]:
    """What the graph computes, and its gradients, with the networks side by side.

    Each network has a thread of its own, which computes with `threads` threads; what is left
    of the graph, losses and gates, is computed by the caller, as is. Networks must not share
    parameters or streams of random numbers.
    """
    networks, rest = apart(graph)
    # What autograd records needs an input with a gradient, and images have none.
    root = torch.zeros((), requires_grad=True)

    def compute(image: Tensor, label: Tensor, progress: Tensor) -> Output:
        logits = _SideBySide.apply(root, image, networks, _threads(len(networks), threads))
        output: Output = rest(image, label, progress, *logits)
        return output

    return compute


@cache
def _threads(count: int, threads: int) -> tuple[ThreadPoolExecutor, ...]:
    """So many threads, each of which computes with so many; a network has always the same one."""
    before = torch.get_num_threads()
    made = tuple(ThreadPoolExecutor(1, f"network-{number}") for number in range(count))
    for begun in [each.submit(torch.set_num_threads, threads) for each in made]:
        begun.result()
    # Setting it in one thread is also the default of all that begin later.
    torch.set_num_threads(before)
    return made


class _SideBySide(torch.autograd.Function):
    """Networks called at the same time, and their backward passes too.

    Backward adds to the gradients of the parameters, as a backward pass through them would.
    """

    @staticmethod
    def forward(
        ctx: Any,
        root: Tensor,
        image: Tensor,
        networks: Sequence[nn.Module],
        threads: Sequence[ThreadPoolExecutor],
    ) -> tuple[Tensor, ...]:
        """Logits (B, classes, ...) of each network."""
        half, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

        def call(network: nn.Module) -> Tensor:
            # Modes of autograd and autocast are those of a thread.
            with torch.enable_grad(), torch.autocast("cpu", dtype, enabled=half):
                logits: Tensor = network(image)
            return logits

        begun = [each.submit(call, own) for each, own in zip(threads, networks, strict=True)]
        ctx.logits, ctx.threads = [each.result() for each in begun], threads
        ctx.set_materialize_grads(False)
        told = tuple(each.detach() for each in ctx.logits)
        pairs = zip(ctx.logits, told, strict=True)
        ctx.mark_non_differentiable(*(own for each, own in pairs if not each.requires_grad))
        return told

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[None, None, None, None]:
        """Takes the gradient of each of the logits on to the parameters."""
        begun = [
            each.submit(torch.autograd.backward, logits, gradient)
            for each, logits, gradient in zip(ctx.threads, ctx.logits, gradients, strict=True)
            if gradient is not None
        ]
        for each in begun:
            each.result()
        return None, None, None, None
