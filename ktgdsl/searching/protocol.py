"""Messages between the coordinator of a search, its pool and its workers: frozen data."""

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
        threads: how many it computes with.
        folder: for checkpoints and networks of trials.
        deterministic: whether to use deterministic algorithms alone.
        code: the SHA-256 of the user's own files that trials need, by path.
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
        plan: the JSON text of a plan without open values that holds out a validation split.
        seed: of the trial's own random streams.
        study_seed: of what all trials share: the held-out split and pre-training.
        objective: the node, or a head of one (`a.colour`), whose value is reported.
        metric: the value to report; None for the accuracy.
        judged_on: the split to compute it on.
        kept: how many epochs the coordinator has already decided to continue after.
        compiles: whether the graph is compiled, so that the first step may take minutes.
        leaves_networks: whether to write the trained networks before the last report.
        goals: the objectives, where there are several, of the last report.
    """

    trial: int
    plan: str
    seed: int
    study_seed: int
    objective: str
    metric: Metric | None = None
    judged_on: SplitName = "validation"
    kept: int = 0
    compiles: bool = False
    leaves_networks: bool = False
    goals: tuple[Goal, ...] = ()

    @property
    def judged(self) -> str:
        """The node that the objective is of."""
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
    """The folder with the trained networks of a trial at its end, in the pool's folder."""
    return folder / f"trial-{trial}.networks"


# From a worker to the coordinator, by way of the pool


@dataclass(frozen=True)
class Report:
    """An epoch is trained; the worker waits for the decision.

    Attributes:
        trial: its number.
        epoch: counted from 1.
        value: the objective in percent, with the weights that the trial would keep if it ended
            here: those of the best epoch so far in a phase with `take = best`.
        seconds: how long the epoch took.
        last: whether no epoch follows.
        values: all objectives where there are several, of the last epoch alone.
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
    """The trial ended in epoch `epoch`, as a loss or a weight was not a finite number.

    The epoch is 0 when that happened in a pre-training.
    """

    trial: int
    epoch: int
    reason: str


@dataclass(frozen=True)
class Busy:
    """A heartbeat. `doing` names work besides the epochs of the trial, "" for none."""

    trial: int
    doing: str = ""


@dataclass(frozen=True)
class Noted:
    """A warning about a trial for the user, in a sentence."""

    trial: int
    text: str


@dataclass(frozen=True)
class Pretrained:
    """A frozen node of a trial, with this `network` in the language, is pre-trained or loaded."""

    trial: int
    network: str
    done: PretrainDone


# From a worker to the pool alone


@dataclass(frozen=True)
class Ready:
    """The worker has started or finished a trial, and waits for the next."""


@dataclass(frozen=True)
class Refused:
    """The worker cannot start, and no other could: the device is missing, for example."""

    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Raised:
    """Training the trial raised an exception; `trace` is its traceback.

    `problems` are about nodes and edges of the plan. With one, another attempt is of no use: a
    network that does not fit never will.
    """

    trial: int
    reason: str
    trace: str
    problems: tuple[Diagnostic, ...] = ()


FromWorker = Ready | Refused | Report | Diverged | Busy | Noted | Pretrained | Raised


# From the pool to the coordinator


@dataclass(frozen=True)
class Lost:
    """An attempt, counted from 1, at a trial was lost: its worker died, hung or raised.

    The trial continues on another worker, or `Failed` follows.
    """

    trial: int
    attempt: int
    reason: str
    trace: str = ""


@dataclass(frozen=True)
class Failed:
    """The trial has failed: too many attempts were lost, for these reasons.

    `problems` are about nodes and edges of its plan.
    """

    trial: int
    reasons: tuple[str, ...]
    problems: tuple[Diagnostic, ...] = ()


Message = Report | Diverged | Busy | Noted | Pretrained | Lost | Failed
