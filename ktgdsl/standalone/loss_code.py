"""The Python of an update: its training graph as code, without values that are only reported."""

import operator
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import fx

from ktgdsl.backend import gates
from ktgdsl.backend import user_functions as user_functions
from ktgdsl.backend.emit import emit
from ktgdsl.backend.output import Output
from ktgdsl.backend.user_functions import ImportedFunction
from ktgdsl.program.model import StageCall, Update
from ktgdsl.standalone import runtime
from ktgdsl.standalone.source import Definitions, import_line, own_name
from ktgdsl.standalone.text import literal

_OPERATORS: dict[object, str] = {operator.mul: "*", operator.add: "+"}
_SAME: frozenset[object] = frozenset({gates.clock, user_functions.own_values})
"""Functions that give their first input: they turn numbers into tensors, or check."""

_HANDS_ON = {user_functions.own_weights: runtime.in_range}
"""Replacements of functions that a script cannot have, called with the first input alone."""

CallText = Callable[[Update, fx.Node], tuple[str, str]]
"""Gives the text before and after the arguments of a call of a module in an update."""


@dataclass(frozen=True)
class FunctionCode:
    """A function of a script: its parameters, and the statements of its body."""

    parameters: tuple[str, ...]
    body: tuple[str, ...]


def losses_of(
    update: Update, folder: str | None, call_text: CallText, used: Definitions
) -> FunctionCode:
    """The function that computes the loss of each node that learns in an update.

    Modules of the user's are looked up in `folder` first; `used` gets what is called.
    """
    return _function(update, folder, 0, call_text, used)


def answers_of(
    update: Update, folder: str | None, call_text: CallText, used: Definitions
) -> FunctionCode:
    """The function that computes the logits of each node that is evaluated; see `losses_of`."""
    return _function(update, folder, 2, call_text, used)


def _function(
    update: Update, folder: str | None, field: int, call_text: CallText, used: Definitions
) -> FunctionCode:
    graph = emit(update, folder)
    output = next(node for node in graph.nodes if node.target is Output)
    results = cast(Mapping[str, fx.Node], output.args[field])
    needed = _needed(graph, results.values())
    nodes = [node for node in graph.nodes if node in needed]
    for node in nodes:  # before locals get names, which must not be those of functions
        _add(node, used)
    printer = _Printer(update, needed, call_text, used)
    inputs = [str(node.target) for node in nodes if node.op == "placeholder"]
    lines = [printer.line(node) for node in nodes if _has_line(node, needed)]
    answer = ", ".join(f"{literal(key)}: {printer.text(value)}" for key, value in results.items())
    text = " ".join(lines)
    modules = [each for each in ("networks", "parts") if f"{each}[" in text]
    return FunctionCode((*modules, *inputs), (*lines, f"return {{{answer}}}"))


def _needed(graph: fx.Graph, results: Iterable[fx.Node]) -> set[fx.Node]:
    """The nodes that results depend on, and all module calls, which may change buffers."""
    waiting = [*results, *(node for node in graph.nodes if node.op == "call_module")]
    found: set[fx.Node] = set()
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            inputs = node.all_input_nodes
            waiting += inputs[:1] if node.target in _SAME else inputs
    return found


def _has_line(node: fx.Node, needed: Container[fx.Node]) -> bool:
    is_value = node.op not in ("placeholder", "output") and node.target not in _SAME
    return is_value and not _is_inline(node, needed)


def _is_inline(node: fx.Node, needed: Container[fx.Node]) -> bool:
    """Whether a value without a name is used once, and so written inline."""
    users = [each for each in node.users if each in needed]
    unnamed = node.op == "call_function" and not node.meta.get("named")
    return unnamed and len(users) == 1 and users[0].target not in _SAME


def _add(node: fx.Node, used: Definitions) -> None:
    """Add the function that a node calls."""
    function: Any = node.target
    if node.op != "call_function" or function in _OPERATORS or function in _SAME:
        return
    if isinstance(function, ImportedFunction):
        origin = function.__module__, function.__name__
        used.own.add(import_line(own_name(*origin), origin))
    elif function not in (operator.getitem, torch.square):
        used.add(_HANDS_ON.get(function, function))


class _Printer:
    def __init__(
        self,
        update: Update,
        needed: Container[fx.Node],
        call_text: CallText,
        used: Definitions,
    ) -> None:
        self._update = update
        self._needed = needed
        self._call_text = call_text
        self._used = used
        self._taken = {*used.names.values(), *used.imported, "networks", "parts"}

    def line(self, node: fx.Node) -> str:
        """The statement that computes a value."""
        return f"{self.text(node)} = {self._value(node)}"

    def text(self, value: Any) -> str:
        """An argument, or the name of a value."""
        if isinstance(value, fx.Node):
            if value.target in _SAME:
                return self.text(value.args[0])
            if _is_inline(value, self._needed):
                return self._value(value)
            return f"{value.name}_" if value.name in self._taken else value.name
        if isinstance(value, tuple):
            return f"({', '.join(map(self.text, value))},)"
        return literal(value)

    def _value(self, node: fx.Node) -> str:
        function: Any = node.target
        arguments = [*map(self.text, node.args)]
        if node.op == "call_method":
            return f"{arguments[0]}.{function}({', '.join(arguments[1:])})"
        if node.op == "call_module":
            opening, closing = self._call_text(self._update, node)
            return f"{opening}{', '.join(arguments)}{closing}"
        if function in _OPERATORS:
            first, second = node.args
            return (
                f"{self._operand(first, function)} {_OPERATORS[function]} {self._operand(second)}"
            )
        if function is operator.getitem:
            return f"{arguments[0]}[{arguments[1]}]"
        if function in _HANDS_ON:
            function, arguments = _HANDS_ON[function], arguments[:1]
        arguments += [f"{key}={literal(value)}" for key, value in node.kwargs.items()]
        return f"{self._name(function)}({', '.join(arguments)})"

    def _operand(self, value: Any, left_of: object = None) -> str:
        """A value in an expression, in parentheses unless it is the `left_of` an equal operator."""
        text = self.text(value)
        is_sum = isinstance(value, fx.Node) and value.target in _OPERATORS
        inline = is_sum and _is_inline(value, self._needed) and value.target is not left_of
        return f"({text})" if inline else text

    def _name(self, function: Any) -> str:
        if function is torch.square:
            return "torch.square"
        return (
            own_name(function.__module__, function.__name__)
            if isinstance(function, ImportedFunction)
            else self._used.name(function)
        )


def network_call(node: fx.Node) -> StageCall | None:
    """The call of a network that a node is."""
    found: StageCall | None = node.meta.get("network")
    return found
