"""Builds the graph of a plan from the state after the passes."""

from typing import Final, Literal

from ktgdsl.lowering.blocks import Settings
from ktgdsl.lowering.draft import DraftDerived, DraftEdge, DraftNode
from ktgdsl.lowering.passes import PassState, peers
from ktgdsl.plan import model
from ktgdsl.vocabulary.settings import TrainSettings

Files = dict[str, model.WeightsFile | None]

OWN: Final = "own"
"""The weights that a network is made with."""

_POINTERS = ("members", "of")
"""The arguments of derived nodes that `sources` stands for."""


def assemble(state: PassState, found: Settings, files: Files) -> model.Graph:
    """The graph after all passes; `files` are the weights by the path that nodes name."""
    train = found.train
    dropped_nodes = {dropped.name for dropped in state.dropped if dropped.kind == "node"}
    sources = peers(state.edges) if train.aggregate == "mean" else {}
    return model.Graph.model_construct(
        name=state.draft.name,
        targets=tuple(state.draft.targets),
        nodes=tuple(
            _node(node, state.frozen.get(name), found, files)
            for name, node in state.draft.nodes.items()
            if name not in dropped_nodes
        ),
        edges=tuple(
            model.Edge.model_construct(
                source=edge.source,
                destination=edge.destination,
                terms=edge.terms,
                # The DML paper's 1/(K-1) (Zhang et al., CVPR 2018); labels have 1.
                scale=_scale(edge, sources),
            )
            for edge in state.edges
        ),
        derived=tuple(
            _derived(node, train)
            for name, node in state.draft.derived.items()
            if name not in dropped_nodes
        ),
        shares=tuple(
            model.SharedLayers.model_construct(
                nodes=share.nodes, layers=share.layers, grad=share.grad
            )
            for share in state.draft.shares
            if share.nodes[0] not in dropped_nodes
        ),
        dropped=state.dropped,
    )


def _scale(edge: DraftEdge, sources: dict[str, int]) -> float:
    destination = edge.destination.node
    if model.node_of(edge.source) in (None, destination):
        return 1.0
    return 1.0 / sources.get(destination, 1)


def _node(node: DraftNode, frozen: str | None, found: Settings, files: Files) -> model.Node:
    settings = node.settings
    weights = _weights(node, frozen, files)
    block = found.pretrain if frozen is not None and weights is None else found.train
    return model.Node.model_construct(
        name=node.name,
        network=node.network.call(),
        frozen=frozen,
        weights=weights,
        mode=settings.mode,
        cache=settings.cache,
        keep=settings.keep,
        optimizer=(settings.optimizer or block.optimizer).call(),
        schedule=(settings.schedule or block.schedule).call(),
        device=settings.device,
        heads=tuple(head.name for head in settings.heads),
    )


def _weights(
    node: DraftNode, frozen: str | None, files: Files
) -> model.WeightsFile | Literal["own"] | None:
    """The file that a node names, or "own", which is left out for a node that learns anyway."""
    written = node.settings.weights
    if written not in (None, OWN):
        return files[written]
    own = written == OWN or node.network.has_weights
    return OWN if own and frozen is not None else None


def _derived(node: DraftDerived, train: TrainSettings) -> model.DerivedNode:
    call = node.made.call()
    arguments = {name: v for name, v in call.arguments.items() if name not in _POINTERS}
    settings = node.settings
    return model.DerivedNode.model_construct(
        name=node.name,
        made=call.model_copy(update={"arguments": arguments}),
        sources=node.sources,
        keep=settings.keep,
        optimizer=(settings.optimizer or train.optimizer).call() if node.learned else None,
        schedule=(settings.schedule or train.schedule).call() if node.learned else None,
    )
