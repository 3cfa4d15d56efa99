"""Gate expressions after folding: constants, calls of gates, products and sums."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from ktgdsl.vocabulary.call import Call, Data, format_number


class Constant(Data):
    """The same weight for every sample and step. `through` is 1, `cutoff` is 0."""

    op: Literal["constant"] = "constant"
    value: float

    def __str__(self) -> str:
        return {1.0: "through", 0.0: "cutoff"}.get(self.value, format_number(self.value))


class GateCall(Data):
    """A gate of the vocabulary: a schedule (one weight per step) or a sample predicate."""

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
        return format_number(gate.value)
    if isinstance(gate, Sum):
        return f"({gate})"
    if isinstance(gate, Product) and gate.factors[0] == Constant(value=-1):
        return "-" + " * ".join(_factor(factor) for factor in gate.factors[1:])
    return str(gate)


Gate = Annotated[Constant | GateCall | Product | Sum, Field(discriminator="op")]


def per_sample(gate: Gate) -> bool:
    """Whether a gate's weight can differ between the samples of a batch."""
    match gate:
        case Constant():
            return False
        case GateCall():
            return gate.per_sample
        case Product():
            return any(per_sample(factor) for factor in gate.factors)
        case Sum():
            return any(per_sample(term) for term in gate.terms)


def gate_calls(gate: Gate) -> Iterator[Call]:
    """The gates of the vocabulary that an expression calls, in order."""
    match gate:
        case GateCall():
            yield gate.gate
        case Product():
            for factor in gate.factors:
                yield from gate_calls(factor)
        case Sum():
            for term in gate.terms:
                yield from gate_calls(term)
