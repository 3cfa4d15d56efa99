"""The short lines of a network in a vertex: its name, and the arguments that tell nodes apart."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ktgdsl.plan.model import Call
from ktgdsl.space.unparse_calls import arguments_text
from ktgdsl.vocabulary.networks import shorthand


class _Label(NamedTuple):
    """The name of a network, and its other arguments as texts."""

    name: str
    others: tuple[str, ...]


def network_labels(networks: Iterable[Call]) -> Mapping[str, tuple[str, ...]]:
    """The lines of each network by the text of its call: `resnet20` and `width=32`.

    A built-in network has its short name, one of a library its name there, an own one that of
    its function. Arguments follow where networks of one name differ in them.
    """
    labels = {str(call): _label(call) for call in networks}
    found = {}
    for text, label in labels.items():
        namesakes = [each.others for each in labels.values() if each.name == label.name]
        differing = [
            argument for argument in label.others if not all(argument in each for each in namesakes)
        ]
        found[text] = (label.name, *differing)
    return found


def _label(call: Call) -> _Label:
    arguments = call.arguments
    match call.name:
        case "resnet":
            plain = Call(name="resnet", arguments={"depth": arguments["depth"], "stride": 1})
            return _Label(shorthand(plain), _without(call, "depth"))
        case "wrn":
            sizes = {name: arguments[name] for name in ("depth", "widen")}
            plain = Call(name="wrn", arguments={**sizes, "dropout": 0, "stride": 1})
            return _Label(shorthand(plain), _without(call, "depth", "widen"))
        case "torchvision" | "timm":
            return _Label(str(arguments["name"]), _without(call, "name"))
        case "python":
            return _Label(str(arguments["function"]).rpartition(":")[2], _without(call, "function"))
    return _Label(shorthand(call), ())


def _without(call: Call, *names: str) -> tuple[str, ...]:
    """The arguments that are not usual, but for some that the name says; a string bare."""
    rest = {name: value for name, value in call.arguments.items() if name not in names}
    texts = arguments_text("network", Call(name=call.name, arguments=rest))
    return tuple(text.partition("=")[2].strip('"') if '"' in text else text for text in texts)
