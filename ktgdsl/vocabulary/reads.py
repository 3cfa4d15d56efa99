"""What the function of a loss or a gate takes: values of the batch, moments and numbers."""

from typing import Literal, NamedTuple

from ktgdsl.vocabulary.entry import Percentage

SourceKind = Literal["node", "label", "nothing"]
"""Where an edge comes from: a node, the labels, or nothing in a term of one node alone."""


class Read(NamedTuple):
    """A value that the training graph has for every batch.

    Of a node at one end of an edge, shape (B, classes, *rest): `logits` z; `log_p`, that is
    log softmax(z / T); `p`, that is softmax(z / T). Of the batch: `label`, (B, *rest) int64, -1
    where unlabeled. Of the step: `progress`, k / k_end in (0, 1], 0-dim.
    """

    form: Literal["logits", "log_p", "p", "label", "progress"]
    of: Literal["source", "destination"] | None = None
    T: float = 1.0


LABEL = Read("label")
PROGRESS = Read("progress")


class PhaseFraction(NamedTuple):
    """A moment of the training as the fraction of it that has passed by then, a number."""

    moment: float | Percentage


Input = Read | PhaseFraction | float
