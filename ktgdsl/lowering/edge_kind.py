"""The kind of an edge, which decides the losses and gates that it may have."""

from functools import cache
from typing import NamedTuple

from ktgdsl.lowering.draft import DraftContext
from ktgdsl.lowering.heads import answer_tap
from ktgdsl.lowering.taps import FLAT
from ktgdsl.plan.model import LOGITS, Endpoint, Labels, NodeOutput, NoSource
from ktgdsl.vocabulary.reads import SourceKind

SOURCE_KINDS: dict[type[Endpoint], SourceKind] = {
    NodeOutput: "node",
    Labels: "label",
    NoSource: "nothing",
}


class EdgeKind(NamedTuple):
    """The kind of an edge: its source, and the shape of what its endpoints give.

    `at_taps` is true for an edge between taps inside networks, `flat` where an endpoint has no
    height and width. `views` is how many views of each sample the data have.
    """

    source: SourceKind
    at_taps: bool = False
    flat: bool = True
    views: int = 1


def edge_kind(context: DraftContext, source: Endpoint, destination: NodeOutput) -> EdgeKind:
    """The kind of the edge between two endpoints; heads stand where logits would."""
    taps = answer_tap(context.draft, source), answer_tap(context.draft, destination)
    return _joining(SOURCE_KINDS[type(source)], taps, context.views)


@cache
def _joining(source: SourceKind, taps: tuple[str, str], views: int) -> EdgeKind:
    at_taps = taps != (LOGITS, LOGITS)
    return EdgeKind(source, at_taps, not at_taps or not FLAT.isdisjoint(taps), views)
