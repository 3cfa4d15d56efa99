"""A node's network with its initial weights, from the node's own random stream."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path

import torch
from torch import nn

from ktgdsl.errors import RunError
from ktgdsl.language.diagnostic import Diagnostic
from ktgdsl.plan.model import Node, Plan
from ktgdsl.torch_backend import networks
from ktgdsl.torch_backend.seeds import derive


def initial_network(plan: Plan, node: Node, seed: int) -> nn.Module:
    """The network of a node, its weights drawn from the stream (seed, "initial", name).

    The global random state is left as it was. Raises RunError when a factory of the
    user's cannot be imported, fails, or gives no module.
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
    network = node.network
    if network.name == "python":
        return _from_factory(node, plan.folder)
    return networks.make(network.name, network.arguments, plan.data.shape[0], plan.data.classes)


def _from_factory(node: Node, folder: str | None) -> nn.Module:
    arguments = dict(node.network.arguments)
    place = str(arguments.pop("function"))
    module, _, name = place.partition(":")
    with _first_on_path(folder):
        if other := _hidden_by(module, folder):
            hidden = f"is hidden by a module of that name, imported from {other}"
            raise _unusable(node, place, hidden, folder)
        try:
            factory: Callable[..., object] = getattr(import_module(module), name)
        except Exception as error:
            problem = f"cannot be imported: {_told(error)}"
            raise _unusable(node, place, problem, folder) from error
        try:
            made = factory(**arguments)
        except Exception as error:
            raise _unusable(node, place, f"fails: {_told(error)}") from error
    if not isinstance(made, nn.Module):
        problem = f"gives a {type(made).__name__}, and a node needs an nn.Module"
        raise _unusable(node, place, problem)
    return made


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _unusable(node: Node, place: str, problem: str, folder: str | None = None) -> RunError:
    """The complaint about a factory; `folder` where it is about finding it."""
    help = folder and f"modules are looked up beside the spec, in {folder}, then where Python looks"
    message = f'the network python("{place}") of node `{node.name}` {problem}'
    return RunError([Diagnostic("E505", message, help=help)])


def _hidden_by(module: str, folder: str | None) -> str | None:
    """The file of a module imported earlier under the name of one in the folder, or None.

    Python would use it without a word, such as the `nets.py` beside another spec.
    """
    top = module.partition(".")[0]
    loaded = getattr(sys.modules.get(top), "__file__", None)
    found = PathFinder.find_spec(top, [folder]) if loaded and folder is not None else None
    if loaded is None or found is None or found.origin is None:
        return None
    same = Path(found.origin).resolve() == Path(loaded).resolve()
    return None if same else loaded


@contextmanager
def _first_on_path(folder: str | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
