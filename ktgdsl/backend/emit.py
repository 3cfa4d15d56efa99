"""Emits the fx graph of an update: calls of modules, then losses and gates under their edges."""

from collections.abc import Callable
from operator import add, getitem, mul
from typing import Any

import torch
from torch import fx

from ktgdsl.backend import combines, gates, losses
from ktgdsl.backend.functions import COMBINES, GATES, LOSSES
from ktgdsl.backend.numerics import full
from ktgdsl.backend.output import Output
from ktgdsl.backend.own_functions import OwnFunction, own_values, own_weights
from ktgdsl.backend.trunks import scale_gradient
from ktgdsl.plan.model import LOGITS
from ktgdsl.program.model import Combined, EdgeLoss, Gate, Loss, StageCall, Term, Update
from ktgdsl.program.names import identifier
from ktgdsl.program.reads import margin_names, placeholders_of
from ktgdsl.program.values import (
    IMAGE,
    LABEL,
    PROGRESS,
    Computed,
    Connector,
    DerivedOutput,
    Mixer,
    Placeholder,
    Read,
    Value,
    View,
    Weight,
)
from ktgdsl.vocabulary.reads import UserFunction

Emitted = fx.Node | float | str | None


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "one_hot": losses.one_hot,
    "end_of_epoch": gates.end_of_epoch,
    "columns": combines.columns,
    "unlabeled": combines.unlabeled,
}
"""What computes the values of a batch or step that are not given."""

