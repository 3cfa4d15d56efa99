"""Executor: each network on a CUDA stream of its own, so that small kernels run concurrently."""

from collections.abc import Callable

import torch
from torch import Tensor

from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.output import Output
from ktgdsl.backend.partition import split_networks


def on_streams(graph: TrainingGraph, device: torch.device) -> Callable[..., Output]:
    """A function that computes what the graph does, each network on a stream of its own.

    Autograd computes the backward pass of each on the stream of its forward pass. Networks must
    not share parameters or streams of random numbers.
    """
    networks, rest = split_networks(graph)
    streams = [torch.cuda.Stream(device) for _ in networks]  # type: ignore[no-untyped-call]

    def compute(image: Tensor, *others: Tensor) -> Output:
        current = torch.cuda.current_stream(device)
        outputs = []
        for network, stream in zip(networks, streams, strict=True):
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                outputs.append(network(image))
            # Else the memory could be reused on its own stream as soon as Python drops the tensor.
            image.record_stream(stream)
        for each, stream in zip(outputs, streams, strict=True):
            current.wait_stream(stream)
            for tensor in each.values() if isinstance(each, dict) else [each]:
                tensor.record_stream(current)
        output: Output = rest(image, *others, *outputs)
        return output

    return compute
