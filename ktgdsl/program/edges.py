"""Lowers edges to the program: the losses and gates of each, with their inputs resolved."""

from dataclasses import dataclass
from fractions import Fraction

from ktgdsl.plan import model as plan
from ktgdsl.program.derived import Outputs
from ktgdsl.program.model import Combined, EdgeLoss, Gate, Loss, Reduction, Term
from ktgdsl.program.values import (
    PROGRESS,
    SAMPLE,
    Computed,
    Connector,
    Read,
    Value,
    View,
    Weight,
)
from ktgdsl.vocabulary import gates, losses, reads
from ktgdsl.vocabulary.entry import Percentage
from ktgdsl.vocabulary.registry import entry_of


def source_kind(edge: plan.Edge) -> reads.SourceKind:
    """The kind of source that an edge has."""
    match edge.source:
        case plan.Labels():
            return "label"
        case plan.NoSource():
            return "nothing"
        case plan.NodeOutput():
            return "node"


def edge_loss(
    edge: plan.Edge, pair: str, outputs: Outputs, reduce: str, epochs: int, steps: int
) -> EdgeLoss:
    """The loss of an edge in a phase of so many epochs; `reduce` is the setting of `train`.

    `pair` stands for the edge in the names of modules, `outputs` are those of the nodes, and
    `steps` is the number of steps of an epoch.
    """
    resolver = _Resolver(edge, pair, outputs, epochs, steps)
    terms = tuple(
        Term(
            tuple(resolver.loss(part) for part in term.parts),
            resolver.gate(term.gate),
            _reduction(edge, term, reduce),
        )
        for term in edge.terms
    )
    source, label = plan.node_of(edge.source), resolver.label(edge.destination, edge.source)
    return EdgeLoss(*edge.key, source, edge.destination.node, terms, edge.scale, label)


def _reduction(edge: plan.Edge, term: plan.Term, reduce: str) -> Reduction:
    if reduce == "sum":
        return "sum"
    if edge.from_label:
        return "labeled"
    # Where a schedule is 0 the count does not matter: every sample's loss is 0 too.
    return "active" if reduce == "active" and plan.per_sample(term.gate) else "mean"


@dataclass(frozen=True)
class _Resolver:
    """Resolves the inputs of losses and gates to values of the nodes at the ends of an edge."""

    edge: plan.Edge
    pair: str
    outputs: Outputs
    epochs: int
    steps: int

    def loss(self, part: plan.Part) -> Loss:
        source = source_kind(self.edge)
        inputs = entry_of(losses.Loss, part.loss).inputs(source)
        values = tuple(self._value(each, is_loss=True) for each in inputs)
        return Loss(part.loss.name, source, values, part.coefficient)

    def gate(self, gate: plan.Gate) -> Gate:
        match gate:
            case plan.Constant():
                return gate.value
            case plan.GateCall():
                inputs = entry_of(gates.Gate, gate.gate).inputs(source_kind(self.edge))
                return Weight(gate.gate.name, tuple(self._value(each) for each in inputs))
            case plan.Product():
                return Combined("*", tuple(self.gate(each) for each in gate.factors))
            case plan.Sum():
                return Combined("+", tuple(self.gate(each) for each in gate.terms))

    def label(self, *ends: plan.Endpoint) -> Value:
        """The label of the first of these ends that answers one."""
        return self.outputs.label_of(self._head(*ends))

    def _head(self, *ends: plan.Endpoint) -> str | None:
        """The head that an edge is about, None where samples have one label."""
        for end in ends:
            if isinstance(end, plan.Labels) and end.head is not None:
                return end.head
            heads = self.outputs.heads.get(plan.node_of(end) or "", ())
            if len(heads) == 1 or plan.tap_of(end) in heads:
                return heads[0] if len(heads) == 1 else plan.tap_of(end)
        return None

    def _value(self, read: reads.Input, *, is_loss: bool = False) -> Value:
        """One input of a loss, or of a gate; only a loss has gradients to keep from the source."""
        match read:
            case reads.Read(form=("features" | "logits" | "log_p" | "p") as form):
                is_source = read.of == "source"
                end = self.edge.source if is_source else self.edge.destination
                assert isinstance(end, plan.NodeOutput)
                T = read.T if isinstance(read.T, float) else self._schedule(read.T)
                # Logits are those of the node, wherever in its network the edge ends.
                answer = self.outputs.answer_tap(end.node, end.tap)
                tap = (read.tap or end.tap) if form == "features" else answer
                return self.outputs.read(
                    Read(end.node, form, tap, T, is_loss and is_source, view=self._view(read)),
                    self.edge.destination.node if is_source else None,
                    self._head(self.edge.destination),
                )
            case reads.Read(form="margin"):
                assert isinstance(self.edge.source, plan.NodeOutput)
                return Read(self.edge.source.node, "margin", self.edge.source.tap)
            case reads.Read():
                return self._of_batch(read, is_loss=is_loss)
            case reads.Moving():
                now = self._schedule(read)
                return Computed("square", (now,)) if read.squared else now
            case reads.PhaseFraction():
                return self._fraction(read.moment)
            case reads.Connected():
                source, destination = self.edge.source, self.edge.destination
                assert isinstance(source, plan.NodeOutput)
                return Connector(
                    f"connector_{read.kind}_{self.pair}",
                    read.kind,
                    self.edge.key,
                    (source.stable_name, destination.stable_name),
                    Read(source.node, "features", source.tap),
                    Read(destination.node, "features", destination.tap),
                )
            case reads.OwnModule():
                raise ValueError(f"an edge has no {read}")
        return read

    def _view(self, read: reads.Read) -> View:
        """The view that is read; between the views of a node the source's first is the second."""
        other = read.of == "source" and self.edge.between_views
        return 1 if (read.view == 1) != other else 0

    def _schedule(self, moving: reads.Moving) -> Weight:
        return Weight(moving.word, tuple(self._value(each) for each in moving.inputs))

    def _of_batch(self, read: reads.Read, *, is_loss: bool) -> Value:
        """Labels, numbers of samples, or how far the training is."""
        source, destination = self.edge.source, self.edge.destination
        match read.form:
            case "label":  # gates ask whether the source is right
                return self.label(*([destination, source] if is_loss else [source, destination]))
            case "one_hot":
                tap = self.outputs.answer_tap(destination.node, destination.tap)
                like = self.outputs.read(Read(destination.node, "logits", tap))
                return Computed("one_hot", (self.label(destination, source), like))
            case "sample":
                return SAMPLE
            case "progress":
                return PROGRESS
            case "epoch":
                return Computed("end_of_epoch", (PROGRESS, self.epochs, self.steps))
        raise ValueError(f"a program has no {read}")

    def _fraction(self, moment: float | Percentage) -> float:
        """The fraction of the phase up to a moment, the number nearest to what is written.

        So it equals k / k_end in the step that it names: 33.3 / 100 would be below 333 / 1000.
        """
        if isinstance(moment, Percentage):
            return float(Fraction(str(moment.percent)) / 100)
        return float(Fraction(str(moment)) / self.epochs)
