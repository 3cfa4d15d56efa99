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

    def compute(*inputs: Tensor) -> Output:
        current = torch.cuda.current_stream(device)
        outputs = []
        for network, stream in zip(networks, streams, strict=True):
            stream.wait_stream(current)
            for call in network:
                with torch.cuda.stream(stream):
                    outputs.append(call.module(inputs[call.input]))
                # Else the memory could be reused on its own stream once Python drops the tensor.
                inputs[call.input].record_stream(stream)
        for stream in streams:
            current.wait_stream(stream)
        for each in outputs:
            for tensor in each.values() if isinstance(each, dict) else [each]:
                tensor.record_stream(current)
        output: Output = rest(*inputs, *outputs)
        return output

    return compute
