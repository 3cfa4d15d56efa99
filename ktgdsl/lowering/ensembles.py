"""Checks of ensembles in the graph that the passes leave: what they combine, and who learns."""

from collections.abc import Iterator

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.lowering.draft import Draft
from ktgdsl.lowering.passes import PassState
from ktgdsl.plan.model import node_of


def check_combinations(state: PassState) -> PassState:
    """Report ensembles that cannot be taught, that have no members, or that never learn.

    An ensemble that learns how to combine needs an edge into it, unless it is unused.
    """
    taught = {edge.destination.node for edge in state.edges}
    dropped_nodes = {dropped.name for dropped in state.dropped if dropped.kind == "node"}
    made = state.draft.derived.values()
    ensembles = [each for each in made if each.made.combines and each.name not in dropped_nodes]
    found = [
        Diagnostic(
            "E402",
            f"`{each.name}` learns how to combine its members, and no live edge leads into it",
            each.span,
            f"give it something to learn from: `edge label -> {each.name}`",
        )
        for each in ensembles
        if each.learned and each.name not in taught
    ]
    known = {*state.draft.nodes, *state.draft.derived} - {*state.frozen}
    learning = {name for name in known if state.draft.can_learn(name)}
    found += [
        Diagnostic(
            "E402",
            f"the edges into `{each.name}` teach nothing, since none of its members learns",
            each.span,
            "give a member something to learn from, or leave these edges out",
        )
        for each in ensembles
        if not each.learned and each.name in taught
        if not learning.intersection(reached(state.draft, each.name))
    ]
    return state.with_diagnostics([*found, *_left_empty(state)])


def reached(draft: Draft, name: str) -> set[str]:
    """The nodes that the gradient of a node's loss reaches, itself included."""
    derived = draft.derived.get(name)
    if derived is None or not derived.passes:
        return {name}
    return {name}.union(*(reached(draft, each) for each in derived.needs))


def _left_empty(state: PassState) -> Iterator[Diagnostic]:
    for edge in state.edges:
        source = node_of(edge.source)
        empty = source and _empty_for(state.draft, source, edge.destination.node)
        if empty:
            labels = (Label(state.draft.derived[empty].span, "declared here"),)
            message = f"`{empty}` leaves out `{edge.destination.node}`, and has no other member"
            fix = "leave `others` out, or combine more nodes"
            yield Diagnostic("E408", message, edge.span, fix, labels=labels)


def _empty_for(draft: Draft, name: str, destination: str) -> str | None:
    """The first ensemble within a node that has no member left for a destination."""
    derived = draft.derived.get(name)
    if derived is None or not derived.made.combines:
        return None
    made = derived.made
    left = [
        each
        for each in derived.sources
        if not (made.leaves_out_destination and each == destination)
    ]
    within = (_empty_for(draft, each, destination) for each in left)
    return next((each for each in within if each), None) if left else name
