"""Emits the fx graph of a plan: networks, then losses and gates under the names of their edges."""

import re
from collections.abc import Callable
from fractions import Fraction
from operator import add, mul
from typing import Any

from torch import fx

from ktgdsl.backend import gates, losses
from ktgdsl.backend.missing import source_kind
from ktgdsl.backend.output import Output
from ktgdsl.plan.model import (
    Call,
    Constant,
    Edge,
    Endpoint,
    GateCall,
    NodeOutput,
    Part,
    Plan,
    Product,
    Sum,
    Term,
    per_sample,
)
from ktgdsl.plan.model import Gate as GateExpression
from ktgdsl.vocabulary.entry import Percentage
from ktgdsl.vocabulary.gates import Gate
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.reads import Input, PhaseFraction, Read
from ktgdsl.vocabulary.registry import entry_of

Value = fx.Node | float


def module_names(plan: Plan) -> dict[str, str]:
    """The attribute that holds each node's network: `node_a`; an array's `p[0]` is `node_p_0`.

    The prefix keeps names such as `train` or `code` apart from the module's own.
    """
    names: dict[str, str] = {}
    for node in plan.graph.nodes:
        name = f"node_{_identifier(node.name)}"
        while name in names.values():
            name += "_"
        names[node.name] = name
    return names


def emit(plan: Plan) -> fx.Graph:
    """The computation of one batch as an fx graph over the modules of `module_names`.

    Placeholders are `image`, `label` and `progress`; the result is an `Output`. Sources are
    detached, so that the gradient of an edge's loss reaches its destination only (paper,
    Sec. 3.1), and what several edges need is computed once.
    """
    return _Emitter(plan).emit()


