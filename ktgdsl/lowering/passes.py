"""From the graph as written to the graph that trains: cut, freeze, drop.

The order matters. Gates are folded already; an edge without a live term is cut. What no
live edge enters is frozen (paper, Sec. 3.4). What leads to no target is dropped, which
freezes nothing more: a node that stays keeps every live edge into it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.draft import Draft, DraftDerived, DraftEdge, DraftNode
from ktgdsl.lowering.liveness import needed
from ktgdsl.plan.model import Constant, Dropped, Gate, Term, node_of

FROZEN = "frozen = true"
"""The reason of a node that is frozen because the spec says so."""


class PhaseLearners(NamedTuple):
    """A phase: its name, the nodes that learn in it, and its place in the file."""

    name: str
    learn: tuple[str, ...]
    span: Span


class PassState(NamedTuple):
    """The state that each pass takes and returns: live edges, frozen nodes, what was dropped."""

    draft: Draft
    edges: tuple[DraftEdge, ...]
    phases: tuple[PhaseLearners, ...]
    frozen: Mapping[str, str]
    dropped: tuple[Dropped, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    def with_diagnostics(self, found: Iterable[Diagnostic]) -> "PassState":
        """The same state with further diagnostics, each once."""
        return self._replace(diagnostics=tuple(dict.fromkeys((*self.diagnostics, *found))))


def cut(state: PassState) -> PassState:
    """Remove terms whose gate is 0, and edges without a term left."""
    live, dropped = [], []
    # Many edges have the same terms, which are kept by the edges meanwhile.
    left: dict[int, tuple[Term, ...]] = {}
    for edge in state.edges:
        if id(edge.terms) not in left:
            left[id(edge.terms)] = tuple(term for term in edge.terms if not _is_cut(term.gate))
        if terms := left[id(edge.terms)]:
            live.append(edge if len(terms) == len(edge.terms) else edge._replace(terms=terms))
        else:
            dropped.append(_edge(edge, "its gate is cutoff"))
    return state._replace(edges=tuple(live), dropped=(*state.dropped, *dropped))


def _is_cut(gate: Gate) -> bool:
    return isinstance(gate, Constant) and gate.value == 0


def freeze(state: PassState) -> PassState:
    """Freeze nodes with `frozen = true` and nodes that no live edge enters.

    Edges without a source, and those from a node to itself, do not count; they vanish where
    the node does not learn. With phases every node that learns has one, and no other has.
    """
    frozen: dict[str, str] = dict(state.frozen)
    found: list[Diagnostic] = []
    learns_in = phases_of_nodes(state)
    into: dict[str, list[DraftEdge]] = {}
    for edge in state.edges:
        into.setdefault(edge.destination.node, []).append(edge)
    for name, node in state.draft.nodes.items():
        edges = into.get(name, [])
        if node.settings.frozen:
            frozen[name] = FROZEN
            found += [_into_frozen(edge, node) for edge in edges]
        elif not any(edge.transfers for edge in edges):
            frozen[name] = "no live edge enters it"
        if name in frozen:
            found += _untrained(node)
        found += _listed(state, node, learns_in.get(name, []), idle=name in frozen)
    for name, derived in state.draft.derived.items():
        if not derived.learned:
            found += [_weightless(derived, phase) for phase in learns_in.get(name, [])]
        elif state.phases and name not in learns_in:
            found.append(_unlisted(state, name, derived.span))
    live = [e for e in state.edges if e.transfers or e.destination.node not in frozen]
    dropped_edges = [
        _edge(edge, f"`{edge.destination.node}` is frozen")
        for edge in state.edges
        if not edge.transfers and edge.destination.node in frozen
    ]
    state = state._replace(
        frozen=frozen, edges=tuple(live), dropped=(*state.dropped, *dropped_edges)
    )
    return state.with_diagnostics(found)


def _untrained(node: DraftNode) -> list[Diagnostic]:
    """An error if a frozen node would keep the random weights that its network is made with."""
    if node.settings.weights != "own" or not node.network.is_random:
        return []
    message = f"`{node.name}` is frozen with the random weights that its network is made with"
    fix = "leave `weights` out to pre-train it on the labels, or name a file of weights"
    return [Diagnostic("W109", message, node.weights_span, fix, "warning")]


def phases_of_nodes(state: PassState) -> dict[str, list[PhaseLearners]]:
    """The phases that each node learns in."""
    learns_in: dict[str, list[PhaseLearners]] = {}
    for phase in state.phases:
        for name in phase.learn:
            learns_in.setdefault(name, []).append(phase)
    return learns_in


def _listed(
    state: PassState, node: DraftNode, phases: list[PhaseLearners], *, idle: bool
) -> list[Diagnostic]:
    if idle:
        reason = "it is frozen" if node.settings.frozen else "no live edge enters it"
        message = f"`{node.name}` cannot learn in the phase `%s`, since {reason}"
        fix = f"leave it out of `learn`, or write `edge label -> {node.name}`"
        return [Diagnostic("E410", message % p.name, p.span, fix) for p in phases]
    return [_unlisted(state, node.name, node.span)] if state.phases and not phases else []


def _weightless(derived: DraftDerived, phase: PhaseLearners) -> Diagnostic:
    why = f"since `{derived.made.word}` has nothing that learns"
    message = f"`{derived.name}` cannot learn in the phase `{phase.name}`, {why}"
    return Diagnostic("E410", message, phase.span, "list the nodes that it is made from")


def _unlisted(state: PassState, name: str, span: Span) -> Diagnostic:
    message = f"edges lead into `{name}`, and no phase lets it learn"
    fix = f"list it in the `learn` of a phase, such as `{state.phases[0].name}`"
    return Diagnostic("E410", message, span, fix)


def _into_frozen(edge: DraftEdge, node: DraftNode) -> Diagnostic:
    return Diagnostic(
        "E403",
        f"this edge leads into `{node.name}`, which is frozen and cannot learn",
        edge.span,
        f"leave out the edge, or `{FROZEN}`",
        labels=(Label(node.span, "frozen here"),),
    )


def check_targets(state: PassState) -> PassState:
    """A target has to learn something, an ensemble through a member."""
    learns = {name for name in state.draft.nodes if name not in state.frozen}
    found = []
    for name, span in state.draft.targets.items():
        if name in state.frozen:
            found.append(_idle(name, state.frozen[name], span))
        elif name in state.draft.derived and not _members(state.draft, name) & learns:
            message = f"the target `{name}` learns nothing, since none of its members does"
            fix = "give a member something to learn from: `edge label -> a`"
            found.append(Diagnostic("E402", message, span, fix))
    return state.with_diagnostics(found)


def _members(draft: Draft, name: str) -> set[str]:
    """The networks that an ensemble is made of in the end."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        derived = draft.derived.get(current := waiting.pop())
        found.add(current)
        waiting += derived.sources if derived else ()
    return found


