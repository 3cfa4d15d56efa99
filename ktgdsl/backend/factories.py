"""Makes a node's network, its initial weights drawn from the node's own random stream."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ktgdsl.backend import library, networks
from ktgdsl.backend.heads import answer_by_head
from ktgdsl.backend.networks import Dropout
from ktgdsl.backend.own_code_errors import describe_with_place
from ktgdsl.backend.random_streams import random_stream
from ktgdsl.backend.scripted import Scripted
from ktgdsl.backend.seeds import derive
from ktgdsl.backend.user_code import UnusableError, call_user_function
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import NodeError, describe
from ktgdsl.plan.model import Node, Plan


def initial_network(plan: Plan, node: Node, seed: int) -> nn.Module:
    """The network of a node, its weights drawn from the stream (seed, "initial", name).

    The global random state is left as it was. Raises RunError when a library has no such
    network, or a factory of the user's cannot be imported, fails, or gives no module.
    """
    with random_stream(derive(seed, "initial", node.name)):
        network = FACTORIES[node.network.name](node, plan)
    seed_dropouts(network, seed, node.name)
    return network


def seed_dropouts(network: nn.Module, seed: int, node: str) -> None:
    """Start the random streams of dropout in the network of a node."""
    for number, module in enumerate(network.modules()):
        if isinstance(module, Dropout):
            module.seed(derive(seed, "dropout", node, number))


def _built_in(node: Node, plan: Plan) -> nn.Module:
    network, data = node.network, plan.data
    return networks.make(network.name, network.arguments, data.shape[0], _classes(node, plan))


def _classes(node: Node, plan: Plan) -> int:
    """How many classes a network of one head has to tell apart."""
    return plan.data.classes_of(next(iter(node.heads), None))


def _from_library(factory: Callable[..., nn.Module], node: Node, plan: Plan) -> nn.Module:
    arguments: dict[str, Any] = dict(node.network.arguments)
    try:
        return factory(
            **arguments,
            channels=plan.data.shape[0],
            classes=_classes(node, plan),
            frozen=node.weights == "own",
        )
    except UnusableError as error:
        raise _unusable(node, arguments["name"], str(error), error.help) from error
    except Exception as error:  # a download, or what else a library may raise
        problem = f"cannot be made: {describe(error)}"
        raise _unusable(node, arguments["name"], problem) from error


def _from_user(node: Node, plan: Plan) -> nn.Module:
    arguments = dict(node.network.arguments)
    function = str(arguments.pop("function"))
    try:
        network: object = call_user_function(function, plan.folder, **arguments)
    except UnusableError as error:
        raise _unusable(node, function, str(error), error.help) from error
    if not isinstance(network, nn.Module):
        problem = f"gives a {type(network).__name__}, and a node needs an nn.Module"
        raise _unusable(node, function, problem)
    if isinstance(network, torch.jit.ScriptModule):
        network = Scripted(network)
    tensors = (*network.parameters(), *network.buffers())
    if any(each.is_meta for each in tensors):
        problem = "has weights on the device `meta`, which keeps no numbers"
        raise _unusable(node, function, problem, "make it on the CPU")
    if any(map(is_lazy, tensors)):
        _initialize(network, node, function, plan)
    if len(node.heads) > 1:
        answer_by_head(network, node.heads)
    else:
        network.register_forward_hook(_logits)
    return network


def _initialize(network: nn.Module, node: Node, function: str, plan: Plan) -> None:
    """Give lazy layers their shapes and initial weights, by a forward of two images of noise."""
    try:
        with torch.no_grad():
            network.eval()(torch.rand(2, *plan.data.shape))
    except Exception as error:  # of the user's code
        raise _unusable(node, function, f"fails on images: {describe_with_place(error)}") from error
    network.train()


def _logits(_: nn.Module, inputs: object, output: Any) -> Any:
    """The logits of an output that has more, as those of `transformers` do."""
    if isinstance(output, Tensor):
        return output
    found = output.get("logits") if isinstance(output, Mapping) else None
    return getattr(output, "logits", output) if found is None else found


FACTORIES: Mapping[str, Callable[[Node, Plan], nn.Module]] = {
    **dict.fromkeys(networks.NETWORKS, _built_in),
    "torchvision": partial(_from_library, library.torchvision_network),
    "timm": partial(_from_library, library.timm_network),
    "python": _from_user,
}
"""The function that makes a network, by its word in the vocabulary."""


def _unusable(node: Node, name: str, problem: str, help: str | None = None) -> NodeError:
    """The error about a factory of the user's, or about the network of a library."""
    message = f'the network {node.network.name}("{name}") of node `{node.name}` {problem}'
    return NodeError(node.name, Diagnostic("E505", message, help=help))
