"""Executor: the networks of a graph side by side on a CPU, each in a thread of its own.

Cores gain little on the small tensors of small networks, and more with a network each: only
logits pass between the nodes of a graph.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.output import Output
from ktgdsl.backend.partition import split_networks


def side_by_side(graph: TrainingGraph, threads: int) -> Callable[[Tensor, Tensor, Tensor], Output]:
    """A function that computes what the graph does, and its gradients, networks side by side.

    Each network has a thread of its own, which computes with `threads` threads; the losses and
    gates are computed in the caller's thread. Networks must not share parameters or streams of
    random numbers.
    """
    networks, rest = split_networks(graph)
    # Autograd records a function only if an input needs a gradient, and images do not.
    root = torch.zeros((), requires_grad=True)

    def compute(image: Tensor, label: Tensor, progress: Tensor) -> Output:
        logits = _SideBySide.apply(root, image, networks, _thread_pools(len(networks), threads))
        output: Output = rest(image, label, progress, *logits)
        return output

    return compute


@cache
def _thread_pools(count: int, threads: int) -> tuple[ThreadPoolExecutor, ...]:
    """`count` pools of one thread each, which computes with `threads` threads.

    Cached, so that a network always has the same thread.
    """
    before = torch.get_num_threads()
    pools = tuple(ThreadPoolExecutor(1, f"network-{number}") for number in range(count))
    for done in [each.submit(torch.set_num_threads, threads) for each in pools]:
        done.result()
    # Setting it in one thread also sets the default of threads that start later.
    torch.set_num_threads(before)
    return pools


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
            # Each thread has its own modes of autograd and autocast.
            with torch.enable_grad(), torch.autocast("cpu", dtype, enabled=half):
                logits: Tensor = network(image)
            return logits

        calls = [each.submit(call, own) for each, own in zip(threads, networks, strict=True)]
        ctx.logits, ctx.threads = [each.result() for each in calls], threads
        ctx.set_materialize_grads(False)
        outputs = tuple(each.detach() for each in ctx.logits)
        pairs = zip(ctx.logits, outputs, strict=True)
        ctx.mark_non_differentiable(*(own for each, own in pairs if not each.requires_grad))
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[None, None, None, None]:
        """Propagate the gradients of the logits to the parameters."""
        calls = [
            each.submit(torch.autograd.backward, logits, gradient)
            for each, logits, gradient in zip(ctx.threads, ctx.logits, gradients, strict=True)
            if gradient is not None
        ]
        for each in calls:
            each.result()
        return None, None, None, None
