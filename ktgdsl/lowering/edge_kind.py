"""The kind of an edge, as far as it decides which losses and gates may stand on it."""

from functools import cache
from typing import NamedTuple

from ktgdsl.lowering.draft import Drafting
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
    """Where knowledge comes from, and what the endpoints have.

    `inside` is true for an edge between taps inside networks, `flat` where an endpoint has no
    height and width. `views` is how many views of each sample the data have.
    """

    source: SourceKind
    inside: bool = False
    flat: bool = True
    views: int = 1


def edge_kind(drafting: Drafting, source: Endpoint, destination: NodeOutput) -> EdgeKind:
    """The kind of the edge between two endpoints; heads stand where logits would."""
    taps = answer_tap(drafting.draft, source), answer_tap(drafting.draft, destination)
    return _joining(SOURCE_KINDS[type(source)], taps, drafting.views)


@cache
def _joining(source: SourceKind, taps: tuple[str, str], views: int) -> EdgeKind:
    inside = taps != (LOGITS, LOGITS)
    return EdgeKind(source, inside, not inside or not FLAT.isdisjoint(taps), views)
