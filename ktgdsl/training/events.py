"""The events that a training reports to its listener: plain frozen data, without torch.

A listener is any callable that takes one event. It runs between two steps, in the
training's own thread, so it should be quick.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ktgdsl.plan.model import Plan

if TYPE_CHECKING:
    from ktgdsl.training.result import RunResult

SplitName = Literal["test", "validation"]

Measured = Mapping[str, Mapping[str, float]]
"""By node, the metrics in percent that `train { metrics }` names."""


@dataclass(frozen=True)
class EdgeMetrics:
    """One edge over an epoch: mean loss per step, and mean share of open samples in [0, 1]."""

    loss: float
    open: float


@dataclass(frozen=True)
class NonFinite:
    """The first loss of an epoch that was not a finite number.

    `edge` is (source, destination), None where every edge of the node was finite but
    their sum was not. `others` counts further edges that broke at the same step.
    """

    node: str
    edge: tuple[str, str] | None
    step: int
    value: float
    others: int = 0


@dataclass(frozen=True)
class EpochMetrics:
    """Means over the steps of one epoch of training.

    `loss` has the nodes that learn (Eq. 3), `accuracy` every node: top-1 in percent of
    the labeled training samples, as each was seen, 0 when none is labeled.
    """

    steps: int
    loss: Mapping[str, float]
    accuracy: Mapping[str, float]
    edges: Mapping[tuple[str, str], EdgeMetrics]
    nonfinite: NonFinite | None = None


@dataclass(frozen=True)
class RunStarted:
    """A run starts or resumes; `epoch` epochs of repeat `repeat` are done already.

    And `step` steps of the next one. Its networks were tried before. A new run has repeat 1 and
    epoch 0. `chosen` has a sentence for each setting that is `auto` in the plan: its value here,
    and why. `notes` has one for each difference from before a resume.
    """

    plan: Plan
    folder: Path
    device: str
    repeat: int = 1
    epoch: int = 0
    chosen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    step: int = 0


@dataclass(frozen=True)
class RepeatStarted:
    """Training with one seed starts, after `epoch` epochs that are in the checkpoint.

    And `step` steps of the next one.
    """

    repeat: int
    seed: int
    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class PretrainStarted:
    """The pre-training of a frozen node starts; the events up to `PretrainDone` are about it.

    `plan` is the plan of that training, of this one node. `reason` says why weights in the cache
    are not used, if there are any that were to be expected.
    """

    node: str
    plan: Plan
    reason: str = ""


@dataclass(frozen=True)
class PretrainAwaited:
    """Another process pre-trains the weights of a node; repeated while this one waits for it."""

    node: str


@dataclass(frozen=True)
class PretrainDone:
    """A frozen node has its pre-trained weights, from the cache or after its pre-training.

    `accuracy` is the top-1 in percent after the pre-training, on `split`. `stopped` is the epoch
    after which it ended early, None if it did not.
    """

    node: str
    accuracy: float
    split: SplitName
    cached: bool = False
    stopped: int | None = None


@dataclass(frozen=True)
class StepsDone:
    """`step` steps of epoch `epoch` are done; reported a few times a second, not at each step."""

    epoch: int
    step: int


@dataclass(frozen=True)
class EpochDone:
    """An epoch is trained and evaluated.

    Epochs are counted over all phases; `phase` names the one that it is of, if there are any,
    and `last` is true for the last epoch of the training. `accuracy` is the top-1 in percent on
    `split` of every node that is computed, `learning_rate` the rate of the epoch's last step of
    every node that learns. `stopped` says why the phase ends here if that is before its last epoch.
    `measured` is on `split`, as `accuracy`.
    """

    epoch: int
    metrics: EpochMetrics
    split: SplitName
    accuracy: Mapping[str, float]
    learning_rate: Mapping[str, float]
    phase: str | None = None
    last: bool = False
    stopped: str = ""
    measured: Measured = field(default_factory=dict)


@dataclass(frozen=True)
class EpochsSkipped:
    """So many epochs in all of the phases so far are not trained, as these ended early.

    Reported when the next phase begins and when it is resumed.
    """

    epochs: int


@dataclass(frozen=True)
class RunDiscarded:
    """A run has failed before its first epoch was done, and its folder was removed."""

    folder: Path


@dataclass(frozen=True)
class RunFinished:
    """All repeats are done and the result is written; `already` if they were before."""

    plan: Plan
    result: "RunResult"
    already: bool = False


Event = (
    RunStarted
    | RepeatStarted
    | PretrainStarted
    | PretrainAwaited
    | PretrainDone
    | StepsDone
    | EpochDone
    | EpochsSkipped
    | RunDiscarded
    | RunFinished
)
Listener = Callable[[Event], None]


def ignore(_: Event) -> None:
    """The listener that does nothing."""
