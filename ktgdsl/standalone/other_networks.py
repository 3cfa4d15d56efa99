"""Networks of other code, for scripts: made as in a run, by random streams of their names."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

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


def pretrained_network(name: str, weights: str, classes: int) -> nn.Module:
    """A network of torchvision with the library's weights; of other classes the last are new."""
    from torchvision.models import get_model, get_model_weights

    network: nn.Module = get_model(name, num_classes=classes)
    own = network.state_dict()
    given = get_model_weights(name)[weights].get_state_dict(check_hash=True)
    fitting = {at: each for at, each in given.items() if at in own and each.shape == own[at].shape}
    network.load_state_dict(own | fitting)
    return network


def new_library_network(
    make: Callable[[], nn.Module], seed: int, name: str, device: torch.device
) -> nn.Module:
    """A network of a library, on the device; its weights come from the stream of its name."""
    with random_stream(derive(seed, "initial", name)):
        network = make()
    network = network.to(device)
    if device.type == "cpu":
        network.to(memory_format=torch.channels_last)  # faster there
    return network


def new_own_network(
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    seed: int,
    name: str,
    device: torch.device,
    answer: Callable[..., Any],
) -> nn.Module:
    """A network of your code, on the device; its weights come from the stream of its name.

    `shape` is that of an image, from which lazy layers get theirs, and `answer` a hook that takes
    the logits out of what it gives.
    """
    with random_stream(derive(seed, "initial", name)):
        network = make()
        if any(map(is_lazy, (*network.parameters(), *network.buffers()))):
            with torch.no_grad():
                network.eval()(torch.rand(2, *shape))
            network.train()
    network.register_forward_hook(answer)
    return network.to(device)
