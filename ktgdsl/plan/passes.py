"""From the graph as written to the graph that trains: cut, freeze, drop, aggregate.

The order matters. Gates are folded already; an edge without a live term is cut. What no
live edge enters is frozen (paper, Sec. 3.4). What leads to no target is dropped, which
freezes nothing more: a node that stays keeps every live edge into it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ktgdsl.language.diagnostic import Diagnostic, Label
from ktgdsl.plan.draft import Draft, DraftEdge, DraftNode
from ktgdsl.plan.gates import CUTOFF
from ktgdsl.plan.model import LABEL, Dropped


@dataclass(frozen=True)
class Lowering:
    """A draft on its way: the live edges, why nodes are frozen, what was dropped."""

    draft: Draft
    edges: tuple[DraftEdge, ...]
    frozen: dict[str, str] = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    def into(self, name: str) -> list[DraftEdge]:
        """The live edges into a node."""
        return [edge for edge in self.edges if edge.destination == name]


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
    frozen, diagnostics = dict(state.frozen), list(state.diagnostics)
    for name, node in state.draft.nodes.items():
        into = state.into(name)
        if node.settings.frozen:
            frozen[name] = "frozen = true"
            diagnostics.extend(_into_frozen(edge, node) for edge in into)
        elif not into:
            frozen[name] = "no live edge enters it"
    return replace(state, frozen=frozen, diagnostics=tuple(diagnostics))


def _into_frozen(edge: DraftEdge, node: DraftNode) -> Diagnostic:
    return Diagnostic(
        "E403",
        f"the edge {edge.source} -> {node.name} leads into a frozen node",
        edge.span,
        "leave the edge out, or let the node learn: `frozen = false`",
        labels=(Label(node.span, "frozen here"),),
    )


def check_targets(state: Lowering) -> Lowering:
    """A target has to learn something."""
    found = [
        Diagnostic(
            "E402",
            f"the target `{name}` learns nothing: {state.frozen[name]}",
            span,
            f"give it something to learn from: `edge label -> {name}`",
        )
        for name, span in state.draft.targets.items()
        if name in state.frozen
    ]
    return replace(state, diagnostics=(*state.diagnostics, *found))


def drop(state: Lowering) -> Lowering:
    """Nodes from which no path of live edges leads to a target or a kept node vanish."""
    nodes = state.draft.nodes
    if not state.draft.targets:
        return state  # complained about elsewhere
    needed = {name for name, node in nodes.items() if node.settings.keep}
    needed.update(name for name in state.draft.targets if name in nodes)
    waiting = list(needed)
    sources: dict[str, list[str]] = {}
    for edge in state.edges:
        sources.setdefault(edge.destination, []).append(edge.source)
    while waiting:
        for source in sources.get(waiting.pop(), ()):
            if source != LABEL and source not in needed:
                needed.add(source)
                waiting.append(source)
    gone = [name for name in nodes if name not in needed]
    reason = "no path of live edges leads from it to a target"
    dropped = [Dropped(kind="node", name=name, reason=reason) for name in gone]
    dropped += [
        _edge(edge, f"`{edge.destination}` is dropped")
        for edge in state.edges
        if edge.destination in gone
    ]
    warnings = [
        Diagnostic(
            "W101",
            f"the node `{name}` is dropped: {reason}",
            nodes[name].span,
            "`keep = true` trains and reports it all the same",
            "warning",
        )
        for name in gone
    ]
    return replace(
        state,
        edges=tuple(edge for edge in state.edges if edge.destination not in gone),
        dropped=(*state.dropped, *dropped),
        diagnostics=(*state.diagnostics, *warnings),
    )


def _edge(edge: DraftEdge, reason: str) -> Dropped:
    return Dropped(kind="edge", name=f"{edge.source} -> {edge.destination}", reason=reason)


PASSES: tuple[Callable[[Lowering], Lowering], ...] = (cut, freeze, check_targets, drop)


def peers(state: Lowering, name: str) -> int:
    """How many distinct live sources other than the labels a node learns from."""
    return len({edge.source for edge in state.into(name) if edge.source != LABEL})
