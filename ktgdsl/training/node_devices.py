"""Nodes with devices of their own: the device of each network, and transfers between devices."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import NodeError, RunError
from ktgdsl.plan.model import Plan
from ktgdsl.training.device import choose_device


def node_devices(plan: Plan, device: torch.device) -> dict[str, torch.device]:
    """The device of each network of a plan that is run on `device`, where it is another.

    Raises:
        NodeError: where a node names one that is not here, or shares layers with others (E504).
    """
    found = dict(_elsewhere(plan, device))
    for share in plan.graph.shares:
        for name in share.nodes:
            if name in found:
                message = (
                    f"node `{name}` shares layers, and has to be on the run's device, {device}"
                )
                help = "leave `device` out; what is shared is computed once, in one place"
                raise NodeError(name, Diagnostic("E504", message, help=help), setting="device")
    return found


def _elsewhere(plan: Plan, device: torch.device) -> Iterator[tuple[str, torch.device]]:
    for name, node in plan.graph.networks.items():
        if node.device is None:
            continue
        try:
            own = choose_device(node.device)
        except RunError as error:
            (problem,) = error.diagnostics
            message = f"node `{node.name}`: {problem.message}"
            found = Diagnostic("E504", message, help=problem.help)
            raise NodeError(node.name, found, setting="device") from None
        if _number(own) != _number(device):
            yield name, own


def _number(device: torch.device) -> tuple[str, int]:
    """The kind of a device and its number: `cuda` is the current one, and there is one CPU."""
    current = torch.cuda.current_device() if device.type == "cuda" and device.index is None else 0
    return device.type, current if device.index is None else device.index


def place(network: nn.Module, own: torch.device, device: torch.device) -> None:
    """Let a network on a device of its own be called with images on `device`, for logits there.

    Gradients go the same way back.
    """
    network.register_forward_pre_hook(lambda _, inputs: _moved(inputs, own))
    network.register_forward_hook(lambda _, inputs, output: _moved(output, device))


def _moved(value: Any, device: torch.device) -> Any:
    match value:
        case Tensor():
            return value.to(device, non_blocking=device.type == "cuda")
        case tuple():
            return tuple(_moved(each, device) for each in value)
        case Mapping():
            return {key: _moved(each, device) for key, each in value.items()}
    return value
