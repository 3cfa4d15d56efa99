"""The program: phases, updates, calls of modules and losses of edges, as frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ktgdsl.plan.model import LOGITS, Call
from ktgdsl.program.values import (
    IMAGE,
    LABEL,
    SECOND_VIEW,
    Connector,
    DerivedOutput,
    Mixer,
    Placeholder,
    Read,
    Value,
    View,
    Weight,
)

Access = Literal["learn", "forward", "source", "frozen", "follow", "cached"]
"""How an update calls a module: `learn` with gradients, to train it; `forward` without, for further
outputs of it; `source` if another update trains it; `frozen` if none of the phase does; `follow`
for a follower in train mode, whose batch-norm statistics change; `cached` reads stored outputs of
one that does not learn, by the numbers of the samples."""

Reduction = Literal["mean", "active", "labeled", "sum"]
"""How the weighted values of a batch become one: their sum, divided by the number of samples
(mean), of those with a weight (active) or of those with a label (labeled), or not at all (sum)."""


@dataclass(frozen=True)
class Loss:
    """A loss of a linear combination: its word, what the edge comes from, and its inputs."""

    word: str
    source: Literal["node", "label", "nothing"]
    inputs: tuple[Value, ...]
    coefficient: float


@dataclass(frozen=True)
class Combined:
    """Weights multiplied or added."""

    operator: Literal["*", "+"]
    parts: "tuple[Gate, ...]"


Gate = float | Weight | Combined


@dataclass(frozen=True)
class Term:
    """A linear combination of losses, weighted by a gate and reduced over the batch."""

    losses: tuple[Loss, ...]
    gate: Gate
    reduction: Reduction


@dataclass(frozen=True)
class EdgeLoss:
    """The loss of an edge: `scale` times the sum of its terms (paper, Eq. 2)."""

    source: str
    destination: str
    source_node: str | None
    learner: str
    terms: tuple[Term, ...]
    scale: float
    label: Value = LABEL
    """The label that says which samples are labeled."""

    @property
    def key(self) -> tuple[str, str]:
        """The pair that names the edge in outputs: (source, destination)."""
        return self.source, self.destination


@dataclass(frozen=True)
class Module:
    """The network of a node. `name` is its attribute in a training graph.

    `follows` is the node whose weights it starts with and follows, None for any other node.
    """

    name: str
    node: str
    follows: str | None = None


@dataclass(frozen=True)
class Trunk:
    """Layers that several nodes have in common: one module, computed once in an update.

    Attributes:
        name: of what it computes, a node with a tap: `a.stage1`.
        module: its attribute in a training graph.
        nodes: the sharers; initial values, optimiser and schedule are the first one's.
        layers: from the input, or from where another trunk ends, on.
        grad: whether the gradients of the sharers are added in it, or averaged.
        called: whether it is called by itself. Foreign networks have no stages to go on from, and
            each of them calls the layers as a part of it.
    """

    name: str
    module: str
    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    grad: Literal["sum", "mean"]
    called: bool = True

    def backward(self, sharers: int) -> float:
        """The factor on its gradient, which is the sum over so many sharers: 1, or for the mean."""
        return 1.0 if self.grad == "sum" else sharers / len(self.nodes)


@dataclass(frozen=True)
class StageCall:
    """A call of a module; `taps` are the outputs that are read of it.

    It is a node's network on a view of the batch, those `stages` of it that are its own on the
    output of a trunk, or a trunk, whose name is then in `node`. Where both views are read, the call
    on the second follows that on the first, the order in which statistics of batch norm change.
    """

    module: str
    node: str
    access: Access
    inputs: tuple[Placeholder | Read, ...] = (IMAGE,)
    taps: tuple[str, ...] = (LOGITS,)
    stages: tuple[str, ...] = ()
    trunk: Trunk | None = None
    view: View = 0
    answers: tuple[str, ...] = (LOGITS,)
    """The taps where the logits of the node are: of one with several heads these."""

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads of the node, where it has several."""
        return () if self.answers == (LOGITS,) else self.answers

    @property
    def gives_logits(self) -> bool:
        """Whether the logits of the node are read, of all its heads."""
        return {*self.answers} <= {*self.taps}

    @property
    def output(self) -> str:
        """The tap of the call's own output."""
        return LOGITS if self.trunk is None else self.trunk.layers[-1]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The node that is called, or the sharers of the trunk."""
        return (self.node,) if self.trunk is None else self.trunk.nodes

    @property
    def attribute(self) -> str:
        """The attribute of a training graph that is called: a wrapper for the second view."""
        return self.module if self.view == 0 else f"second_view_of_{self.module}"


def on_second_view(call: StageCall) -> StageCall:
    """The same call on the second view, of which nothing is read that carries a gradient.

    What is read is of sources, or decides a gate.
    """
    access: Access = "forward" if call.access == "learn" else call.access
    return replace(call, access=access, inputs=(SECOND_VIEW,), view=1)


@dataclass(frozen=True)
class Update:
    """One forward, one backward and one step of the optimisers of what `learns`.

    `learns` are the nodes with a loss, ensembles that pass on what they learn included. `reported`
    are the ensembles whose logits are wanted, computed without labels. `mixers` says how the
    modules of ensembles are called, by their names.
    """

    learns: tuple[str, ...]
    calls: tuple[StageCall, ...]
    edges: tuple[EdgeLoss, ...]
    reported: tuple[DerivedOutput, ...] = ()
    mixers: Mapping[str, Access] = field(default_factory=dict)

    @property
    def computed(self) -> tuple[StageCall, ...]:
        """The calls that compute a network."""
        return tuple(call for call in self.calls if call.access != "cached")

    def into(self, learner: str) -> tuple[EdgeLoss, ...]:
        """The edges that teach a learner, in order."""
        return tuple(edge for edge in self.edges if edge.learner == learner)


@dataclass(frozen=True)
class Learner:
    """The parameters that an optimiser trains in a phase: those of a node or a trunk, by its name.

    Of a trunk `sharers` are the nodes that learn in the phase. Of a node `losses` are the nodes
    whose losses reach it: itself, and ensembles that pass theirs on.
    """

    name: str
    modules: tuple[str, ...]
    optimizer: Call
    schedule: Call
    trunk: Trunk | None = None
    sharers: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Follower:
    """A node whose weights follow those of another after each step of a phase, by `rule`.

    After the step as a whole, so that all updates of a step see the same weights.
    """

    name: str
    follows: str
    rule: Call


@dataclass(frozen=True)
class Phase:
    """A phase of a training; a training without phases is one, without a name.

    `steps` is k_end of Eq. 6. `take` says which epoch's weights go on. `followers` are those of
    nodes that learn in the phase. It ends early after `patience` epochs in a row without progress
    on held-out samples, None if it never does. The learners are nodes, and `trunks` those of what
    they share.
    """

    name: str | None
    epochs: int
    steps: int
    learners: tuple[Learner, ...]
    updates: tuple[Update, ...]
    take: Literal["last", "best"]
    followers: tuple[Follower, ...] = ()
    patience: int | None = None
    trunks: tuple[Learner, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that are called, in the order of their first call, then others that change."""
        calls = [call for update in self.updates for call in update.calls]
        called = [call.node for call in calls if call.trunk is None]
        learning = [each.name for each in self.learners]
        following = [each.name for each in self.followers]
        return tuple(dict.fromkeys([*called, *self.answering, *learning, *following]))

    @property
    def answering(self) -> tuple[str, ...]:
        """The nodes whose logits are computed, then ensembles."""
        calls = [call for update in self.updates for call in update.calls]
        answering = [name for call in calls if call.gives_logits for name in call.nodes]
        answering += [each.node for update in self.updates for each in update.reported]
        return tuple(dict.fromkeys(answering))

    @property
    def learns(self) -> tuple[str, ...]:
        """The nodes that have a loss."""
        return tuple(dict.fromkeys(name for update in self.updates for name in update.learns))

    @property
    def shared(self) -> tuple[Trunk, ...]:
        """The trunks that are called."""
        calls = [call for update in self.updates for call in update.calls]
        return tuple(dict.fromkeys(call.trunk for call in calls if call.trunk is not None))

    @property
    def edges(self) -> tuple[EdgeLoss, ...]:
        """The edges of all updates, each once."""
        return tuple({edge.key: edge for update in self.updates for edge in update.edges}.values())


@dataclass(frozen=True)
class Program:
    """All that a training computes: its modules, and its phases in order.

    Each mixer is as it is evaluated: in a phase its inputs may be others.
    `pretrainings` lead them: a phase for each node that is pre-trained, whose weights are kept in
    the cache. Random streams are those of `ktgdsl.program.pretraining`, whatever the node's name.
    """

    modules: tuple[Module, ...]
    connectors: tuple[Connector, ...]
    mixers: tuple[Mixer, ...]
    phases: tuple[Phase, ...]
    trunks: tuple[Trunk, ...] = ()
    """Each after the one that it goes on from."""
    pretrainings: tuple[Phase, ...] = ()