_SUFFIXES: dict[View, str] = {0: "", 1: "_second_view"}
"""What the names of values end with, by the view that they are computed from."""


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
        self.folder = folder
        self.graph = fx.Graph()
        self.placeholders = {
            each: self.graph.placeholder(each.name) for each in placeholders_of(update)
        }
        self.outputs: dict[tuple[str, str, View], fx.Node] = {}
        self.open: dict[tuple[str, str], fx.Node] = {}
        self._emitted = ("", "")
        """The edge that is under way."""
        self._cache: dict[tuple[object, ...], fx.Node] = {}

    def emit(self) -> fx.Graph:
        for call in self.update.calls:
            self._stage_call(call)
        edges = {edge.key: self._edge(edge) for edge in self.update.edges}
        sums = {
            learner: self._sum([edges[e.key] for e in self.update.into(learner)], learner)
            for learner in self.update.learns
        }
        logits = {
            name: self.outputs[call.node, LOGITS, 0]
            for call in self.update.calls
            if LOGITS in call.taps and call.view == 0
            for name in call.nodes
        }
        logits |= {each.node: self._derived(each, 0) for each in self.update.reported}
        results: tuple[Any, ...] = (sums, edges, logits, self.open)
        self.graph.output(self.graph.call_function(Output, results))
        self.graph.lint()
        return self.graph

    def _stage_call(self, call: StageCall) -> None:
        value = self.graph.call_module(call.attribute, tuple(map(self._value, call.inputs)))
        if call.access != "cached":
            value.meta["network"] = call
        node, view = identifier(call.nodes[0]), _SUFFIXES[call.view]
        names = {
            tap: (f"logits_{node}" if tap == LOGITS else f"{node}_{identifier(tap)}") + view
            for tap in call.taps
        }
        if call.taps == (call.output,):
            output = self._name(value, names[call.output])
            self.outputs[call.node, call.output, call.view] = output
            return
        self._name(value, f"outputs_{identifier(call.node)}{view}")
        for tap in call.taps:
            output = self.graph.call_function(getitem, (value, tap))
            self.outputs[call.node, tap, call.view] = self._name(output, names[tap])

    def _sum(self, edges: list[fx.Node], learner: str) -> fx.Node:
        """Eq. 3: a node's loss is the sum of its edges' losses."""
        total, *rest = edges
        for edge in rest:
            total = self.graph.call_function(add, (total, edge))
        return self._name(total, f"loss_{identifier(learner)}") if rest else total

    def _edge(self, edge: EdgeLoss) -> fx.Node:
        """Eq. 2: the gated and reduced loss of an edge."""
        self._emitted = edge.key
        pair = "_to_".join(identifier(end) for end in edge.key if end)
        reduced = [self._term(term, edge, pair) for term in edge.terms]
        weights = [self._gate(term.gate) for term in edge.terms]
        total = reduced[0]
        for value in reduced[1:]:
            total = self.graph.call_function(add, (total, value))
        if edge.scale != 1:
            total = self.graph.call_function(mul, (total, edge.scale))
        if all(isinstance(weight, fx.Node) for weight in weights):
            share = self._call(gates.open_share, *weights)
            self.open[edge.key] = self._name(share, f"open_{pair}")
        return self._name(total, f"edge_{pair}")

    def _term(self, term: Term, edge: EdgeLoss, pair: str) -> fx.Node:
        values = self._combination(term.losses, edge, pair)
        gate = self._gate(term.gate)
        weight = None if gate == 1.0 else gate
        match term.reduction:
            case "sum":
                return self._call(gates.reduce_sum, values, weight)
            case "labeled":
                labeled = self._call(gates.count_labeled, self.placeholders[LABEL])
                return self._call(gates.reduce_labeled, values, weight, labeled)
            case "active":
                return self._call(gates.reduce_active, values, weight, weight)
            case "mean":
                return self._call(gates.reduce_mean, values, weight)

    def _combination(self, parts: tuple[Loss, ...], edge: EdgeLoss, pair: str) -> fx.Node:
        """The linear combination (B, *rest) of the losses of an edge's samples."""
        total: fx.Node | None = None
        for part in parts:
            if isinstance(part.inputs[0], UserFunction):
                value = self._own(part.inputs[0], part.inputs[1:], own_values)
            else:
                inputs = [self._value(each) for each in part.inputs]
                value = self._call(LOSSES[part.word, part.source], *inputs)
            value = self._name(value, f"{part.word}_{pair}")
            value.meta["loss"] = edge.key, part.word
            if part.coefficient != 1:
                value = self.graph.call_function(mul, (value, part.coefficient))
            total = value if total is None else self.graph.call_function(add, (total, value))
        assert total is not None
        return total

    def _gate(self, gate: Gate) -> Emitted:
        match gate:
            case Combined():
                operator = mul if gate.operator == "*" else add
                first, *rest = (self._gate(part) for part in gate.parts)
                for value in rest:
                    first = self._call(operator, first, value)
                return first
            case Weight():
                return self._weight(gate)
        return gate

    def _weight(self, weight: Weight) -> fx.Node:
        if isinstance(weight.inputs[0], UserFunction):
            value = self._own(weight.inputs[0], weight.inputs[1:], own_weights)
        else:
            value = self._call(GATES[weight.word], *map(self._value, weight.inputs))
        read = dict.fromkeys(
            identifier(each.node) for each in weight.inputs if isinstance(each, Read)
        )
        return self._name(value, f"{weight.word}_{'_to_'.join(read)}") if read else value

    def _own(
        self, named: UserFunction, inputs: tuple[Value, ...], checked: Callable[..., object]
    ) -> fx.Node:
        """A call of a function of the user's: what nodes compute arrives in float32 at least."""
        values = [
            self._call(full, self._value(each)) if isinstance(each, Read) else self._value(each)
            for each in inputs
        ]
        key = (named, *values)
        if key not in self._cache:
            function = OwnFunction(named, self.folder, len(values), self._emitted)
            node = self.graph.call_function(function, tuple(values), function.arguments)
            self._cache[key] = self._name(node, function.__name__)
        return self._call(checked, self._cache[key], values[1], named.path, self._emitted)

    def _value(self, value: Value) -> Emitted:
        """What a function gets for one of its inputs."""
        match value:
            case Placeholder(name="progress"):
                clock = self._call(gates.clock, *map(self.placeholders.get, (PROGRESS, IMAGE)))
                return self._name(clock, "k_over_k_end")
            case Placeholder():
                return self.placeholders[value]
            case Weight():
                return self._weight(value)
            case Connector():
                return self._connected(value)
            case Computed(name="square"):
                return self._call(torch.square, *map(self._value, value.inputs))
            case Computed():
                function = _FUNCTIONS[value.name]
                return self._name(self._call(function, *map(self._value, value.inputs)), value.name)
            case Read(detached=True):
                read = self._output(value)
                return self._name(self._method("detach", read), f"{read.name}_detached")
            case Read():
                return self._output(value)
            case Mixer():
                return self._mixed(value)
            case UserFunction():
                raise ValueError(f"{value} is the first input of a loss or gate alone")
        return value

    def _connected(self, connector: Connector) -> fx.Node:
        """What a connector makes of the destination's features."""
        key = (connector.name,)
        if key not in self._cache:
            features = self._output(connector.destination)
            value = self.graph.call_module(connector.name, (features,))
            value.meta["loss"] = connector.edge, connector.kind
            self._cache[key] = self._name(value, connector.name.replace("connector", "connected"))
        return self._cache[key]

    def _mixed(self, mixer: Mixer) -> fx.Node:
        """What the module of an ensemble computes."""
        key = (mixer.name, *map(self._value, mixer.inputs))
        if key not in self._cache:
            value = self.graph.call_module(mixer.name, key[1:])
            value.meta["mixer"] = mixer
            self._cache[key] = self._name(value, mixer.name.replace("mixer", mixer.word))
        return self._cache[key]

    def _derived(self, output: DerivedOutput, view: View) -> fx.Node:
        """The logits of an ensemble, or log p of one of probabilities or of a constant."""
        value = self._call(COMBINES[output.word, output.on], *map(self._value, output.inputs))
        form = "logits" if output.on == "logits" else "log_p"
        return self._name(value, f"{form}_{_derived_suffix(output)}{_SUFFIXES[view]}")

    def _output(self, read: Read) -> fx.Node:
        """The output of a node at a tap as it is, or log p or p of its logits."""
        if read.form == "margin":
            return self._margin(read)
        derived = read.derived
        if derived is None:
            output, node = self.outputs[read.node, read.tap, read.view], identifier(read.node)
        else:
            output, node = self._derived(derived, read.view), _derived_suffix(derived)
        if read.backward != 1:
            scaled = self._call(scale_gradient, output, read.backward)
            output = self._name(scaled, f"{output.name}_shared")
        if read.form in ("features", "logits"):
            return output
        suffix = node + _SUFFIXES[read.view]
        T = self._value(read.T)
        if isinstance(T, fx.Node):
            suffix += f"_T_{T.name}"
        elif read.T != 1:
            suffix += f"_T{identifier(format(read.T, 'g'))}"
        if derived is not None and derived.on == "probabilities" and read.T == 1:
            log_p = output
        else:
            log_p = self._name(self._call(losses.log_softmax, output, T), f"log_p_{suffix}")
        if read.form == "log_p":
            return log_p
        return self._name(self._method("exp", log_p), f"p_{suffix}")

    def _margin(self, read: Read) -> fx.Node:
        """The margins (channels,) of the batch norm before a tap."""
        key = ("margin", read)
        if key not in self._cache:
            name = margin_names(self.update.edges)[read]
            self._cache[key] = self.graph.call_module(name, (self.outputs[read.node, read.tap, 0],))
        return self._cache[key]

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


def _derived_suffix(output: DerivedOutput) -> str:
    """A derived node in the names of what is computed of it."""
    node = identifier(output.node)
    return node if output.destination is None else f"{node}_for_{identifier(output.destination)}"
