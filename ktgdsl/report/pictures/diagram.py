"""A plan as a diagram: vertices, and arrows with gates in colours. No positions yet."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ktgdsl.plan.model import (
    LOGITS,
    Constant,
    DerivedNode,
    Draw,
    Edge,
    Gate,
    Labels,
    Node,
    Plan,
    Space,
    node_of,
    tap_of,
)
from ktgdsl.report.pictures.network_labels import network_labels
from ktgdsl.report.pictures.open_losses import notes, open_losses
from ktgdsl.space.space import every_option, plan_at
from ktgdsl.space.unparse_calls import gate_text
from ktgdsl.vocabulary.call import format_number, format_path
from ktgdsl.vocabulary.networks import shorthand

Role = Literal["target", "frozen", "auxiliary"]


@dataclass(frozen=True)
class Vertex:
    """A node with its network (several where that is open), and its accuracy if it is known.

    `labels` are short lines for a network: its name, and arguments in which nodes differ. Where
    `derived`, it is made from other nodes, and its one network is the word for how.
    """

    name: str
    role: Role
    networks: tuple[str, ...]
    labels: tuple[str, ...]
    accuracy: str | None = None
    derived: bool = False


@dataclass(frozen=True)
class GateKey:
    """The colour of a gate in a diagram, and its tag, a short label for arrows.

    The legend explains the tag where it is not the gate itself. `open` says that a space
    leaves the gate open.
    """

    gate: str
    tag: str
    colour: str
    open: bool = False


@dataclass(frozen=True)
class Arrow:
    """A live edge or, without a key, that a derived vertex is made from another.

    Without a `source` vertex it starts at a small box with the text `box`, mostly "Label".
    `taps` names taps other than the logits. `losses` are those that a space leaves open.
    `tooltip` is the whole edge as text.
    """

    source: str | None
    destination: str
    key: GateKey | None
    box: str = ""
    taps: str = ""
    losses: str = ""
    tooltip: str = ""

    @property
    def text(self) -> str:
        """The taps, the open losses and the gate in full."""
        gate = self.key.gate if self.key else ""
        edge = f"{self.losses} via {gate}" if self.losses else gate
        return ": ".join(filter(None, [self.taps, edge]))

    @property
    def dashed(self) -> bool:
        """Whether something of it is open, or it is no edge."""
        return self.key is None or self.key.open or bool(self.losses)

    @property
    def short_text(self) -> str:
        """The taps and the gate's tag."""
        return ": ".join(filter(None, [self.taps, self.key.tag if self.key else ""]))


@dataclass(frozen=True)
class Diagram:
    """Vertices, arrows, the keys of all gates, and notes below the drawing.

    Targets come first and derived vertices last; arrows from a box come before the others.
    """

    name: str
    vertices: tuple[Vertex, ...]
    arrows: tuple[Arrow, ...]
    keys: tuple[GateKey, ...]
    notes: tuple[str, ...] = ()


# Dark enough for small text on white (contrast 4.5 to 1), and told apart by colour-blind
# people. Those of the paper's gates are always the same, so that pictures can be compared.
_PAPER_GATES = {"through": "#333333", "linear": "#0072B2", "correct": "#C04F00"}
_OTHER_COLOURS = ("#8A3D8F", "#00806A", "#7A6A00", "#B0305C", "#5B5FC7", "#6B4A2B")

MAX_TAG_LETTERS = 13
"""A longer gate does not fit on an arrow, and gets a tag."""


def diagram(plan: Plan, accuracies: Mapping[str, str] | None = None) -> Diagram:
    """The diagram of a plan or, for a space, of all nodes and edges of its points.

    `accuracies` are texts such as "72.88 ± 0.41" by the names of nodes.
    """
    plans = [plan]
    if plan.space is not None:
        plans = list(_sample_plans(plan, plan.space))
    edges_by_pair = {edge.key: edge for each in plans for edge in each.graph.edges}
    edges = sorted(edges_by_pair.values(), key=lambda edge: edge.transfers)
    gates = _gates(plan, plans)
    keys = _keys(list(dict.fromkeys(gates[edge.key] for edge in edges)))
    losses = open_losses(plan.space, plans)
    arrows = [_arrow(edge, keys[gates[edge.key]], losses.get(edge.key, "")) for edge in edges]
    vertices = _vertices(plan, plans, accuracies or {})
    return Diagram(
        name=plan.graph.name,
        vertices=tuple(vertices),
        arrows=(*arrows, *_membership_arrows(plans)),
        keys=tuple(keys.values()),
        notes=(*_notes(plan), *notes(losses, edges)),
    )


