"""Liveness: which nodes a training needs, because a target or a kept node depends on them."""

from collections.abc import Iterable

from ktgdsl.lowering.draft import Draft, DraftEdge
from ktgdsl.plan.model import node_of


def needed(draft: Draft, edges: Iterable[DraftEdge]) -> set[str]:
    """The nodes from which a path leads to a target or a kept node.

    Paths go along live edges, from what a node is made of to the node, and between nodes that
    share layers. An ensemble that lets gradients through to its members (`detach = false`)
    leads to them, where an edge enters it.
    """
    live = {node.name for node in draft.nodes.values() if node.settings.keep}
    live |= {node.name for node in draft.derived.values() if node.settings.keep}
    live.update(draft.targets)
    needs = _needs(draft, edges)
    waiting = list(live)
    while waiting:
        for name in needs.get(waiting.pop(), ()):
            if name not in live:
                live.add(name)
                waiting.append(name)
    return live


def _needs(draft: Draft, edges: Iterable[DraftEdge]) -> dict[str, list[str]]:
    """For each node, those that lead to it."""
    found: dict[str, list[str]] = {}
    for edge in edges:
        if (source := node_of(edge.source)) is not None:
            found.setdefault(edge.destination.node, []).append(source)
        derived = draft.derived.get(edge.destination.node)
        if derived is not None and derived.passes:
            for member in derived.needs:
                found.setdefault(member, []).append(derived.name)
    for derived in draft.derived.values():
        found.setdefault(derived.name, []).extend(derived.needs)
    for share in draft.shares:
        for name in share.nodes:
            found.setdefault(name, []).extend(share.nodes)
    return found
