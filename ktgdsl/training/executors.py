"""Executors: callables that compute an update, or a whole step, in the way that was chosen."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.networks import Dropout
from ktgdsl.backend.output import Output
from ktgdsl.backend.side_by_side import side_by_side
from ktgdsl.backend.streams import on_streams
from ktgdsl.training.captured import CapturedStep, Compute, Record
from ktgdsl.training.execution import Execution, threads_per_network
from ktgdsl.training.process_settings import keep_compiled_code

ANY_MEMORY_FORMAT = frozenset({"resnet", "wrn", "torchvision", "timm"})
"""Networks that compute the same in any memory format; a foreign one may call `view`."""

Executor = Callable[..., Output]
"""(image, label, progress) and what else the `TrainingGraph` reads of a batch to an `Output`."""


def update_executors(
    graphs: Sequence[TrainingGraph], execution: Execution, device: torch.device
) -> list[Executor]:
    """The executor of each update of a step, which computes its losses."""
    chosen: list[Executor] = [*graphs]
    networks = len(graphs[0].update.computed)
    if len(graphs) == 1 and networks > 1:
        if execution.networks.value == "side by side":
            chosen = [side_by_side(graphs[0], threads_per_network(networks))]
        elif (
            execution.launches.value == "captured"
            and device.type == "cuda"
            and not graphs[0].plan.graph.shares
        ):
            chosen = [on_streams(graphs[0], device)]
    if execution.compile.value == "on":
        keep_compiled_code()
        chosen = [torch.compile(each, dynamic=False) for each in chosen]
    return chosen


def step_executor(
    step: Compute,
    execution: Execution,
    tensors: Callable[[], Iterable[Tensor]],
    dropouts: Sequence[Dropout],
    record: Record,
) -> Compute:
    """The executor of whole steps from the present state on: all updates and optimisers.

    Args:
        step: computes the updates, and changes weights and optimisers.
        execution: how.
        tensors: gives all tensors that a step changes.
        dropouts: whose random streams a step advances.
        record: makes the recording of steps that are captured.
    """
    if execution.launches.value == "captured":
        return CapturedStep(step, tensors, dropouts, record)
    return step


def apply_memory_format(network: nn.Module, word: str, execution: Execution) -> None:
    """Bring a network, by its word in the vocabulary, into the memory format that was chosen.

    Weights alone: activations take the format of the first convolution's weights.
    """
    if word in ANY_MEMORY_FORMAT and execution.memory_format.value == "channels_last":
        network.to(memory_format=torch.channels_last)
