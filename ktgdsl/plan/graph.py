"""The graph of a plan: nodes, edges and their endpoints, derived nodes, shared layers."""

from typing import Annotated, Final, Literal

from pydantic import Field

from ktgdsl.plan.gate_expressions import Constant, Gate
from ktgdsl.vocabulary.call import Call, Data, format_number, format_path, stable_path

LABEL: Final = "label"
"""The name of node 0 of the paper: the labels as one-hot distributions."""

LOGITS: Final = "logits"
"""The default tap: the output of a network."""


class NodeOutput(Data):
    """The output of a node at a tap: its logits, or the output of a module inside its network."""

    node: str
    tap: str = LOGITS

    def __str__(self) -> str:
        if self.tap == LOGITS:
            return self.node
        return f"{self.node}.{format_path(self.tap)}"

    @property
    def stable_name(self) -> str:
        """Its name in the names of draws and random streams."""
        return self.node if self.tap == LOGITS else f"{self.node}.{stable_path(self.tap)}"


class Labels(Data):
    """The labels as the source of an edge: node 0 of the paper.

    Where samples have several, `tap` says which: it is the name of the heads that answer it.
    """

    node: Literal["label"] = LABEL
    tap: str = LOGITS

    @property
    def head(self) -> str | None:
        """The head whose label it is, None where samples have one label."""
        return None if self.tap == LOGITS else self.tap

    def __str__(self) -> str:
        return LABEL if self.head is None else f"{LABEL}.{self.head}"


class NoSource(Data):
    """The source of a unary term, such as an entropy: only the destination is read."""

    node: Literal[""] = ""
    tap: Literal["logits"] = LOGITS

    def __str__(self) -> str:
        return ""


FOLLOWERS = frozenset({"ema", "copy"})
"""The words of derived nodes that have the weights of another node, elementwise over an array."""

Endpoint = Labels | NoSource | NodeOutput
"""The source of an edge; its destination is always a `NodeOutput`."""


def node_of(endpoint: Endpoint) -> str | None:
    """The node that an endpoint belongs to; None for the labels and for no source."""
    return endpoint.node if isinstance(endpoint, NodeOutput) else None


def tap_of(endpoint: Endpoint) -> str:
    """The tap of an endpoint; labels stand where logits would."""
    return endpoint.tap if isinstance(endpoint, NodeOutput) else LOGITS


class Part(Data):
    """One loss of a linear combination, with its coefficient."""

    coefficient: float
    loss: Call

    def __str__(self) -> str:
        loss = str(self.loss)
        return loss if self.coefficient == 1 else f"{format_number(self.coefficient)} * {loss}"


class Term(Data):
    """A linear combination of losses and the gate that weights its samples."""

    parts: tuple[Part, ...]
    gate: Gate


class Edge(Data):
    """A live edge: `scale * sum over terms of reduce(gate * loss)` flows into `destination`.

    `scale` is 1, or 1/(K-1) of the DML paper under `aggregate = mean`.
    """

    source: Annotated[Endpoint, Field(union_mode="left_to_right")]
    destination: NodeOutput
    terms: tuple[Term, ...]
    scale: float = 1.0

    @property
    def key(self) -> tuple[str, str]:
        """The pair that names the edge in `out.edges`: (source, destination)."""
        return str(self.source), str(self.destination)

    @property
    def from_label(self) -> bool:
        """Whether the labels are the source."""
        return isinstance(self.source, Labels)

    @property
    def unary(self) -> bool:
        """Whether it has no source."""
        return isinstance(self.source, NoSource)

    @property
    def between_views(self) -> bool:
        """Whether it leads from one place in a node to the same, on another view of the data."""
        return self.source == self.destination

    @property
    def transfers(self) -> bool:
        """Whether another node is the source: not the labels, nothing, or the destination."""
        return node_of(self.source) not in (None, self.destination.node)

    def __str__(self) -> str:
        return str(self.destination) if self.unary else f"{self.source} -> {self.destination}"


