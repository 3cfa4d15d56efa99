"""From the graph as written to the graph that trains: cut, freeze, drop.

The order matters. Gates are folded already; an edge without a live term is cut. What no
live edge enters is frozen (paper, Sec. 3.4). What leads to no target is dropped, which
freezes nothing more: a node that stays keeps every live edge into it.
"""

from dataclasses import dataclass, field, replace

from ktgdsl.language.diagnostic import Diagnostic, Label
from ktgdsl.language.source import Span
from ktgdsl.plan.draft import Draft, DraftEdge, DraftNode
from ktgdsl.plan.gates import CUTOFF
from ktgdsl.plan.model import LABEL, Dropped

FROZEN = "frozen = true"
"""The reason of a node that is frozen because the spec says so."""


@dataclass(frozen=True)
class Lowering:
    """A draft on its way: the live edges, why nodes are frozen, what was dropped."""

    draft: Draft
    edges: tuple[DraftEdge, ...]
    frozen: dict[str, str] = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def cut(state: Lowering) -> Lowering:
    """Terms whose gate is 0 vanish, and edges without a term."""
    live, dropped = [], []
    for edge in state.edges:
        terms = tuple(term for term in edge.terms if term.gate != CUTOFF)
        if terms:
            live.append(replace(edge, terms=terms))
        else:
            dropped.append(_edge(edge, "its gate is cutoff"))
    return replace(state, edges=tuple(live), dropped=(*state.dropped, *dropped))


def freeze(state: Lowering) -> Lowering:
    """Nodes that say so, and nodes that no live edge enters, do not learn."""
    frozen, diagnostics = dict(state.frozen), dict.fromkeys(state.diagnostics)
    into: dict[str, list[DraftEdge]] = {}
    for edge in state.edges:
        into.setdefault(edge.destination, []).append(edge)
    for name, node in state.draft.nodes.items():
        if node.settings.frozen:
            frozen[name] = FROZEN
            diagnostics |= dict.fromkeys(_into_frozen(edge, node) for edge in into.get(name, ()))
        elif name not in into:
            frozen[name] = "no live edge enters it"
    return replace(state, frozen=frozen, diagnostics=tuple(diagnostics))


def _into_frozen(edge: DraftEdge, node: DraftNode) -> Diagnostic:
    return Diagnostic(
        "E403",
        f"this edge leads into `{node.name}`, which is frozen and cannot learn",
        edge.span,
        f"leave out the edge, or `{FROZEN}`",
        labels=(Label(node.span, "frozen here"),),
    )


def check_targets(state: Lowering) -> Lowering:
    """A target has to learn something."""
    found = [
        _idle(name, state.frozen[name], span)
        for name, span in state.draft.targets.items()
        if name in state.frozen
    ]
    return replace(state, diagnostics=(*state.diagnostics, *found))


def _idle(name: str, reason: str, span: Span) -> Diagnostic:
    if reason == FROZEN:
        message = f"the target `{name}` learns nothing, as it has `{FROZEN}`"
        return Diagnostic("E402", message, span, "let it learn, or name another target")
    message = f"the target `{name}` learns nothing: {reason}"
    fix = f"give it something to learn from: `edge label -> {name}`"
    return Diagnostic("E402", message, span, fix)


def check_patterns(state: Lowering) -> Lowering:
    """An edge statement without any edge is probably not what was meant."""
    message = "this edge stands for no pair of nodes"
    fix = "an edge joins two different nodes, and `*` leads into no node with `frozen = true`"
    found = [
        Diagnostic("W103", message, statement.span, fix, "warning")
        for statement in state.draft.empty
    ]
    return replace(state, diagnostics=(*state.diagnostics, *found))


def drop(state: Lowering) -> Lowering:
    """Nodes from which no path of live edges leads to a target or a kept node vanish."""
    nodes = state.draft.nodes
    needed = {name for name, node in nodes.items() if node.settings.keep}
    needed.update(state.draft.targets)
    waiting = list(needed)
    sources: dict[str, list[str]] = {}
    for edge in state.edges:
        sources.setdefault(edge.destination, []).append(edge.source)
    while waiting:
        for source in sources.get(waiting.pop(), ()):
            if source != LABEL and source not in needed:
                needed.add(source)
                waiting.append(source)
    gone = {name: node for name, node in nodes.items() if name not in needed}
    reason = "no path of live edges leads from it to a target"
    dropped = [Dropped.model_construct(kind="node", name=name, reason=reason) for name in gone]
    dropped += [
        _edge(edge, f"`{edge.destination}` is dropped")
        for edge in state.edges
        if edge.destination in gone
    ]
    warnings = [
        Diagnostic(
            "W101",
            f"the node `{name}` is dropped: {reason}",
            node.span,
            "`keep = true` trains and reports it all the same",
            "warning",
        )
        for name, node in gone.items()
    ]
    return replace(
        state,
        edges=tuple(edge for edge in state.edges if edge.destination not in gone),
        dropped=(*state.dropped, *dropped),
        diagnostics=(*state.diagnostics, *warnings),
    )


def _edge(edge: DraftEdge, reason: str) -> Dropped:
    name = f"{edge.source} -> {edge.destination}"
    return Dropped.model_construct(kind="edge", name=name, reason=reason)


def peers(edges: tuple[DraftEdge, ...]) -> dict[str, int]:
    """For each node, how many distinct live sources other than the labels it learns from."""
    sources: dict[str, set[str]] = {}
    for edge in edges:
        if edge.source != LABEL:
            sources.setdefault(edge.destination, set()).add(edge.source)
    return {name: len(found) for name, found in sources.items()}
