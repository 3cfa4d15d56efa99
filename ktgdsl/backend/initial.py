"""A node's network with its initial weights, from the node's own random stream."""

from typing import Any

import torch
from torch import nn

from ktgdsl.backend import library, networks
from ktgdsl.backend.seeds import derive
from ktgdsl.backend.user_code import UnusableError, call, told
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Node, Plan


def initial_network(plan: Plan, node: Node, seed: int) -> nn.Module:
    """The network of a node, its weights drawn from the stream (seed, "initial", name).

    The global random state is left as it was. Raises RunError when a library has no such
    network, or a factory of the user's cannot be imported, fails, or gives no module.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "initial", node.name))
        network = make(node, plan)
    for number, module in enumerate(network.modules()):
        if isinstance(module, networks.Dropout):
            module.seed(derive(seed, "dropout", node.name, number))
    return network


def make(node: Node, plan: Plan) -> nn.Module:
    """The module that a node's network word stands for, for the data of the plan."""
    network, channels, classes = node.network, plan.data.shape[0], plan.data.classes
    match network.name:
        case "python":
            return _from_factory(node, plan.folder)
        case "torchvision" | "timm":
            return _from_library(node, channels, classes)
    return networks.make(network.name, network.arguments, channels, classes)


def _from_library(node: Node, channels: int, classes: int) -> nn.Module:
    arguments: dict[str, Any] = dict(node.network.arguments)
    word, name = node.network.name, arguments["name"]
    try:
        if word == "timm":
            return library.timm_network(name, arguments["pretrained"], channels, classes)
        return library.torchvision_network(name, arguments["weights"], channels, classes)
    except UnusableError as error:
        raise _unusable(node, name, str(error), error.help) from error
    except Exception as error:  # a download, or what else a library may raise
        raise _unusable(node, name, f"cannot be made: {told(error)}") from error


def _from_factory(node: Node, folder: str | None) -> nn.Module:
    arguments = dict(node.network.arguments)
    place = str(arguments.pop("function"))
    try:
        made = call(place, folder, **arguments)
    except UnusableError as error:
        raise _unusable(node, place, str(error), error.help) from error
    if not isinstance(made, nn.Module):
        problem = f"gives a {type(made).__name__}, and a node needs an nn.Module"
        raise _unusable(node, place, problem)
    return made


def _unusable(node: Node, place: str, problem: str, help: str | None = None) -> RunError:
    """The complaint about a factory, or about the network of a library."""
    message = f'the network {node.network.name}("{place}") of node `{node.name}` {problem}'
    return RunError([Diagnostic("E505", message, help=help)])
