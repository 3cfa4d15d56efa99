"""The plan: a knowledge transfer graph as plain data, every default written out.

Everything behind the front end sees only plans. A plan is frozen, goes to JSON and back
unchanged, and its `digest` names the training that it describes.
"""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from ktgdsl.vocabulary.call import Call as Call
from ktgdsl.vocabulary.call import Data as Data
from ktgdsl.vocabulary.call import shown

LABEL = "label"
"""The name of node 0 of the paper: the labels as one-hot distributions."""


# Gates: an expression of per-sample weights, folded


class Constant(Data):
    """The same weight for every sample and step. `through` is 1, `cutoff` is 0."""

    op: Literal["constant"] = "constant"
    value: float

    def __str__(self) -> str:
        return {1.0: "through", 0.0: "cutoff"}.get(self.value, shown(self.value))


class Weight(Data):
    """A gate of the vocabulary: a schedule (one weight a step) or a sample predicate."""

    op: Literal["weight"] = "weight"
    gate: Call
    per_sample: bool

    def __str__(self) -> str:
        return str(self.gate)


class Product(Data):
    """Weights multiplied; at most one factor is a constant, and it comes first."""

    op: Literal["product"] = "product"
    factors: tuple["Gate", ...]

    def __str__(self) -> str:
        return " * ".join(_factor(factor) for factor in self.factors)


class Sum(Data):
    """Weights added; at most one term is a constant, and it comes first."""

    op: Literal["sum"] = "sum"
    terms: tuple["Gate", ...]

    def __str__(self) -> str:
        first, *rest = (_factor(term) for term in self.terms)
        signed = (f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in rest)
        return first + "".join(signed)


def _factor(gate: "Gate") -> str:
    if isinstance(gate, Constant):
        return shown(gate.value)
    if isinstance(gate, Sum):
        return f"({gate})"
    if isinstance(gate, Product) and gate.factors[0] == Constant(value=-1):
        return "-" + " * ".join(_factor(factor) for factor in gate.factors[1:])
    return str(gate)


Gate = Annotated[Constant | Weight | Product | Sum, Field(discriminator="op")]


def per_sample(gate: Gate) -> bool:
    """Whether a gate's weight differs from sample to sample."""
    match gate:
        case Constant():
            return False
        case Weight():
            return gate.per_sample
        case Product():
            return any(per_sample(factor) for factor in gate.factors)
        case Sum():
            return any(per_sample(term) for term in gate.terms)


# The graph


class Place(Data):
    """A node, and the tap inside it (`logits` unless the spec says otherwise)."""

    node: str
    tap: str = "logits"

    def __str__(self) -> str:
        return self.node if self.tap == "logits" else f"{self.node}.{self.tap}"


class Part(Data):
    """One loss of a linear combination, with its coefficient."""

    coefficient: float
    loss: Call

    def __str__(self) -> str:
        return (
            str(self.loss) if self.coefficient == 1 else f"{shown(self.coefficient)} * {self.loss}"
        )


class Term(Data):
    """A linear combination of losses and the gate that weights its samples."""

    parts: tuple[Part, ...]
    gate: Gate


class Edge(Data):
    """A live edge: `scale * sum over terms of reduce(gate * loss)` flows into `destination`.

    `scale` is 1, or 1/(K-1) of the DML paper under `aggregate = mean`.
    """

    source: Place
    destination: Place
    terms: tuple[Term, ...]
    scale: float = 1.0

    @property
    def key(self) -> tuple[str, str]:
        """The pair that names the edge in `out.edges`: (source, destination)."""
        return str(self.source), str(self.destination)

    @property
    def from_label(self) -> bool:
        """Whether the labels are the source."""
        return self.source.node == LABEL


class Weights(Data):
    """A file of weights, by its path and the SHA-256 of its content.

    `path` is as the spec writes it, `file` where it was found.
    """

    path: str
    file: str
    sha256: str


class Node(Data):
    """A network node that takes part.

    `frozen` says why the node does not learn (paper, Sec. 3.4), None for one that does.
    A frozen node without `weights` is pre-trained on the labels first.
    `optimizer` and `schedule` are the node's own where it has them, else the block's.
    """

    name: str
    network: Call
    frozen: str | None = None
    weights: Weights | None = None
    mode: Literal["eval", "train"] = "eval"
    keep: bool = False
    optimizer: Call
    schedule: Call

    @property
    def learns(self) -> bool:
        """Whether the node is trained by this graph."""
        return self.frozen is None

    @property
    def pretrained(self) -> bool:
        """Whether the node has to be pre-trained before the graph can train."""
        return self.frozen is not None and self.weights is None


class Dropped(Data):
    """A node or an edge that is not part of the training, and why."""

    kind: Literal["node", "edge"]
    name: str
    reason: str


class Graph(Data):
    """The knowledge transfer graph after every pass: only what is computed."""

    name: str
    targets: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    dropped: tuple[Dropped, ...] = ()

    def node(self, name: str) -> Node:
        """The node of that name; KeyError if it is not part of the graph."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def into(self, name: str) -> tuple[Edge, ...]:
        """The live edges into a node, in order."""
        return tuple(edge for edge in self.edges if edge.destination.node == name)


# The settings


class DataPlan(Data):
    """The data of a run. Sizes are counts of samples, `shape` is (channels, height, width)."""

    source: Call
    classes: int
    shape: tuple[int, int, int]
    train_samples: int
    test_samples: int
    batch: int
    validation: int
    """How many training samples a held-out split takes (drawn only under `holdout`)."""
    holdout: bool
    augment: str

    @property
    def learned_samples(self) -> int:
        """How many samples training draws from."""
        return self.train_samples - (self.validation if self.holdout else 0)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches only: the rest of an epoch's shuffle is left out, as in the paper's code.

        A data set smaller than the batch is one batch.
        """
        return max(1, self.learned_samples // self.batch)


class TrainPlan(Data):
    """How the graph trains. `clip` is the largest gradient norm of a node, None for no limit."""

    epochs: int
    optimizer: Call
    schedule: Call
    precision: Literal["fp32"]
    compile: Literal["off"]
    seed: int
    repeats: int
    update: Literal["simultaneous"]
    aggregate: Literal["sum", "mean"]
    reduce: Literal["mean", "active", "sum"]
    clip: float | None
    checkpoint: int
    """A checkpoint is written every so many epochs, and at the end."""


class Plan(Data):
    """What a spec means."""

    version: Literal[1] = 1
    graph: Graph
    data: DataPlan
    train: TrainPlan
    folder: str | None = None
    """Where the spec lies: modules that it names are looked up there first."""

    @property
    def steps(self) -> int:
        """k_end of Eq. 6: the number of steps of the whole training."""
        return self.train.epochs * self.data.steps_per_epoch

    def to_json(self) -> str:
        """The plan as JSON text; `from_json` gives an equal plan."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Plan":
        """The plan of a JSON text that `to_json` wrote.

        Raises pydantic.ValidationError (a ValueError) when it is not one.
        """
        return cls.model_validate_json(text)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that changes a trained bit, names included."""
        from ktgdsl.plan.digest import digest

        return digest(self)

    @cached_property
    def canonical_digest(self) -> str:
        """SHA-256 that is the same for equal graphs, whatever auxiliary nodes are called."""
        from ktgdsl.plan.digest import canonical_digest

        return canonical_digest(self)