def _sample_plans(plan: Plan, space: Space) -> Iterator[Plan]:
    """Plans of a space in which every node, edge and option occurs.

    First one plan for each option of the longest draw, all draws going through their options
    together. One of these may cut off all labels, and then it is no valid graph; so the same
    follows without `cutoff`, with as many nodes as there can be.
    """
    yield from every_option(plan)
    point: dict[str, int | float] = {d.name: d.high for d in space.draws if d.high is not None}
    kept = {d.name: [i for i, o in enumerate(d.options) if o != "cutoff"] for d in space.draws}
    for step in range(max(map(len, kept.values()))):
        chosen = {name: options[step % len(options)] for name, options in kept.items() if options}
        if (sample := plan_at(plan, point | chosen)) is not None:
            yield sample


def _vertices(plan: Plan, plans: Sequence[Plan], accuracies: Mapping[str, str]) -> Iterator[Vertex]:
    """The targets in their order, the other networks, then derived nodes."""
    nodes: dict[str, list[Node | DerivedNode]] = {name: [] for name in plan.graph.targets}
    for each in plans:
        for network in each.graph.nodes:
            nodes.setdefault(network.name, []).append(network)
    for each in plans:
        for made in each.graph.derived:
            nodes.setdefault(made.name, []).append(made)
    calls = [n.network for variants in nodes.values() for n in variants if isinstance(n, Node)]
    short = network_labels(calls)
    draws = plan.space.draws if plan.space else ()
    open_networks = {draw.name: draw.options for draw in draws}
    for name, variants in nodes.items():
        role: Role = "target" if name in plan.graph.targets else "auxiliary"
        if all(isinstance(node, Node) and not node.learns for node in variants):
            role = "frozen"
        derived = isinstance(variants[0], DerivedNode)
        words = [
            n.made.name if isinstance(n, DerivedNode) else shorthand(n.network) for n in variants
        ]
        networks = open_networks.get(f"node.{name}") or tuple(dict.fromkeys(words))
        labels = [short[str(n.network)] for n in variants if isinstance(n, Node)]
        distinct = list(dict.fromkeys(labels))
        lines = distinct[0] if len(distinct) == 1 else networks
        yield Vertex(name, role, networks, lines, accuracies.get(name), derived)


_Pair = tuple[str, str]
_GateText = tuple[str, bool]
"""The text of a gate, and whether it is open."""


def _gates(plan: Plan, plans: Sequence[Plan]) -> dict[_Pair, _GateText]:
    """The gate of each edge, or all that it may be in a space."""
    gates_of: dict[_Pair, dict[str, tuple[Gate, ...]]] = {}
    nodes: dict[_Pair, set[str | None]] = {}
    for edge in (edge for each in plans for edge in each.graph.edges):
        nodes[edge.key] = {node_of(edge.source), edge.destination.node}
        gates = tuple(term.gate for term in edge.terms)
        gates_of.setdefault(edge.key, {})[_gates_text(gates)] = gates
    if plan.space is None:
        return {pair: (text, False) for pair, texts in gates_of.items() for text in texts}
    occurrences = Counter(edge.key for each in plans for edge in each.graph.edges)
    names_in_plans = [
        {None, *(v.name for v in p.graph.nodes), *(v.name for v in p.graph.derived)} for p in plans
    ]
    result = {}
    for pair, texts in gates_of.items():
        name = "->".join(filter(None, pair))
        draws = [d for d in plan.space.draws if d.name.startswith(f"edge.{name}.gate")]
        if not draws and len(texts) > 1:
            draws = [d for d in plan.space.draws if d.name.startswith("let.")]
        # An edge that is absent although both its nodes are there has been cut off.
        cut = occurrences[pair] < sum(nodes[pair] <= names for names in names_in_plans)
        cut = cut or any("cutoff" in draw.options for draw in draws)
        result[pair] = _alternatives(texts, cut, draws)
    return result


