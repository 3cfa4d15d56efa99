"""The values of a program, which losses and gates read and compute, as frozen data.

Equal values are one value: whoever reads the log-probabilities of a node at a temperature reads
the same `Read`, and the training graph computes it once.
"""

from dataclasses import dataclass
from typing import Literal

from ktgdsl.plan.model import LOGITS
from ktgdsl.vocabulary.combines import On
from ktgdsl.vocabulary.reads import UserFunction

Form = Literal["features", "logits", "log_p", "p", "margin"]
"""The form in which an output of a node is read: the features at a tap; z, log softmax(z / T)
or softmax(z / T) for logits z and a temperature T; the margins of the batch norm before a tap."""

View = Literal[0, 1]
"""A view of the batch: `image`, or `second_view`."""


@dataclass(frozen=True)
class Placeholder:
    """An input of a step: `image`, `label`, `progress`, `sample` or `second_view`.

    `progress` is k / k_end of the phase. `sample` are the numbers of the samples in the training
    split, and `second_view` are the same samples as `image`, augmented anew: inputs of those
    updates alone that read them.
    """

    name: Literal["image", "label", "progress", "sample", "second_view"]


IMAGE, LABEL, PROGRESS = Placeholder("image"), Placeholder("label"), Placeholder("progress")
SAMPLE, SECOND_VIEW = Placeholder("sample"), Placeholder("second_view")


@dataclass(frozen=True)
class Read:
    """A read of a node's output by a loss or a gate.

    `detached` is true where no gradient may flow back: in the losses that the node is a source of.
    `view` says which view of the batch the node is called on, and `derived` how the output of an
    ensemble or a constant is computed.
    """

    node: str
    form: Form
    tap: str = LOGITS
    T: "float | Weight" = 1.0
    detached: bool = False
    backward: float = 1.0
    """The factor on gradients that flow back through it."""
    view: View = 0
    derived: "DerivedOutput | None" = None


@dataclass(frozen=True)
class DerivedOutput:
    """The logits of an ensemble, or log p of one of probabilities or of a constant.

    `word` and `on` name the function, which takes `inputs`. `destination` is that of the edge where
    it differs from one to the other, and `head` the label that is answered where the ensemble has
    several heads.
    """

    node: str
    word: str
    on: On
    inputs: "tuple[Value, ...]"
    destination: str | None = None
    head: str | None = None

    @property
    def name(self) -> str:
        """The name of the answer: the node, or `mix.colour`."""
        return self.node if self.head is None else f"{self.node}.{self.head}"


@dataclass(frozen=True)
class Mixer:
    """The output of the module of an ensemble that learns how to combine.

    `name` is its attribute in a training graph, and `word` the way to combine.
    """

    name: str
    node: str
    word: str
    inputs: "tuple[Value, ...]"


@dataclass(frozen=True)
class Computed:
    """A value that is computed from others.

    `column` of the labels, where samples have several, and its number;
    `one_hot` of the labels and the logits whose shape it has; `end_of_epoch` of the progress, the
    number of epochs and the steps of one: the progress at the end of the epoch; a `square`;
    `columns` of a mixer's output and their numbers; `unlabeled`, labels -1, of logits.
    """

    name: Literal["column", "one_hot", "end_of_epoch", "square", "columns", "unlabeled"]
    inputs: "tuple[Value, ...]"


@dataclass(frozen=True)
class Weight:
    """The weight of a gate of the vocabulary: its word and its inputs.

    As an input of another function it is a schedule that moves it, such as a temperature.
    """

    word: str
    inputs: "tuple[Value, ...]"


@dataclass(frozen=True)
class Connector:
    """The features of a destination through a layer that gives them the source's channels.

    The layer learns with the destination. `name` is its attribute in a training graph, `edge` is
    (source, destination), and `stream` names the random stream of its initial weights.
    """

    name: str
    kind: Literal["conv", "norm", "overhaul"]
    edge: tuple[str, str]
    stream: tuple[str, str]
    source: Read
    destination: Read


Value = (
    UserFunction | Read | Placeholder | Computed | Weight | Connector | Mixer | float | str | None
)