def _identifier(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


class _Emitter:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.graph = fx.Graph()
        self.image = self.graph.placeholder("image")
        self.label = self.graph.placeholder("label")
        self.progress = self.graph.placeholder("progress")
        self.logits: dict[str, fx.Node] = {}
        self.open: dict[tuple[str, str], fx.Node] = {}
        self._cache: dict[tuple[object, ...], fx.Node] = {}

    def emit(self) -> fx.Graph:
        for node, module in module_names(self.plan).items():
            self.logits[node] = self._name(
                self.graph.call_module(module, (self.image,)), f"logits_{_identifier(node)}"
            )
        edges = {edge.key: self._edge(edge) for edge in self.plan.graph.edges}
        sums = {
            node.name: self._sum([edges[e.key] for e in self.plan.graph.into(node.name)], node.name)
            for node in self.plan.graph.nodes
            if node.learns
        }
        results: tuple[Any, ...] = (sums, edges, self.logits, self.open)
        self.graph.output(self.graph.call_function(Output, results))
        self.graph.lint()
        return self.graph

    def _sum(self, edges: list[fx.Node], node: str) -> fx.Node:
        """Eq. 3: a node's loss is the sum of its edges' losses."""
        total, *rest = edges
        for edge in rest:
            total = self.graph.call_function(add, (total, edge))
        return self._name(total, f"loss_{_identifier(node)}") if rest else total

    def _edge(self, edge: Edge) -> fx.Node:
        """Eq. 2: the gated and reduced loss of an edge."""
        pair = f"{_identifier(str(edge.source))}_to_{_identifier(str(edge.destination))}"
        reduced = [self._term(edge, term, pair) for term in edge.terms]
        weights = [self._gate(term.gate, edge) for term in edge.terms]
        total = reduced[0]
        for value in reduced[1:]:
            total = self.graph.call_function(add, (total, value))
        if edge.scale != 1:
            total = self.graph.call_function(mul, (total, edge.scale))
        if all(isinstance(weight, fx.Node) for weight in weights):
            share = self._call(gates.open_share, *weights)
            self.open[edge.key] = self._name(share, f"open_{pair}")
        return self._name(total, f"edge_{pair}")

    def _term(self, edge: Edge, term: Term, pair: str) -> fx.Node:
        values = self._combination(edge, term.parts, pair)
        gate = self._gate(term.gate, edge)
        weight = None if gate == 1.0 else gate
        reduce = self.plan.train.reduce
        if reduce == "sum":
            return self._call(gates.reduce_sum, values, weight)
        if edge.from_label:
            labeled = self._call(gates.count_labeled, self.label)
            return self._call(gates.reduce_labeled, values, weight, labeled)
        if reduce == "active" and per_sample(term.gate):
            # Where a schedule is 0 the count does not matter: every sample's loss is 0 too.
            return self._call(gates.reduce_active, values, weight, weight)
        return self._call(gates.reduce_mean, values, weight)

    # Losses

    def _combination(self, edge: Edge, parts: tuple[Part, ...], pair: str) -> fx.Node:
        total: fx.Node | None = None
        for part in parts:
            value = self._name(self._loss(edge, part.loss), f"{part.loss.name}_{pair}")
            if part.coefficient != 1:
                value = self.graph.call_function(mul, (value, part.coefficient))
            total = value if total is None else self.graph.call_function(add, (total, value))
        assert total is not None
        return total

    def _loss(self, edge: Edge, call: Call) -> fx.Node:
        """The loss (B, *rest) of an edge's samples."""
        source = source_kind(edge)
        inputs = entry_of(Loss, call).inputs(source)
        values = [self._input(each, edge, detach=True) for each in inputs]
        return self._call(losses.FUNCTIONS[call.name, source], *values)

    # Inputs of losses and gates

    def _input(self, value: Input, edge: Edge, *, detach: bool = False) -> Value:
        """What a function gets for one of its inputs; `detach` stops gradients into the source."""
        match value:
            case Read(of="source"):
                read = self._output(value, edge.source)
                return self._detached(read) if detach else read
            case Read(of="destination"):
                return self._output(value, edge.destination)
            case Read(form="label"):
                return self.label
            case Read():
                clock = self._call(gates.clock, self.progress, self.image)
                return self._name(clock, "k_over_k_end")
            case PhaseFraction():
                return self._fraction(value.moment)
        return value

    def _output(self, read: Read, endpoint: Endpoint) -> fx.Node:
        """A node's logits, or log p or p of them."""
        assert isinstance(endpoint, NodeOutput)
        logits = self.logits[endpoint.node]
        if read.form == "logits":
            return logits
        suffix = _identifier(endpoint.node)
        if read.T != 1:
            suffix += f"_T{_identifier(format(read.T, 'g'))}"
        log_p = self._name(self._call(losses.log_softmax, logits, read.T), f"log_p_{suffix}")
        if read.form == "log_p":
            return log_p
        return self._name(self._method("exp", log_p), f"p_{suffix}")

    def _detached(self, value: fx.Node) -> fx.Node:
        return self._name(self._method("detach", value), f"{value.name}_detached")

    # Gates

    def _gate(self, gate: GateExpression, edge: Edge) -> Value:
        match gate:
            case Constant():
                return gate.value
            case GateCall():
                return self._weight(gate.gate, edge)
            case Product():
                operator, parts = mul, gate.factors
            case Sum():
                operator, parts = add, gate.terms
        first, *rest = (self._gate(part, edge) for part in parts)
        for value in rest:
            first = self._call(operator, first, value)
        return first

    def _weight(self, call: Call, edge: Edge) -> fx.Node:
        inputs = entry_of(Gate, call).inputs()
        values = (self._input(each, edge) for each in inputs)
        weight = self._call(gates.FUNCTIONS[call.name], *values)
        read = {each.of for each in inputs if isinstance(each, Read)}
        endpoints = {"source": edge.source, "destination": edge.destination}
        nodes = [_identifier(str(node)) for end, node in endpoints.items() if end in read]
        return self._name(weight, f"{call.name}_{'_to_'.join(nodes)}") if nodes else weight

    def _fraction(self, moment: float | Percentage) -> float:
        """The fraction of the training up to a moment, the number nearest to what is written.

        So it equals k / k_end in the step that it names: 33.3 / 100 would be below 333 / 1000.
        """
        if isinstance(moment, Percentage):
            return float(Fraction(str(moment.percent)) / 100)
        return float(Fraction(str(moment)) / self.plan.train.epochs)

    # Making nodes

    def _call(self, function: Callable[..., object], *arguments: Any) -> fx.Node:
        key = (function, *arguments)
        if key not in self._cache:
            self._cache[key] = self.graph.call_function(function, arguments)
        return self._cache[key]

    def _method(self, method: str, value: fx.Node) -> fx.Node:
        key = (method, value)
        if key not in self._cache:
            self._cache[key] = self.graph.call_method(method, (value,))
        return self._cache[key]

    def _name(self, node: fx.Node, name: str) -> fx.Node:
        """Give a node its readable name, once."""
        if not node.meta.get("named"):
            node.meta["named"] = True
            node._rename(name)
        return node
