"""The kind of an edge, as far as it decides which losses and gates may stand on it."""

from typing import NamedTuple

from ktgdsl.vocabulary.reads import SourceKind


class EdgeKind(NamedTuple):
    """Where knowledge comes from, and what the endpoints have.

    `inside` is true for an edge between taps inside networks, `flat` where an endpoint has no
    height and width. `views` is how many views of each sample the data have.
    """

    source: SourceKind
    inside: bool = False
    flat: bool = True
    views: int = 1
