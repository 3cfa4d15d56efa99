"""What the edges of an update read of its nodes."""

from collections.abc import Iterable, Iterator

from ktgdsl.program.model import (
    Combined,
    Computed,
    Connector,
    EdgeLoss,
    Gate,
    Read,
    Value,
    Weight,
)


def reads_of(edges: Iterable[EdgeLoss]) -> tuple[Read, ...]:
    """What is read, each once, in the order of its first use."""
    values: list[Value | Gate] = []
    for edge in edges:
        for term in edge.terms:
            values += [each for loss in term.losses for each in loss.inputs]
            values.append(term.gate)
    return tuple(dict.fromkeys(read for each in values for read in _within(each)))


def connectors_of(edges: Iterable[EdgeLoss]) -> tuple[Connector, ...]:
    """The connectors of edges, each once."""
    losses = (loss for edge in edges for term in edge.terms for loss in term.losses)
    found = (each for loss in losses for each in loss.inputs if isinstance(each, Connector))
    return tuple(dict.fromkeys(found))


def _within(value: Value | Gate) -> Iterator[Read]:
    """The reads that a value or a gate is computed from."""
    match value:
        case Read():
            yield value
        case Connector():
            yield value.destination
        case Weight() | Computed():
            for each in value.inputs:
                yield from _within(each)
        case Combined():
            for part in value.parts:
                yield from _within(part)
