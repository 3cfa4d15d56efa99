"""Collects the inputs of an update: reads of nodes, placeholders, connectors, mixers."""

from collections.abc import Iterable, Iterator

from ktgdsl.program.model import Combined, EdgeLoss, Gate, Update
from ktgdsl.program.names import identifier, unique
from ktgdsl.program.values import (
    IMAGE,
    LABEL,
    PROGRESS,
    SAMPLE,
    SECOND_VIEW,
    Computed,
    Connector,
    DerivedOutput,
    Mixer,
    Placeholder,
    Read,
    Value,
    Weight,
)


def reads_of(edges: Iterable[EdgeLoss], reported: Iterable[DerivedOutput] = ()) -> tuple[Read, ...]:
    """The distinct reads of edges and ensembles, in the order of their first use."""
    found = [*_leaves(edges), *(leaf for output in reported for leaf in _of_derived(output))]
    return tuple(dict.fromkeys(each for each in found if isinstance(each, Read)))


def placeholders_of(update: Update) -> tuple[Placeholder, ...]:
    """The inputs of an update, in the order in which its graph takes them."""
    numbered = SAMPLE in _leaves(update.edges) or any(SAMPLE in c.inputs for c in update.calls)
    second = any(SECOND_VIEW in call.inputs for call in update.calls)
    further = (SAMPLE,) * numbered + (SECOND_VIEW,) * second
    return (IMAGE, LABEL, PROGRESS, *further)


def connectors_of(edges: Iterable[EdgeLoss]) -> tuple[Connector, ...]:
    """The distinct connectors of edges."""
    losses = (loss for edge in edges for term in edge.terms for loss in term.losses)
    found = (each for loss in losses for each in loss.inputs if isinstance(each, Connector))
    return tuple(dict.fromkeys(found))


def margin_names(edges: Iterable[EdgeLoss]) -> dict[Read, str]:
    """The margins that edges read, with the names of the modules in a graph that give them."""
    margins = [read for read in reads_of(edges) if read.form == "margin"]
    ends = {each: f"{identifier(each.node)}_{identifier(each.tap)}" for each in margins}
    return unique({each: f"margin_{end}" for each, end in ends.items()})


def mixers_of(
    edges: Iterable[EdgeLoss], reported: Iterable[DerivedOutput] = ()
) -> tuple[Mixer, ...]:
    """The distinct calls of the modules of ensembles."""
    found = [*_leaves(edges), *(leaf for output in reported for leaf in _of_derived(output))]
    return tuple(dict.fromkeys(each for each in found if isinstance(each, Mixer)))


def _leaves(edges: Iterable[EdgeLoss]) -> Iterator[Read | Placeholder | Mixer]:
    """The inputs that the losses and gates of edges are computed from."""
    for edge in edges:
        for term in edge.terms:
            for each in (*(each for loss in term.losses for each in loss.inputs), term.gate):
                yield from _within(each)


def _of_derived(output: DerivedOutput) -> Iterator[Read | Placeholder | Mixer]:
    for each in output.inputs:
        yield from _within(each)


def _within(value: Value | Gate) -> Iterator[Read | Placeholder | Mixer]:
    """The reads, inputs of the step and mixers that a value or a gate is computed from.

    What a value is computed from comes before it.
    """
    match value:
        case Read():
            if value.derived is not None:
                yield from _of_derived(value.derived)
            yield value
        case Placeholder():
            yield value
        case Connector():
            yield value.destination
        case Mixer():
            for each in value.inputs:
                yield from _within(each)
            yield value
        case Weight() | Computed():
            for each in value.inputs:
                yield from _within(each)
        case Combined():
            for part in value.parts:
                yield from _within(part)
