"""Messages between the coordinator, the pool and the workers of a search: frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.plan.goals import Goal
from ktgdsl.training.events import PretrainDone, SplitName
from ktgdsl.vocabulary.metrics import Metric

# From the coordinator to a worker


@dataclass(frozen=True)
class Setup:
    """The first message to a worker: where and how to train.

    Attributes:
        device: of the worker.
        threads: the number of torch threads.
        folder: for checkpoints and networks of trials.
        deterministic: whether to use deterministic algorithms only.
        code: the SHA-256 of the user's files that trials import, by path.
    """

    device: str
    threads: int
    folder: Path
    deterministic: bool = False
    code: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A trial to train.

    Attributes:
        trial: its number.
        plan: the JSON of a plan without open values that holds out a validation split.
        seed: of the trial's own random streams.
        study_seed: of the validation split and pre-training, which all trials share.
        objective: the node, or head of a node (`a.colour`), whose value is reported.
        metric: the value to report; None for the accuracy.
        judged_on: the split to compute it on.
        decided_epochs: the number of epochs whose reports the coordinator has answered already;
            they are not reported again.
        compiles: whether the graph is compiled, so that the first step may take minutes.
        leaves_networks: whether to write the trained networks before the last report.
        goals: the objectives to compute for the last report, if there are several.
    """

    trial: int
    plan: str
    seed: int
    study_seed: int
    objective: str
    metric: Metric | None = None
    judged_on: SplitName = "validation"
    decided_epochs: int = 0
    compiles: bool = False
    leaves_networks: bool = False
    goals: tuple[Goal, ...] = ()

    @property
    def judged(self) -> str:
        """The node whose objective is reported."""
        return self.objective.partition(".")[0]


@dataclass(frozen=True)
class Decision:
    """The answer to a report: whether the trial continues."""

    keep: bool


ToWorker = Setup | Task | Decision


def state_path(folder: Path, trial: int) -> Path:
    """The checkpoint of a running trial, in the pool's folder."""
    return folder / f"trial-{trial}.pt"


def networks_path(folder: Path, trial: int) -> Path:
    """The folder with the trained networks of a complete trial, in the pool's folder."""
    return folder / f"trial-{trial}.networks"


# From a worker to the coordinator, through the pool


@dataclass(frozen=True)
class Report:
    """An epoch is trained; the worker waits for the decision.

    Attributes:
        trial: its number.
        epoch: counted from 1.
        value: the objective in percent, with the weights that the trial would keep if it ended
            here: those of the best epoch so far in a phase with `take = best`.
        seconds: that the epoch took.
        last: whether this is the last epoch.
        values: all objectives if there are several, after the last epoch only.
        numbers: other metrics of the epoch, for loggers (`ktgdsl.training.epoch_values`).
    """

    trial: int
    epoch: int
    value: float
    seconds: float
    last: bool
    values: tuple[float, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Diverged:
    """A loss or weight became infinite or NaN in epoch `epoch`, 0 in a pre-training."""

    trial: int
    epoch: int
    reason: str


@dataclass(frozen=True)
class Busy:
    """A heartbeat. `doing` names work other than training epochs, "" for none."""

    trial: int
    doing: str = ""


@dataclass(frozen=True)
class Noted:
    """A warning to the user about a trial, one sentence."""

    trial: int
    text: str


@dataclass(frozen=True)
class Pretrained:
    """A frozen node, `network` as a spec writes it, is pre-trained or loaded from the cache."""

    trial: int
    network: str
    done: PretrainDone


# From a worker to the pool only


@dataclass(frozen=True)
class Ready:
    """The worker has started, or ended a trial, and waits for the next task."""


@dataclass(frozen=True)
class Refused:
    """No worker can start, for example because the device is missing."""

    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Raised:
    """Training the trial raised an exception; `trace` is its traceback.

    `problems` are diagnostics about nodes and edges of the plan. If there are any, the trial is not
    attempted again: a network that does not fit the data never will.
    """

    trial: int
    reason: str
    trace: str
    problems: tuple[Diagnostic, ...] = ()


FromWorker = Ready | Refused | Report | Diverged | Busy | Noted | Pretrained | Raised


# From the pool to the coordinator


@dataclass(frozen=True)
class Lost:
    """An attempt at a trial, counted from 1, was lost: its worker died, hung or raised.

    Another worker resumes the trial, or `Failed` follows.
    """

    trial: int
    attempt: int
    reason: str
    trace: str = ""


@dataclass(frozen=True)
class Failed:
    """The trial has failed: too many attempts were lost, for these reasons.

    `problems` are diagnostics about nodes and edges of its plan.
    """

    trial: int
    reasons: tuple[str, ...]
    problems: tuple[Diagnostic, ...] = ()


Message = Report | Diverged | Busy | Noted | Pretrained | Lost | Failed
