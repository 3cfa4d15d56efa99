"""The inputs that a loss or a gate declares for its function: values of the batch and numbers."""

from typing import Literal, NamedTuple

from ktgdsl.vocabulary.entry import Percentage

SourceKind = Literal["node", "label", "nothing"]
"""Where an edge comes from: a node, the labels, or nothing in a term of one node alone."""


class Read(NamedTuple):
    """A value that the training graph has for every batch.

    Of a node at one end of an edge, shape (B, classes, *rest): `logits` z; `log_p`, that is
    log softmax(z / T); `p`, that is softmax(z / T). `features` are what the node computes at
    `tap`, (B, channels, height, width) or (B, channels), and at the edge's own tap if that is
    None. `members` stands for a value of each node that an ensemble combines, `gate_node` for the
    node that its gate looks at. `margin`, (channels,), is the mean of a channel's negative values
    as the batch norm before the edge's tap has it. `view` is 1 for the other view of each sample.

    Of the batch: `label`, (B, *rest) int64, -1 where unlabeled; `one_hot`, the labels as
    distributions (B, classes, *rest), 0 for all classes where unlabeled; `sample`, (B,) int64, the
    numbers of the samples in the training data. Of the step, 0-dim: `progress`, k / k_end in
    (0, 1]; `epoch`, the progress at the end of the step's epoch.
    """

    form: Literal[
        "logits", "log_p", "p", "features", "margin",
        "label", "one_hot", "sample", "progress", "epoch",
    ]  # fmt: skip
    of: Literal["source", "destination", "members", "gate_node"] | None = None
    T: "float | Moving" = 1.0
    tap: str | None = None
    view: Literal[0, 1] = 0


LABEL = Read("label")
ONE_HOT = Read("one_hot")
PROGRESS = Read("progress")
EPOCH = Read("epoch")
SAMPLE = Read("sample")


class Connected(NamedTuple):
    """The destination's features at the edge's tap through a connector of this kind.

    A connector is a layer that brings them to the channels of the source's features, and to
    their height and width where they are larger. It learns with the destination.
    """

    kind: Literal["conv", "norm", "overhaul"]


class OwnModule(NamedTuple):
    """The output of an ensemble's own module for these inputs.

    Scores of K members, (B, K) or (K,), without those of members that are left out; or logits.
    """

    inputs: "tuple[Input, ...]"


class PhaseFraction(NamedTuple):
    """A moment of the training, as the fraction of the steps that are done by then."""

    moment: float | Percentage


class Moving(NamedTuple):
    """The value of a schedule in a step, 0-dim: of the gate `word` of its inputs, or its square."""

    word: str
    inputs: "tuple[Input, ...]"
    squared: bool = False


class UserFunction(NamedTuple):
    """A callable of the user's, "package.module:name", and its further arguments as JSON."""

    path: str
    arguments: str


Input = UserFunction | Read | Connected | OwnModule | PhaseFraction | Moving | float | str | None
