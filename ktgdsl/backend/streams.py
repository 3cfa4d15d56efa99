"""The networks of a graph on CUDA streams of their own, so that small kernels run side by side."""

from collections.abc import Callable

import torch
from torch import Tensor

from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.output import Output
from ktgdsl.backend.partition import apart


def on_streams(
    graph: TrainingGraph, device: torch.device
) -> Callable[[Tensor, Tensor, Tensor], Output]:
    """What the graph computes, with each network on a stream of its own of the device.

    Autograd computes the backward pass of each on the stream of its forward pass. Networks must
    not share parameters or streams of random numbers.
    """
    networks, rest = apart(graph)
    streams = [torch.cuda.Stream(device) for _ in networks]  # type: ignore[no-untyped-call]

    def compute(image: Tensor, label: Tensor, progress: Tensor) -> Output:
        here = torch.cuda.current_stream(device)
        logits = []
        for network, stream in zip(networks, streams, strict=True):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                logits.append(network(image))
            # The memory of a tensor is free for its stream when Python lets go of it.
            image.record_stream(stream)
        for each, stream in zip(logits, streams, strict=True):
            here.wait_stream(stream)
            each.record_stream(here)
        output: Output = rest(image, label, progress, *logits)
        return output

    return compute
