"""Splits a training graph into its networks, and the losses computed from their logits."""

from torch import fx, nn

from ktgdsl.backend.graph import TrainingGraph


def split_networks(graph: TrainingGraph) -> tuple[list[nn.Module], fx.GraphModule]:
    """The networks in the order of their calls, and the rest of the graph.

    The rest takes the inputs of the graph, (image, label, progress) and perhaps the numbers of
    the samples, and what each network gives, in that order, to an `Output`.
    """
    called = [node for node in graph.graph.nodes if "network" in node.meta]
    networks = [graph.get_submodule(str(node.target)) for node in called]
    rest = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    inputs = [node for node in graph.graph.nodes if node.op == "placeholder"]
    for node in [*inputs, *called]:
        copies[node] = rest.placeholder(node.name)
    for node in graph.graph.nodes:
        if node not in copies:
            copies[node] = rest.node_copy(node, copies.__getitem__)
    return networks, fx.GraphModule(graph, rest)
