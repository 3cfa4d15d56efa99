"""Checks of shared layers: sharers learn in the same phases, and no edge starts where it ends."""

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.lowering.draft import DraftEdge, DraftShare
from ktgdsl.lowering.passes import PassState, phases_of_nodes
from ktgdsl.plan.model import NodeOutput


def check_shares(state: PassState) -> PassState:
    """Report nodes that share layers and do not learn in the same phases."""
    found = []
    learning = phases_of_nodes(state)
    for share in state.draft.shares:
        learns_in = {
            name: (name in state.frozen, tuple(p.name for p in learning.get(name, [])))
            for name in share.nodes
        }
        first, *others = share.nodes
        for other in others:
            if learns_in[other] != learns_in[first]:
                message = f"`{first}` and `{other}` share layers and learn at different times"
                fix = "sharers learn in the same phases"
                if learns_in[other][0] != learns_in[first][0]:
                    idle, busy = (other, first) if learns_in[other][0] else (first, other)
                    message = f"`{idle}` and `{busy}` share layers, and only `{busy}` learns"
                    fix = f"give `{idle}` something to learn from too: `edge label -> {idle}`"
                found.append(Diagnostic("E409", message, share.span, fix))
        found += [_same_value(edge) for edge in state.edges if _within(edge, share)]
    return state.with_diagnostics(found)


def _within(edge: DraftEdge, share: DraftShare) -> bool:
    """Whether both ends of an edge are one place of layers that their nodes share."""
    source, destination = edge.source, edge.destination
    return (
        isinstance(source, NodeOutput)
        and source.node != destination.node
        and {source.node, destination.node} <= {*share.nodes}
        and source.tap == destination.tap
        and any(f"{source.tap}.".startswith(f"{layer}.") for layer in share.layers)
        and not source.tap.endswith(".pre")  # which a later layer may compute
    )


def _same_value(edge: DraftEdge) -> Diagnostic:
    message = f"both ends of the edge {edge} are one value, since the nodes share what computes it"
    fix = "let it end in layers that the nodes do not share"
    return Diagnostic("W107", message, edge.span, fix, "warning")
