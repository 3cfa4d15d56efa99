"""What the edges of an update read of its nodes."""

from collections.abc import Iterable, Iterator

from ktgdsl.program.model import Combined, Computed, EdgeLoss, Gate, Read, Value, Weight


def reads_of(edges: Iterable[EdgeLoss]) -> tuple[Read, ...]:
    """What is read, each once, in the order of its first use."""
    values: list[Value | Gate] = []
    for edge in edges:
        for term in edge.terms:
            values += [each for loss in term.losses for each in loss.inputs]
            values.append(term.gate)
    return tuple(dict.fromkeys(read for each in values for read in _within(each)))


def _within(value: Value | Gate) -> Iterator[Read]:
    """The reads that a value or a gate is computed from."""
    match value:
        case Read():
            yield value
        case Weight() | Computed():
            for each in value.inputs:
                yield from _within(each)
        case Combined():
            for part in value.parts:
                yield from _within(part)
