"""The networks of a script: made as in a run, each from a random stream of its own."""

from itertools import groupby

from ktgdsl.backend import networks
from ktgdsl.backend.factories import seed_dropouts
from ktgdsl.backend.seeds import derive
from ktgdsl.plan.model import Node, Plan
from ktgdsl.standalone.source import Definitions
from ktgdsl.standalone.text import block, literal, options

BUILT_IN = {"resnet": networks.ResNet, "wrn": networks.WideResNet}
"""The classes of our own networks, by their words."""


def new_network_code(plan: Plan, used: Definitions) -> str:
    """`new_network`: a network with initial weights, on the device."""
    used.add(derive)
    used.imports |= {
        "import torch",
        "from torch import nn",
        "from collections.abc import Callable",
        "from functools import partial",
    }
    if drops(plan):
        used.add(seed_dropouts)
    return block(
        "def new_network(",
        "    make: Callable[[], nn.Module], seed: int, name: str, device: torch.device",
        ") -> nn.Module:",
        '    """A network whose initial weights come from the random stream of its name."""',
        '    torch.manual_seed(derive(seed, "initial", name))',
        "    network = make().to(device)",
        "    seed_dropouts(network, seed, name)" if drops(plan) else None,
        '    if device.type == "cpu":',
        "        network.to(memory_format=torch.channels_last)  # faster there",
        "    return network",
    )


def new_networks(plan: Plan, used: Definitions) -> list[str]:
    """Statements that put the networks of a plan's nodes into `networks`."""
    made = [(_make(node, plan, used), node.name) for node in plan.graph.nodes]
    lines = ["networks: dict[str, nn.Module] = {}"]
    for make, group in groupby(made, key=lambda each: each[0]):
        found = [name for _, name in group]
        if len(found) == 1:
            name = literal(found[0])
            lines.append(f"networks[{name}] = new_network({make}, seed, {name}, device)")
        else:
            lines += [
                f"for name in {literal(tuple(found))}:",
                f"    networks[name] = new_network({make}, seed, name, device)",
            ]
    return lines


def drops(plan: Plan) -> bool:
    """Whether some network has dropout."""
    return any(node.network.arguments.get("dropout") for node in plan.graph.nodes)


def follower_networks(plan: Plan, used: Definitions) -> list[str]:
    """Statements that put the networks of followers into `networks`."""
    lines = []
    for each in plan.graph.followers:
        used.imports.add("from copy import deepcopy")
        name = literal(each.name)
        copied = f"deepcopy(networks[{literal(each.sources[0])}]).requires_grad_(False)"
        lines.append(f"networks[{name}] = {copied}")
        if drops(plan):
            lines.append(f"seed_dropouts(networks[{name}], seed, {name})")
    return lines


def _make(node: Node, plan: Plan, used: Definitions) -> str:
    """A callable expression that makes the network of a node."""
    kind, data = BUILT_IN[node.network.name], plan.data
    used.add(kind)
    arguments: dict[str, object] = dict(node.network.arguments)
    if arguments.get("stride") == 1:  # as by default
        del arguments["stride"]
    if arguments.get("width") == 16:
        del arguments["width"]
    classes = data.classes_of(next(iter(node.heads), None))
    arguments |= {"channels": data.shape[0], "classes": classes}
    return f"partial({kind.__name__}, {options(arguments)})"
