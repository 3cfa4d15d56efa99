"""Networks of other code, for scripts: made as in a run, by random streams of their names."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ktgdsl.backend.factories import _logits
from ktgdsl.backend.library import _sum_input_channels
from ktgdsl.backend.random_streams import random_stream
from ktgdsl.backend.seeds import derive


def torchvision_network(name: str, channels: int, classes: int) -> nn.Module:
    """A network of torchvision with initial weights; of one channel it sums those of three."""
    from torchvision.models import get_model

    network: nn.Module = get_model(name, num_classes=classes)
    if channels == 1:
        _sum_input_channels(network)
    return network


def new_other_network(
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    seed: int,
    name: str,
    device: torch.device,
    *,
    any_format: bool,
) -> nn.Module:
    """A network of other code with initial weights, on the device.

    What it draws at random comes from the stream of its name. `shape` is that of an image, and
    `any_format` says whether it computes the same in any memory format.
    """
    with random_stream(derive(seed, "initial", name)):
        network = make()
        if any(map(is_lazy, (*network.parameters(), *network.buffers()))):
            with torch.no_grad():
                network.eval()(torch.rand(2, *shape))
            network.train()
    network.register_forward_hook(_logits)
    network = network.to(device)
    if any_format and device.type == "cpu":
        network.to(memory_format=torch.channels_last)  # faster there
    return network
