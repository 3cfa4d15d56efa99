"""The number of parameters of the networks in a plan, counted without building them."""

from ktgdsl.plan.heads import classes_answered
from ktgdsl.plan.model import DataPlan, Graph
from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.networks import Network
from ktgdsl.vocabulary.registry import entries


def parameter_count(network: Call, classes: int, channels: int) -> int | None:
    """The trainable parameters for images of so many channels; None for foreign networks."""
    return _network(network).parameters(classes, channels)


def total_parameters(graph: Graph, data: DataPlan) -> int | None:
    """The parameters of all networks, shared ones counted once; None with a foreign network."""
    total = 0
    for node in graph.nodes:
        classes = classes_answered(graph, data, node.name)
        stages = _network(node.network).stage_parameters(classes, data.shape[0])
        if stages is None:
            return None
        others = (each.layers for each in graph.shares if node.name in each.nodes[1:])
        shared = {layer for layers in others for layer in layers}
        total += sum(count for layer, count in stages.items() if layer not in shared)
    return total


def _network(call: Call) -> Network:
    entry = entries("network")[call.name].model_validate(call.arguments)
    assert isinstance(entry, Network)
    return entry
