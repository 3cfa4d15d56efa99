"""What a picture of a plan shows: vertices, arrows with named and coloured gates, notes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ktgdsl.plan.model import (
    LOGITS,
    Constant,
    Derived,
    Draw,
    Edge,
    Gate,
    Node,
    Plan,
    Space,
    node_of,
    tap_of,
)
from ktgdsl.space.unparse_calls import gate_text
from ktgdsl.vocabulary.call import shown, shown_path
from ktgdsl.vocabulary.networks import shortest

Role = Literal["target", "frozen", "auxiliary"]


@dataclass(frozen=True)
class Vertex:
    """A node: its networks (several where that is open), and its accuracy if it is known.

    `derived` tells those made from others, whose one network is the word that makes them.
    """

    name: str
    role: Role
    networks: tuple[str, ...]
    accuracy: str | None = None
    derived: bool = False


@dataclass(frozen=True)
class Key:
    """What an arrow's colour and, where there is no room for the gate, its tag stand for.

    `open` is a gate that a space leaves open.
    """

    gate: str
    tag: str
    colour: str
    open: bool = False


@dataclass(frozen=True)
class Arrow:
    """A live edge, or, without a key, that a vertex is made from another.

    `source` is a vertex, or None where the edge comes from what stands beside its
    destination: `beside` says what that is, "Label" mostly. `place` names the taps of an edge
    inside of networks, `about` is the whole edge as text.
    """

    source: str | None
    destination: str
    key: Key | None
    beside: str = ""
    place: str = ""
    about: str = ""


@dataclass(frozen=True)
class Diagram:
    """Vertices, arrows, the gates' keys, and notes.

    Targets come first and derived vertices last; what comes from beside a vertex comes first.
    """

    name: str
    vertices: tuple[Vertex, ...]
    arrows: tuple[Arrow, ...]
    keys: tuple[Key, ...]
    notes: tuple[str, ...] = ()


# Dark enough for small text on white (contrast 4.5 to 1), and told apart by colour-blind
# people. Those of the paper's gates are always the same, so that pictures can be compared.
_FIXED = {"through": "#333333", "linear": "#0072B2", "correct": "#C04F00"}
_OTHERS = ("#8A3D8F", "#00806A", "#7A6A00", "#B0305C", "#5B5FC7", "#6B4A2B")

ROOM = 13
"""How many letters of a gate an arrow has room for."""


def diagram(plan: Plan, accuracies: Mapping[str, str] | None = None) -> Diagram:
    """The picture of a plan, or of a space: every node and edge of it, with what is open.

    `accuracies` are texts such as "72.88 ± 0.41" by the names of nodes.
    """
    plans = [plan]
    if plan.space is not None:
        plans = list(_points(plan, plan.space))
    found = {edge.key: edge for each in plans for edge in each.graph.edges}
    edges = sorted(found.values(), key=lambda edge: edge.transfers)
    gates = _gates(plan, plans)
    keys = _keys(list(dict.fromkeys(gates[edge.key] for edge in edges)))
    arrows = [_arrow(edge, keys[gates[edge.key]]) for edge in edges]
    vertices = _vertices(plan, plans, accuracies or {})
    return Diagram(
        name=plan.graph.name,
        vertices=tuple(vertices),
        arrows=(*arrows, *_made(plans)),
        keys=tuple(keys.values()),
        notes=tuple(_notes(plan)),
    )


def _points(plan: Plan, space: Space) -> Iterator[Plan]:
    """Plans of a space that together have all there is to see in it.

    Where all values take their turns side by side, a turn may cut off all labels, which no
    graph survives. So there is a second round in which nothing is cut off, with as many
    nodes as there can be.
    """
    from ktgdsl.space.space import every_option, plan_at  # most plans leave nothing open

    yield from every_option(plan)
    point: dict[str, int | float] = {d.name: d.high for d in space.draws if d.high is not None}
    kept = {d.name: [i for i, o in enumerate(d.options) if o != "cutoff"] for d in space.draws}
    for turn in range(max(map(len, kept.values()))):
        turns = {name: several[turn % len(several)] for name, several in kept.items() if several}
        if (found := plan_at(plan, point | turns)) is not None:
            yield found


def _vertices(plan: Plan, plans: Sequence[Plan], accuracies: Mapping[str, str]) -> Iterator[Vertex]:
    """The targets in their order, other networks, and what is made from others."""
    nodes: dict[str, list[Node | Derived]] = {name: [] for name in plan.graph.targets}
    for each in plans:
        for network in each.graph.nodes:
            nodes.setdefault(network.name, []).append(network)
    for each in plans:
        for made in each.graph.derived:
            nodes.setdefault(made.name, []).append(made)
    draws = plan.space.draws if plan.space else ()
    open_networks = {draw.name: draw.options for draw in draws}
    for name, seen in nodes.items():
        role: Role = "target" if name in plan.graph.targets else "auxiliary"
        if all(isinstance(node, Node) and not node.learns for node in seen):
            role = "frozen"
        derived = isinstance(seen[0], Derived)
        words = [n.made.name if isinstance(n, Derived) else shortest(n.network) for n in seen]
        networks = open_networks.get(f"node.{name}") or tuple(dict.fromkeys(words))
        yield Vertex(name, role, networks, accuracies.get(name), derived)


_Pair = tuple[str, str]
_Gate = tuple[str, bool]
"""The text of a gate, and whether it is open."""


def _gates(plan: Plan, plans: Sequence[Plan]) -> dict[_Pair, _Gate]:
    """What weights each edge: one gate or, in a space, all that it may be."""
    found: dict[_Pair, dict[str, tuple[Gate, ...]]] = {}
    nodes: dict[_Pair, set[str | None]] = {}
    for edge in (edge for each in plans for edge in each.graph.edges):
        nodes[edge.key] = {node_of(edge.source), edge.destination.node}
        gates = tuple(term.gate for term in edge.terms)
        found.setdefault(edge.key, {})[_told(gates)] = gates
    if plan.space is None:
        return {pair: (text, False) for pair, texts in found.items() for text in texts}
    met = Counter(edge.key for each in plans for edge in each.graph.edges)
    there = [
        {None, *(v.name for v in p.graph.nodes), *(v.name for v in p.graph.derived)} for p in plans
    ]
    result = {}
    for pair, texts in found.items():
        name = "->".join(filter(None, pair))
        draws = [d for d in plan.space.draws if d.name.startswith(f"edge.{name}.gate")]
        if not draws and len(texts) > 1:
            draws = [d for d in plan.space.draws if d.name.startswith("let.")]
        cut = met[pair] < sum(nodes[pair] <= names for names in there)
        cut = cut or any("cutoff" in draw.options for draw in draws)
        result[pair] = _alternatives(texts, cut, draws)
    return result


def _alternatives(gates: Mapping[str, tuple[Gate, ...]], cut: bool, draws: Iterable[Draw]) -> _Gate:
    if len(gates) == 1 and not cut:
        return next(iter(gates)), False
    numbers = [g.value for several in gates.values() for g in several if isinstance(g, Constant)]
    ranges = any(not draw.options for draw in draws)
    if ranges and not cut and len(numbers) == sum(map(len, gates.values())):
        return f"{shown(min(numbers))} .. {shown(max(numbers))}", True
    return " | ".join([*sorted(gates, key=_place_of), *["cutoff"] * cut]), True


def _place_of(gate: str) -> tuple[int, str]:
    """The paper's gates first, so that equal choices read the same."""
    return ([*_FIXED].index(gate) if gate in _FIXED else len(_FIXED)), gate


