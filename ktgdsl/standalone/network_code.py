"""The networks of a script: made as in a run, each from a random stream of its own."""

from collections.abc import Mapping
from itertools import groupby

from torch import nn

from ktgdsl.backend import networks
from ktgdsl.backend.factories import _logits, seed_dropouts
from ktgdsl.backend.heads import _by_head
from ktgdsl.backend.random_streams import ForwardStream
from ktgdsl.backend.seeds import derive
from ktgdsl.plan.model import Node, Plan
from ktgdsl.standalone.other_networks import (
    new_library_network,
    new_own_network,
    pretrained_network,
    torchvision_network,
)
from ktgdsl.standalone.source import Definitions, import_line, own_name
from ktgdsl.standalone.text import block, literal, options
from ktgdsl.standalone.weights_code import normalization_code, weights_code

BUILT_IN = {"resnet": networks.ResNet, "wrn": networks.WideResNet}
"""The classes of our own networks, by their words."""

OTHERS = ("torchvision", "timm", "python")
"""The words of networks of other code that scripts can have."""


def has_built_in(plan: Plan) -> bool:
    """Whether some network is ours."""
    return any(node.network.name in BUILT_IN for node in plan.graph.nodes)


def own_modules(plan: Plan) -> list[str]:
    """The modules that have the user's networks and data."""
    calls = [*(node.network for node in plan.graph.nodes), plan.data.source]
    own = (str(each.arguments["function"]) for each in calls if each.name == "python")
    return sorted({each.partition(":")[0] for each in own})


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


def new_networks(plan: Plan, networks: Mapping[str, nn.Module], used: Definitions) -> list[str]:
    """Statements that put the networks of a plan's nodes into `networks`.

    `networks` has them as they are made here.
    """
    made = [(_made(node, plan, used), node.name) for node in plan.graph.nodes]
    lines = ["networks: dict[str, nn.Module] = {}"]
    for call, group in groupby(made, key=lambda each: each[0]):
        found = [name for _, name in group]
        if len(found) == 1:
            name = literal(found[0])
            lines.append(f"networks[{name}] = {call.format(name)}")
        else:
            lines += [
                f"for name in {literal(tuple(found))}:",
                f"    networks[name] = {call.format('name')}",
            ]
    for node in plan.graph.nodes:
        lines += weights_code(node, networks[node.name], used)
        lines += normalization_code(node, networks[node.name], plan.data, used)
    return lines


def _made(node: Node, plan: Plan, used: Definitions) -> str:
    """A call that makes the network of a node, with `{}` for its name."""
    if node.network.name in BUILT_IN:
        return f"new_network({_braced(_make(node, plan, used))}, seed, {{}}, device)"
    if node.network.name == "python":
        used.add(new_own_network)
        make, shape = _braced(_own(node, used)), literal(plan.data.shape)
        return f"new_own_network({make}, {shape}, seed, {{}}, device, {_answer(node, used)})"
    used.add(new_library_network)
    used.imports.add("from functools import partial")
    make = _braced(_of_library(node, plan, used))
    return f"new_library_network({make}, seed, {{}}, device)"


def _answer(node: Node, used: Definitions) -> str:
    """A hook that takes the logits out of what a network gives."""
    if len(node.heads) < 2:
        used.add(_logits)
        return "_logits"
    used.add(_by_head)
    used.imports.add("from functools import partial")
    return f"partial(_by_head, {literal(node.heads)})"


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _of_library(node: Node, plan: Plan, used: Definitions) -> str:
    arguments = dict(node.network.arguments)
    name, channels = literal(arguments.pop("name")), plan.data.shape[0]
    classes = plan.data.classes_of(next(iter(node.heads), None))
    if node.network.name == "timm":
        used.imports.add("import timm")
        if arguments["pretrained"] and channels == 1:
            channels = 3  # which the normalisation makes of them
        more = options({**arguments, "num_classes": classes, "in_chans": channels})
        return f"partial(timm.create_model, {name}, {more})"
    if arguments["weights"] is not None:
        used.add(pretrained_network)
        weights = literal(str(arguments["weights"]).rpartition(".")[2])
        return f"partial(pretrained_network, {name}, {weights}, classes={classes})"
    used.add(torchvision_network)
    return f"partial(torchvision_network, {name}, channels={channels}, classes={classes})"


def _own(node: Node, used: Definitions) -> str:
    arguments = dict(node.network.arguments)
    module, _, function = str(arguments.pop("function")).partition(":")
    name = own_name(module, function)
    used.own.add(import_line(name, (module, function)))
    if not arguments:
        return name
    used.imports.add("from functools import partial")
    return f"partial({name}, {options(arguments)})"


def forward_streams(plan: Plan, used: Definitions) -> list[str]:
    """Statements that make `streams`, from which networks of other code draw in each step.

    None where all networks, and those that follow them, are ours.
    """
    names = [node.name for node in plan.graph.nodes if node.network.name in OTHERS]
    for follower in plan.graph.followers:
        if follower.sources[0] in names:
            names.append(follower.name)
    if not names:
        return []
    used.add(ForwardStream, derive)
    stream = 'ForwardStream(networks[name], derive(seed, "forward", name))'
    if len(names) == 1:
        return [f"streams = [{stream.replace('name', literal(names[0]))}]"]
    return [f"streams = [{stream} for name in {literal(tuple(names))}]"]


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
