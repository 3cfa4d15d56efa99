"""The ensembles of a plan as entries of the vocabulary, and the numbers of their parameters."""

from ktgdsl.plan.graph import LOGITS, DerivedNode, Graph
from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.combines import Combine
from ktgdsl.vocabulary.derived import Ensemble
from ktgdsl.vocabulary.networks import Network
from ktgdsl.vocabulary.refs import NodeRef
from ktgdsl.vocabulary.registry import entry_of


def ensembles_of(graph: Graph) -> dict[str, Ensemble]:
    """The ensembles of a graph by name."""
    made = {each.name: each for each in graph.derived if each.made.name == Ensemble.word}
    return {name: _ensemble(each) for name, each in made.items()}


def _ensemble(node: DerivedNode) -> Ensemble:
    arguments = dict(node.made.arguments)
    combine = entry_of(Combine, Call.model_validate(arguments.pop("combine")))
    sources = [NodeRef(name) for name in node.sources]
    return Ensemble.model_validate({**arguments, "combine": combine, "members": sources})


def mixer_parameters(graph: Graph, node: DerivedNode, classes: int) -> int | None:
    """The number of an ensemble's own parameters; None where networks have to be built for it."""
    made = ensembles_of(graph)[node.name]
    gate_tap = made.gate_tap
    places = [(str(gate_tap.node), gate_tap.path)] if gate_tap is not None else []
    if made.reads_features:
        places = [(source, "features") for source in node.sources]
    channels = [_channels(graph, *place, classes) for place in places]
    known = [count for count in channels if count is not None]
    if len(known) < len(channels):
        return None
    return made.combine.parameters(known, len(node.sources), classes)


def _channels(graph: Graph, node: str, tap: str, classes: int) -> int | None:
    """How many channels there are at a place inside of a node's network."""
    network = entry_of(Network, graph.networks[node].network)
    return classes if tap == LOGITS else network.channels(tap)
