"""Executors: callables that compute a training graph in the way that was chosen."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.output import Output
from ktgdsl.backend.sequential import sequential_graphs
from ktgdsl.backend.side_by_side import side_by_side
from ktgdsl.backend.streams import on_streams
from ktgdsl.training.execution import Execution, threads_per_network
from ktgdsl.training.process_settings import keep_compiled_code

ANY_MEMORY_FORMAT = frozenset({"resnet", "wrn", "torchvision", "timm"})
"""Networks that compute the same in any memory format; a foreign one may call `view`."""

Executor = Callable[[Tensor, Tensor, Tensor], Output]
"""(image, label, progress) to an `Output`, as a `TrainingGraph` has it."""


def executors(graph: TrainingGraph, execution: Execution, device: torch.device) -> list[Executor]:
    """The executors of one step, each of which is followed by an update of the nodes in it.

    That is one of the whole graph, or with `update = sequential` one for each node that learns.
    Capture as a CUDA graph is not among them, since it takes the updates in as well.
    """
    chosen: list[Executor]
    if graph.plan.train.update == "sequential":
        chosen = [*sequential_graphs(graph).values()]
    elif execution.networks.value == "side by side":
        chosen = [side_by_side(graph, threads_per_network(len(graph.networks)))]
    elif execution.launches.value == "captured" and device.type == "cuda":
        chosen = [on_streams(graph, device)]
    else:
        chosen = [graph]
    if execution.compile.value == "on":
        keep_compiled_code()
        chosen = [torch.compile(each, dynamic=False) for each in chosen]
    return chosen


def apply_memory_format(network: nn.Module, word: str, execution: Execution) -> None:
    """Bring a network, by its word in the vocabulary, into the memory format that was chosen.

    Weights alone: activations take the format of the first convolution's weights.
    """
    if word in ANY_MEMORY_FORMAT and execution.memory_format.value == "channels_last":
        network.to(memory_format=torch.channels_last)