def supervised(node: str, tap: str = LOGITS, head: str | None = None) -> Edge:
    """The edge from the labels to a node that is trained on them alone (paper, Eq. 1).

    Where samples have several labels, from one to the head at `tap` that answers it.
    """
    cross_entropy = Part(coefficient=1.0, loss=Call(name="ce", arguments={"smoothing": 0.0}))
    term = Term(parts=(cross_entropy,), gate=Constant(value=1.0))
    destination = NodeOutput(node=node, tap=tap)
    source = Labels() if head is None else Labels(tap=head)
    return Edge(source=source, destination=destination, terms=(term,))


class WeightsFile(Data):
    """A file of weights: `path` as the spec writes it, `file` resolved, and its SHA-256."""

    path: str
    file: str
    sha256: str


class Node(Data):
    """A network node that takes part.

    `frozen` says why the node does not learn (paper, Sec. 3.4), None for one that does.
    A frozen node without `weights` is pre-trained on the labels first; with "own" it is used as
    its network is made.
    `optimizer` and `schedule` are the node's own where it has them, else the block's.
    """

    name: str
    network: Call
    frozen: str | None = None
    weights: WeightsFile | Literal["own"] | None = None
    mode: Literal["eval", "train"] = "eval"
    cache: Literal["none", "outputs"] = "none"
    """Whether what is read of it is kept for each sample in the phases in which it is frozen."""
    keep: bool = False
    optimizer: Call
    schedule: Call
    device: str | None = None
    heads: tuple[str, ...] = ()
    """The labels that it answers, in the order of its outputs; none where samples have one."""

    @property
    def learns(self) -> bool:
        """Whether the node is trained by this graph."""
        return self.frozen is None

    @property
    def pretrained(self) -> bool:
        """Whether the node has to be pre-trained before the graph can train."""
        return self.frozen is not None and self.weights is None

    @property
    def weights_file(self) -> WeightsFile | None:
        """The file of its weights, None where there is none."""
        return self.weights if isinstance(self.weights, WeightsFile) else None


class DerivedNode(Data):
    """A derived node: an ensemble, moving average, stale copy of `sources`, or a constant.

    `made` is the call that says how. `optimizer` and `schedule` are None unless it has
    parameters of its own: an ensemble that learns how to combine.
    """

    name: str
    made: Call
    sources: tuple[str, ...]
    keep: bool = False
    optimizer: Call | None = None
    schedule: Call | None = None

    @property
    def follows(self) -> str | None:
        """The node whose weights it has, None for an ensemble or a constant."""
        return self.sources[0] if self.made.name in FOLLOWERS else None


class SharedLayers(Data):
    """Layers that several networks have in common: one module, computed once.

    The first node's initial weights and optimiser are used. `grad` says whether the gradients
    of all `nodes` are added or averaged.
    """

    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    grad: Literal["sum", "mean"]


class Dropped(Data):
    """A node or an edge that takes no part in the training, and the reason."""

    kind: Literal["node", "edge"]
    name: str
    reason: str


class Graph(Data):
    """A knowledge transfer graph; nodes and edges that nothing needs are in `dropped` only."""

    name: str
    targets: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    derived: tuple[DerivedNode, ...] = ()
    shares: tuple[SharedLayers, ...] = ()
    dropped: tuple[Dropped, ...] = ()

    def node(self, name: str) -> Node:
        """The node of that name; KeyError if it is not part of the graph."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def followers(self) -> tuple[DerivedNode, ...]:
        """The moving averages and stale copies."""
        return tuple(each for each in self.derived if each.follows is not None)

    @property
    def networks(self) -> dict[str, Node]:
        """The nodes that are networks by name, each with the node that says which network it is.

        That is the node itself, or the one that it follows.
        """
        own = {node.name: node for node in self.nodes}
        return own | {each.name: own[each.sources[0]] for each in self.followers}

    @property
    def evaluated(self) -> tuple[Node | DerivedNode, ...]:
        """The nodes that have an accuracy: networks, and what is made from them."""
        return (*self.nodes, *(each for each in self.derived if each.sources))

    def into(self, name: str) -> tuple[Edge, ...]:
        """The live edges into a node, in order."""
        return tuple(edge for edge in self.edges if edge.destination.node == name)