def _idle(name: str, reason: str, span: Span) -> Diagnostic:
    if reason == FROZEN:
        message = f"the target `{name}` learns nothing, as it has `{FROZEN}`"
        return Diagnostic("E402", message, span, "let it learn, or name another target")
    message = f"the target `{name}` learns nothing: {reason}"
    fix = f"give it something to learn from: `edge label -> {name}`"
    return Diagnostic("E402", message, span, fix)


def check_patterns(state: PassState) -> PassState:
    """An edge statement without any edge is probably not what was meant."""
    message = "this edge stands for no pair of nodes"
    fix = "an edge joins two different nodes, and `*` leads into no node with `frozen = true`"
    return state.with_diagnostics(
        Diagnostic("W103", message, statement.span, fix, "warning")
        for statement in state.draft.empty
    )


def drop(state: PassState) -> PassState:
    """Remove nodes from which no path leads to a target or a kept node (module `liveness`)."""
    draft = state.draft
    spans = {name: node.span for name, node in draft.nodes.items()}
    spans |= {name: node.span for name, node in draft.derived.items()}
    live = needed(draft, state.edges)
    reason = "no path of live edges leads from it to a target"
    dropped_nodes = [name for name in spans if name not in live]
    dropped = [
        Dropped.model_construct(kind="node", name=name, reason=reason) for name in dropped_nodes
    ]
    dropped += [
        _edge(edge, f"`{edge.destination.node}` is dropped")
        for edge in state.edges
        if edge.destination.node not in live
    ]
    warnings = [
        Diagnostic(
            "W101",
            f"the node `{name}` is dropped: {reason}",
            spans[name],
            "`keep = true` trains and reports it all the same",
            "warning",
        )
        for name in dropped_nodes
    ]
    edges = tuple(edge for edge in state.edges if edge.destination.node in live)
    return state._replace(edges=edges, dropped=(*state.dropped, *dropped)).with_diagnostics(
        warnings
    )


def _edge(edge: DraftEdge, reason: str) -> Dropped:
    return Dropped.model_construct(kind="edge", name=str(edge), reason=reason)


def peers(edges: tuple[DraftEdge, ...]) -> dict[str, int]:
    """For each node, how many distinct live sources it learns from.

    The labels are none of them, and neither is the node itself.
    """
    sources: dict[str, set[str]] = {}
    for edge in edges:
        source = node_of(edge.source)
        if source not in (None, edge.destination.node):
            sources.setdefault(edge.destination.node, set()).add(source)
    return {name: len(found) for name, found in sources.items()}
