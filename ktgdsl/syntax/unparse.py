"""Unparsing: values as text, with the parentheses that they need."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from ktgdsl.syntax.tree import (
    All,
    Argument,
    Binary,
    Boolean,
    CallExpression,
    Choice,
    List,
    Number,
    PercentLiteral,
    Range,
    Reference,
    StepsLiteral,
    String,
    Unary,
    Value,
)
from ktgdsl.vocabulary.call import format_path

Literal = Number | PercentLiteral | String

_CHOICE, _RANGE, _SUM, _PRODUCT, _UNARY, _ATOM = range(6)
_BINDING = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def unparse_literal(literal: Literal) -> str:
    """A literal as the language writes it when nobody has written it before."""
    match literal:
        case Number():
            return repr(literal.value)
        case PercentLiteral():
            # A percentage has no exponent.
            text = f"{Decimal(repr(literal.value)):f}"
            is_whole = isinstance(literal.value, int) or "." in text
            return f"{text}%" if is_whole else f"{text}.0%"  # a large one is no integer
        case String():
            return '"' + "".join(_ESCAPES.get(char, char) for char in literal.value) + '"'


class Unparser:
    """Writes values; `literal` gives the text of a number, a percentage or a string."""

    def __init__(self, literal: Callable[[Literal], str] = unparse_literal) -> None:
        self._literal = literal

    def value(self, value: Value) -> str:
        """The text of a value. Parsing it gives an equal value."""
        return self._value(value)[0]

    def references(self, references: Iterable[Reference]) -> str:
        """The text of nodes or taps, with commas between them."""
        return ", ".join(self._reference(reference) for reference in references)

    def _value(self, value: Value) -> tuple[str, int]:
        """The text of a value, and how tightly its outermost sign binds."""
        match value:
            case Number() | PercentLiteral() | String():
                return self._literal(value), _ATOM
            case StepsLiteral(number=number):
                return f"{self._literal(number)} step{'s' * (number.value != 1)}", _ATOM
            case CallExpression():
                inner = ", ".join(self._argument(argument) for argument in value.arguments)
                return value.name + (f"({inner})" if value.arguments else ""), _ATOM
            case Boolean():
                return str(value.value).lower(), _ATOM
            case List():
                return f"[{', '.join(self.value(item) for item in value.items)}]", _ATOM
            case Reference():
                return self._reference(value), _ATOM
            case Unary():
                return f"-{self._inside(value.operand, _UNARY)}", _UNARY
            case Binary():
                level = _BINDING[value.operator]
                left = self._inside(value.left, level)
                right = self._inside(value.right, level + 1)
                return f"{left} {value.operator} {right}", level
            case Range():
                # Arithmetic at an end needs no parentheses, but `1 .. 2 * n` misleads.
                low, high = self._inside(value.low, _UNARY), self._inside(value.high, _UNARY)
                return f"{low} .. {high}", _RANGE
            case Choice():
                options = (self._inside(option, _RANGE) for option in value.options)
                return " | ".join(options), _CHOICE

    def _inside(self, value: Value, least: int) -> str:
        text, level = self._value(value)
        return text if level >= least else f"({text})"

    def _argument(self, argument: Argument) -> str:
        prefix = f"{argument.name}=" if argument.name else ""
        return prefix + self.value(argument.value)

    def _reference(self, reference: Reference) -> str:
        text = reference.name
        if reference.index is not None:
            inside = "*" if isinstance(reference.index, All) else self.value(reference.index)
            text += f"[{inside}]"
        match reference.tap:
            case None:
                return text
            case String(value=path) if "." in path and format_path(path) == path:
                return f"{text}.{path}"
            case CallExpression(arguments=()) | String():
                return f"{text}.{self.value(reference.tap)}"
        return f"{text}.({self.value(reference.tap)})"
