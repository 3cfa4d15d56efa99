"""Emits the fx graph of an update: calls of modules, then losses and gates under their edges."""

from operator import add, getitem, mul
from typing import Any

from torch import fx

from ktgdsl.backend import gates
from ktgdsl.backend.emitted_values import SUFFIXES, Emitted, EmittedValues
from ktgdsl.backend.functions import LOSSES
from ktgdsl.backend.output import Output
from ktgdsl.backend.own_functions import own_values
from ktgdsl.plan.model import LOGITS
from ktgdsl.program.model import Combined, EdgeLoss, Gate, Loss, StageCall, Term, Update
from ktgdsl.program.names import identifier
from ktgdsl.program.values import Connector, Read, Value, Weight
from ktgdsl.vocabulary.reads import UserFunction


def emit(update: Update, folder: str | None = None) -> fx.Graph:
    """The computation of one batch as an fx graph over the modules that the update calls.

    Functions of the user's own are looked up in `folder` first. EdgeError where one cannot be
    used.

    Placeholders are `image`, `label` and `progress`, and `sample` and `second_view` where something
    reads them; the result is an `Output`, with the logits of the first view. Sources are detached,
    so that the gradient of an edge's loss reaches its destination only (paper, Sec. 3.1), and what
    several edges read is computed once.
    """
    return _Emitter(update, folder).emit()


class _Emitter:
    def __init__(self, update: Update, folder: str | None) -> None:
        self.update = update
        self.values = EmittedValues(update, folder)
        self.graph = self.values.graph
        self.open: dict[tuple[str, str], fx.Node] = {}

    def emit(self) -> fx.Graph:
        for call in self.update.calls:
            self._stage_call(call)
        edges = {edge.key: self._edge(edge) for edge in self.update.edges}
        sums = {
            learner: self._sum([edges[e.key] for e in self.update.into(learner)], learner)
            for learner in self.update.learns
        }
        logits = {
            name if tap == LOGITS else f"{name}.{tap}": self.values.outputs[call.node, tap, 0]
            for call in self.update.calls
            if call.gives_logits and call.view == 0
            for name in call.nodes
            for tap in call.answers
        }
        logits |= {each.node: self.values.derived(each, 0) for each in self.update.reported}
        results: tuple[Any, ...] = (sums, edges, logits, self.open)
        self.graph.output(self.graph.call_function(Output, results))
        self.graph.lint()
        return self.graph

    def _stage_call(self, call: StageCall) -> None:
        value = self.graph.call_module(call.attribute, tuple(map(self.values.value, call.inputs)))
        if call.access != "cached":
            value.meta["network"] = call
        node, view = identifier(call.nodes[0]), SUFFIXES[call.view]
        names = {
            tap: (f"logits_{node}" if tap == LOGITS else f"{node}_{identifier(tap)}") + view
            for tap in call.taps
        }
        if call.taps == (call.output,):
            output = self.values.name(value, names[call.output])
            self.values.outputs[call.node, call.output, call.view] = output
            return
        self.values.name(value, f"outputs_{identifier(call.node)}{view}")
        for tap in call.taps:
            output = self.graph.call_function(getitem, (value, tap))
            self.values.outputs[call.node, tap, call.view] = self.values.name(output, names[tap])

    def _sum(self, edges: list[fx.Node], learner: str) -> fx.Node:
        """Eq. 3: a node's loss is the sum of its edges' losses."""
        total, *rest = edges
        for edge in rest:
            total = self.graph.call_function(add, (total, edge))
        return self.values.name(total, f"loss_{identifier(learner)}") if rest else total

    def _edge(self, edge: EdgeLoss) -> fx.Node:
        """Eq. 2: the gated and reduced loss of an edge."""
        self.values.edge = edge.key
        pair = "_to_".join(identifier(end) for end in edge.key if end)
        reduced = [self._term(term, edge, pair) for term in edge.terms]
        weights = [self._gate(term.gate) for term in edge.terms]
        total = reduced[0]
        for value in reduced[1:]:
            total = self.graph.call_function(add, (total, value))
        if edge.scale != 1:
            total = self.graph.call_function(mul, (total, edge.scale))
        if all(isinstance(weight, fx.Node) for weight in weights):
            share = self.values.call(gates.open_share, *weights)
            self.open[edge.key] = self.values.name(share, f"open_{pair}")
        return self.values.name(total, f"edge_{pair}")

    def _term(self, term: Term, edge: EdgeLoss, pair: str) -> fx.Node:
        values = self._combination(term.losses, edge, pair)
        gate = self._gate(term.gate)
        reduced = self._reduced(term, values, None if gate == 1.0 else gate, edge.label)
        reduced.meta["reduced"] = edge.key
        return reduced

    def _reduced(self, term: Term, values: fx.Node, weight: Emitted, label: Value) -> fx.Node:
        match term.reduction:
            case "sum":
                return self.values.call(gates.reduce_sum, values, weight)
            case "labeled":
                answers = self.values.value(label)
                labeled = self.values.call(gates.count_labeled, answers)
                if _may_differ(*term.losses):
                    labeled = self.values.call(gates.count_labeled_like, answers, values)
                return self.values.call(gates.reduce_labeled, values, weight, labeled)
            case "active":
                return self.values.call(gates.reduce_active, values, weight, weight)
            case "mean":
                return self.values.call(gates.reduce_mean, values, weight)

    def _combination(self, parts: tuple[Loss, ...], edge: EdgeLoss, pair: str) -> fx.Node:
        """The linear combination (B, *rest) of the losses of an edge's samples."""
        total: fx.Node | None = None
        for part in parts:
            if isinstance(part.inputs[0], UserFunction):
                value = self.values.own(part.inputs[0], part.inputs[1:], own_values)
            else:
                inputs = [self.values.value(each) for each in part.inputs]
                value = self.values.call(LOSSES[part.word, part.source], *inputs)
            value = self.values.name(value, f"{part.word}_{pair}")
            value.meta["loss"] = edge.key, part.word
            if part.coefficient != 1:
                value = self.graph.call_function(mul, (value, part.coefficient))
            plus = gates.plus if _may_differ(*parts) else add
            total = value if total is None else self.graph.call_function(plus, (total, value))
        assert total is not None
        return total

    def _gate(self, gate: Gate) -> Emitted:
        match gate:
            case Combined():
                operator = mul if gate.operator == "*" else add
                if _may_differ(*gate.parts):
                    operator = gates.times if gate.operator == "*" else gates.plus
                first, *rest = (self._gate(part) for part in gate.parts)
                for value in rest:
                    first = self.values.call(operator, first, value)
                return first
            case Weight():
                return self.values.weight(gate)
        return gate


def _may_differ(*parts: Loss | Gate) -> bool:
    """Whether some of these may have a value for each sample and others one for each pixel.

    What is the user's own may have either.
    """
    kinds = {kind for part in parts for kind in _kinds(part)}
    return "own" in kinds or len(kinds) > 1


def _kinds(part: Loss | Gate) -> set[str]:
    match part:
        case Combined():
            return {kind for each in part.parts for kind in _kinds(each)}
        case Loss() | Weight() if isinstance(part.inputs[0], UserFunction):
            return {"own"}
        case Loss() | Weight():
            features = (isinstance(i, Read) and i.form == "features" for i in part.inputs)
            connected = (isinstance(i, Connector) for i in part.inputs)
            return {"sample" if part.word == "shard" or any((*features, *connected)) else "pixel"}
    return set()
