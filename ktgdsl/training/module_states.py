"""Saves and loads the states of modules: weights, buffers and random streams of dropout."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ktgdsl.backend.networks import Dropout
from ktgdsl.training.state_checks import require_like


def module_states(
    networks: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]
) -> dict[str, Any]:
    """The states of networks by node, and of connectors and mixers by their names."""
    return {
        "networks": {name: each.state_dict() for name, each in networks.items()},
        "connectors": {name: each.state_dict() for name, each in parts.items()},
        "dropout": {
            name: [dropout.state() for dropout in dropouts(network)]
            for name, network in networks.items()
        },
    }


def load_module_states(
    state: Mapping[str, Any], networks: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]
) -> None:
    """Load the `module_states` of the same modules.

    Raises ValueError, or whatever torch does, where it is of others.
    """
    own = module_states(networks, parts)
    for what in ("networks", "connectors"):
        require_like(state[what], own[what], what)
    for name, network in networks.items():
        network.load_state_dict(state["networks"][name])
        for dropout, stream in zip(dropouts(network), state["dropout"][name], strict=True):
            dropout.set_state(stream)
    for name, part in parts.items():
        part.load_state_dict(state["connectors"][name])


def dropouts(network: nn.Module) -> list[Dropout]:
    """The modules of a network that draw random numbers of their own."""
    return [module for module in network.modules() if isinstance(module, Dropout)]
