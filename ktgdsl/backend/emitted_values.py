"""The values of an update as fx nodes: what its losses and gates read, each computed once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from ktgdsl.backend import combines, gates, losses
from ktgdsl.backend.functions import COMBINES, GATES
from ktgdsl.backend.numerics import full
from ktgdsl.backend.process_group import gathered
from ktgdsl.backend.trunks import scale_gradient
from ktgdsl.backend.user_functions import ImportedFunction, own_weights
from ktgdsl.program.model import Update
from ktgdsl.program.names import identifier
from ktgdsl.program.reads import margin_names, placeholders_of
from ktgdsl.program.values import (
    IMAGE,
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
    "column": losses.column,
    "one_hot": losses.one_hot,
    "end_of_epoch": gates.end_of_epoch,
    "columns": combines.columns,
    "unlabeled": combines.unlabeled,
}
"""The functions of computed values, by name."""

SUFFIXES: dict[View, str] = {0: "", 1: "_second_view"}
"""The suffix of the names of values, by the view that they are computed from."""


class EmittedValues:
    """Adds the values that edges read to a graph, and calls of functions, each once.

    Attributes:
        graph: to add to, with its placeholders.
        placeholders: of the update.
        outputs: what calls of modules give, by node, tap and view, filled by the caller; of
            several processes, for the part of the batch that this one has.
        edge: (source, destination) of the edge that is under way.
    """

    def __init__(self, update: Update, folder: str | None, gather: bool) -> None:
        self.graph = fx.Graph()
        self.placeholders = {
            each: self.graph.placeholder(each.name) for each in placeholders_of(update)
        }
        self.outputs: dict[tuple[str, str, View], fx.Node] = {}
        self.edge = ("", "")
        self._folder = folder
        self._gather = gather
        self._margins = margin_names(update.edges)
        self._cache: dict[tuple[object, ...], fx.Node] = {}

    def value(self, value: Value) -> Emitted:
        """The argument for an input of a function."""
        match value:
            case Placeholder(name="progress"):
                clock = self.call(gates.clock, *map(self.placeholders.get, (PROGRESS, IMAGE)))
                return self.name(clock, "k_over_k_end")
            case Placeholder():
                return self.placeholders[value]
            case Weight():
                return self.weight(value)
            case Connector():
                return self._connected(value)
            case Computed(name="square"):
                return self.call(torch.square, *map(self.value, value.inputs))
            case Computed():
                function = _FUNCTIONS[value.name]
                return self.name(self.call(function, *map(self.value, value.inputs)), value.name)
            case Read(detached=True):
                read = self._output(value)
                return self.name(self._method("detach", read), f"{read.name}_detached")
            case Read():
                return self._output(value)
            case Mixer():
                return self._mixed(value)
            case UserFunction():
                raise ValueError(f"{value} is the first input of a loss or gate alone")
        return value

    def stage_input(self, value: Placeholder | Read) -> fx.Node:
        """The argument for an input of a module: this process's part of the batch."""
        if isinstance(value, Placeholder):
            return self.placeholders[value]
        output = self.outputs[value.node, value.tap, value.view]
        return self._scaled(output, value.backward)

    def output(self, node: str, tap: str, view: View) -> fx.Node:
        """The output of a module call at a tap, for the whole batch."""
        part = self.outputs[node, tap, view]
        if not self._gather:
            return part
        return self.name(self.call(gathered, part), f"{part.name}_gathered")

    def weight(self, weight: Weight) -> fx.Node:
        """The weight of a gate, or the value of a schedule."""
        if isinstance(weight.inputs[0], UserFunction):
            value = self.own(weight.inputs[0], weight.inputs[1:], own_weights)
        else:
            value = self.call(GATES[weight.word], *map(self.value, weight.inputs))
        read = dict.fromkeys(
            identifier(each.node) for each in weight.inputs if isinstance(each, Read)
        )
        return self.name(value, f"{weight.word}_{'_to_'.join(read)}") if read else value

    def own(
        self, named: UserFunction, inputs: tuple[Value, ...], checked: Callable[..., object]
    ) -> fx.Node:
        """A call of a function of the user's: what nodes compute arrives in float32 at least."""
        values = [
            self.call(full, self.value(each)) if isinstance(each, Read) else self.value(each)
            for each in inputs
        ]
        key = (named, *values)
        if key not in self._cache:
            function = ImportedFunction(named, self._folder, len(values), self.edge)
            node = self.graph.call_function(function, tuple(values), function.arguments)
            self._cache[key] = self.name(node, function.__name__)
        return self.call(checked, self._cache[key], values[1], named.path, self.edge)

    def _connected(self, connector: Connector) -> fx.Node:
        """The output of a connector for the destination's features."""
        key = (connector.name,)
        if key not in self._cache:
            features = self._output(connector.destination)
            value = self.graph.call_module(connector.name, (features,))
            value.meta["loss"] = connector.edge, connector.kind
            self._cache[key] = self.name(value, connector.name.replace("connector", "connected"))
        return self._cache[key]

    def _mixed(self, mixer: Mixer) -> fx.Node:
        """The output of an ensemble's own module."""
        key = (mixer.name, *map(self.value, mixer.inputs))
        if key not in self._cache:
            value = self.graph.call_module(mixer.name, key[1:])
            value.meta["mixer"] = mixer
            self._cache[key] = self.name(value, mixer.name.replace("mixer", mixer.word))
        return self._cache[key]

    def derived(self, output: DerivedOutput, view: View) -> fx.Node:
        """The logits of an ensemble, or log p of one of probabilities or of a constant."""
        value = self.call(COMBINES[output.word, output.on], *map(self.value, output.inputs))
        form = "logits" if output.on == "logits" else "log_p"
        return self.name(value, f"{form}_{_derived_suffix(output)}{SUFFIXES[view]}")

    def _output(self, read: Read) -> fx.Node:
        """The output of a node at a tap as it is, or log p or p of its logits."""
        if read.form == "margin":
            return self._margin(read)
        derived = read.derived
        if derived is None:
            output, node = self.output(read.node, read.tap, read.view), identifier(read.node)
        else:
            output, node = self.derived(derived, read.view), _derived_suffix(derived)
        output = self._scaled(output, read.backward)
        if read.form in ("features", "logits"):
            return output
        suffix = node + SUFFIXES[read.view]
        T = self.value(read.T)
        if isinstance(T, fx.Node):
            suffix += f"_T_{T.name}"
        elif read.T != 1:
            suffix += f"_T{identifier(format(read.T, 'g'))}"
        if derived is not None and derived.on == "probabilities" and read.T == 1:
            log_p = output
        else:
            log_p = self.name(self.call(losses.log_softmax, output, T), f"log_p_{suffix}")
        if read.form == "log_p":
            return log_p
        return self.name(self._method("exp", log_p), f"p_{suffix}")

    def _scaled(self, output: fx.Node, backward: float) -> fx.Node:
        if backward == 1:
            return output
        scaled = self.call(scale_gradient, output, backward)
        return self.name(scaled, f"{output.name}_shared")

    def _margin(self, read: Read) -> fx.Node:
        """The margins (channels,) of the batch norm before a tap."""
        key = ("margin", read)
        if key not in self._cache:
            name = self._margins[read]
            self._cache[key] = self.graph.call_module(name, (self.outputs[read.node, read.tap, 0],))
        return self._cache[key]

    def call(self, function: Callable[..., object], *arguments: Any) -> fx.Node:
        """A call of a function, once for equal arguments."""
        key = (function, *arguments)
        if key not in self._cache:
            self._cache[key] = self.graph.call_function(function, arguments)
        return self._cache[key]

    def _method(self, method: str, value: fx.Node) -> fx.Node:
        key = (method, value)
        if key not in self._cache:
            self._cache[key] = self.graph.call_method(method, (value,))
        return self._cache[key]

    def name(self, node: fx.Node, name: str) -> fx.Node:
        """Give a node its readable name, once."""
        if not node.meta.get("named"):
            node.meta["named"] = True
            node._rename(name)
        return node


def _derived_suffix(output: DerivedOutput) -> str:
    """A derived node in the names of what is computed of it."""
    node = identifier(output.name)
    return node if output.destination is None else f"{node}_for_{identifier(output.destination)}"
