"""Splits a training graph into its networks and the rest, which computes losses from outputs."""

from itertools import groupby
from typing import NamedTuple

from torch import fx, nn

from ktgdsl.backend.graph import TrainingGraph


class NetworkCall(NamedTuple):
    """A call of a network on one of the inputs of the graph, by its position."""

    module: nn.Module
    input: int


def split_networks(graph: TrainingGraph) -> tuple[list[list[NetworkCall]], fx.GraphModule]:
    """The calls of each network, in the order of its calls, and the rest of the graph.

    A network has two calls where both views of the batch are read, the second after the first. The
    rest takes the inputs of the graph, and what each call gives, in order, to an `Output`.
    """
    called = [node for node in graph.graph.nodes if "network" in node.meta]
    inputs = [node for node in graph.graph.nodes if node.op == "placeholder"]
    networks = [
        [
            NetworkCall(graph.get_submodule(str(call.target)), inputs.index(call.args[0]))
            for call in calls
        ]
        for _, calls in groupby(called, lambda call: call.meta["network"].node)
    ]
    rest = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in [*inputs, *called]:
        copies[node] = rest.placeholder(node.name)
    for node in graph.graph.nodes:
        if node not in copies:
            copies[node] = rest.node_copy(node, copies.__getitem__)
    return networks, fx.GraphModule(graph, rest)
