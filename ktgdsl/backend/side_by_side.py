"""Executor: the networks of a graph side by side on a CPU, each in a thread of its own.

Cores gain little on the small tensors of small networks, and more with a network each: only
logits, and outputs at taps, pass between the nodes of a graph.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.output import Output
from ktgdsl.backend.partition import NetworkCall, split_networks
from ktgdsl.plan.model import LOGITS


def side_by_side(graph: TrainingGraph, threads: int) -> Callable[..., Output]:
    """A function that computes what the graph does, and its gradients, networks side by side.

    Each network has a thread of its own, which computes with `threads` threads; the losses and
    gates are computed in the caller's thread. Networks must not share parameters or streams of
    random numbers.
    """
    networks, rest = split_networks(graph)
    taps = [call.taps for call in graph.update.computed]
    # Autograd records a function only if an input needs a gradient, and images do not.
    root = torch.zeros((), requires_grad=True)

    def compute(*inputs: Tensor) -> Output:
        pools = _thread_pools(len(networks), threads)
        values = iter(_SideBySide.apply(root, inputs, networks, pools))
        outputs = [
            next(values) if names == (LOGITS,) else {name: next(values) for name in names}
            for names in taps
        ]
        output: Output = rest(*inputs, *outputs)
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
        inputs: Sequence[Tensor],
        networks: Sequence[Sequence[NetworkCall]],
        threads: Sequence[ThreadPoolExecutor],
    ) -> tuple[Tensor, ...]:
        """The outputs of each call: logits (B, classes, ...), or what is read at taps.

        The calls of a network are one after the other.
        """
        half, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

        def call(network: Sequence[NetworkCall]) -> list[Tensor]:
            # Each thread has its own modes of autograd and autocast.
            with torch.enable_grad(), torch.autocast("cpu", dtype, enabled=half):
                outputs = [each.module(inputs[each.input]) for each in network]
            parts = (each.values() if isinstance(each, dict) else [each] for each in outputs)
            return [tensor for values in parts for tensor in values]

        calls = [each.submit(call, own) for each, own in zip(threads, networks, strict=True)]
        ctx.outputs, ctx.threads = [each.result() for each in calls], threads
        ctx.set_materialize_grads(False)
        computed = [each for outputs in ctx.outputs for each in outputs]
        detached = tuple(each.detach() for each in computed)
        pairs = zip(computed, detached, strict=True)
        ctx.mark_non_differentiable(*(own for each, own in pairs if not each.requires_grad))
        return detached

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[None, None, None, None]:
        """Propagate the gradients of the outputs to the parameters."""
        rest, calls = iter(gradients), []
        for thread, outputs in zip(ctx.threads, ctx.outputs, strict=True):
            pairs = [(output, next(rest)) for output in outputs]
            reached = [(output, slope) for output, slope in pairs if slope is not None]
            if reached:
                calls.append(thread.submit(torch.autograd.backward, *zip(*reached, strict=True)))
        for each in calls:
            each.result()
        return None, None, None, None
