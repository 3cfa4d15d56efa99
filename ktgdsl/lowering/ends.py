"""What an edge joins: from where knowledge comes, and whether from inside of networks."""

from typing import Literal, NamedTuple

Source = Literal["label", "node", "nothing"]


class Ends(NamedTuple):
    """The ends of an edge, as far as losses and gates have to go with them.

    `inside` tells an edge between taps from one between outputs, and `flat` an edge of which
    an end has no height and width. `views` is how many views of each sample the data have.
    """

    source: Source
    inside: bool = False
    flat: bool = True
    views: int = 1