def _alternatives(
    gates: Mapping[str, tuple[Gate, ...]], cut: bool, draws: Iterable[Draw]
) -> _GateText:
    """All that a gate may be as one text; `cut` where the edge may be cut off."""
    if len(gates) == 1 and not cut:
        return next(iter(gates)), False
    numbers = [g.value for several in gates.values() for g in several if isinstance(g, Constant)]
    ranges = any(not draw.options for draw in draws)
    if ranges and not cut and len(numbers) == sum(map(len, gates.values())):
        return f"{format_number(min(numbers))} .. {format_number(max(numbers))}", True
    return " | ".join([*sorted(gates, key=_gate_order), *["cutoff"] * cut]), True


def _gate_order(gate: str) -> tuple[int, str]:
    """The paper's gates first, so that equal choices read the same."""
    paper_gates = [*_PAPER_GATES]
    return (paper_gates.index(gate) if gate in paper_gates else len(paper_gates)), gate


def _gates_text(gates: Iterable[Gate]) -> str:
    return ", ".join("through" if g == Constant(value=1.0) else gate_text(g) for g in gates)


def _keys(gates: Sequence[_GateText]) -> dict[_GateText, GateKey]:
    """A colour for each gate, and a tag: the gate itself where it is short."""
    paper_gates = [gate for gate in gates if gate[0] in _PAPER_GATES]
    others = [gate for gate in gates if gate[0] not in _PAPER_GATES]
    tags = iter(f"G{number}" for number in range(1, len(others) + 1))
    open_tags = iter(["?", *(f"?{number}" for number in range(2, len(others) + 1))])
    keys = {gate: GateKey(gate[0], gate[0], _PAPER_GATES[gate[0]]) for gate in paper_gates}
    for index, (text, is_open) in enumerate(others):
        tag = text if len(text) <= MAX_TAG_LETTERS else next(open_tags if is_open else tags)
        keys[text, is_open] = GateKey(
            text, tag, _OTHER_COLOURS[index % len(_OTHER_COLOURS)], is_open
        )
    return keys


def _arrow(edge: Edge, key: GateKey, losses: str) -> Arrow:
    ends = [format_path(tap) for tap in (tap_of(edge.source), edge.destination.tap)]
    taps = "" if ends == [LOGITS, LOGITS] else " → ".join(dict.fromkeys(ends))
    tooltip = f"{edge}: {', '.join(_term_text(term.parts, term.gate) for term in edge.terms)}"
    if key.open or losses:
        tooltip = f"{edge}: {f'{losses} ' if losses else ''}via {key.gate}"
    elif edge.scale != 1:
        tooltip += f", times {edge.scale:.6g}"
    box = ""
    if isinstance(edge.source, Labels):
        box = "Label"
        if edge.source.head is not None:
            box, taps = f"Label {edge.source.head}", ""
    elif edge.unary:
        box, taps = ", ".join(p.loss.name for term in edge.terms for p in term.parts), ""
    elif not edge.transfers:
        box = "other view"
    source = None if box else node_of(edge.source)
    return Arrow(source, edge.destination.node, key, box, taps, losses, tooltip)


def _term_text(parts: Iterable[object], gate: Gate) -> str:
    return f"{' + '.join(map(str, parts))} via {_gates_text([gate])}"


def _membership_arrows(plans: Sequence[Plan]) -> Iterator[Arrow]:
    """Arrows into derived vertices from the nodes that they are made from."""
    derived = {node.name: node for plan in plans for node in plan.graph.derived}
    for node in derived.values():
        for source in node.sources:
            yield Arrow(source, node.name, None, tooltip=f"{node.name} is made from {source}")


def _notes(plan: Plan) -> Iterator[str]:
    for share in plan.graph.shares:
        layers = ", ".join(map(format_path, share.layers))
        yield f"{', '.join(share.nodes)} share {layers} ({share.grad} of the gradients)"