def _told(gates: Iterable[Gate]) -> str:
    return ", ".join("through" if g == Constant(value=1.0) else gate_text(g) for g in gates)


def _keys(gates: Sequence[_Gate]) -> dict[_Gate, Key]:
    """A colour for each gate, and a tag: the gate itself where it is short."""
    fixed = [gate for gate in gates if gate[0] in _FIXED]
    others = [gate for gate in gates if gate[0] not in _FIXED]
    letters = iter(f"G{number}" for number in range(1, len(others) + 1))
    marks = iter(["?", *(f"?{number}" for number in range(2, len(others) + 1))])
    keys = {gate: Key(gate[0], gate[0], _FIXED[gate[0]]) for gate in fixed}
    for index, (text, is_open) in enumerate(others):
        tag = text if len(text) <= ROOM else next(marks if is_open else letters)
        keys[text, is_open] = Key(text, tag, _OTHERS[index % len(_OTHERS)], is_open)
    return keys


def _arrow(edge: Edge, key: Key) -> Arrow:
    taps = [shown_path(tap) for tap in (tap_of(edge.source), edge.destination.tap)]
    place = "" if taps == [LOGITS, LOGITS] else " → ".join(dict.fromkeys(taps))
    about = f"{edge}: {', '.join(_term(term.parts, term.gate) for term in edge.terms)}"
    if key.open:
        about = f"{edge}: via {key.gate}"
    elif edge.scale != 1:
        about += f", times {edge.scale:.6g}"
    beside = ""
    if edge.from_label:
        beside = "Label"
    elif edge.unary:
        beside, place = ", ".join(p.loss.name for term in edge.terms for p in term.parts), ""
    elif not edge.transfers:
        beside = "other view"
    source = None if beside else node_of(edge.source)
    return Arrow(source, edge.destination.node, key, beside, place, about)


def _term(parts: Iterable[object], gate: Gate) -> str:
    return f"{' + '.join(map(str, parts))} via {_told([gate])}"


def _made(plans: Sequence[Plan]) -> Iterator[Arrow]:
    """From what each derived vertex is made of."""
    derived = {node.name: node for plan in plans for node in plan.graph.derived}
    for node in derived.values():
        for source in node.sources:
            yield Arrow(source, node.name, None, about=f"{node.name} is made from {source}")


def _notes(plan: Plan) -> Iterator[str]:
    for share in plan.graph.shares:
        layers = ", ".join(map(shown_path, share.layers))
        yield f"{', '.join(share.nodes)} share {layers} ({share.grad} of the gradients)"
