"""What the owner of a search and its workers tell each other: plain, frozen data, no torch."""

from dataclasses import dataclass
from pathlib import Path

from ktgdsl.diagnostics.diagnostic import Diagnostic

# From the owner to a worker


@dataclass(frozen=True)
class Setup:
    """The first message: where and how to train; `folder` is the pool's."""

    device: str
    threads: int
    folder: Path
    deterministic: bool = False


@dataclass(frozen=True)
class Task:
    """A trial to train.

    `plan` is the JSON text of a plan without open values that holds a validation split out,
    `objective` the node whose accuracy on it is reported. `seed` is of the trial's random
    streams; `study_seed` of what all trials share, the held-out split and pre-training.
    After the first `kept` epochs nobody has to be asked any more.
    """

    trial: int
    plan: str
    seed: int
    study_seed: int
    objective: str
    kept: int = 0


@dataclass(frozen=True)
class Decision:
    """The answer to a report: whether the trial goes on."""

    keep: bool


ToWorker = Setup | Task | Decision


def state_path(folder: Path, trial: int) -> Path:
    """Where in the pool's folder the state of a trial is kept while it is under way."""
    return folder / f"trial-{trial}.pt"


# From a worker, passed on to the owner


@dataclass(frozen=True)
class Report:
    """An epoch, counted from 1, is trained; the worker waits for what is decided about it.

    `value` is the objective's accuracy in percent, `seconds` what the epoch took, `last`
    says that no epoch follows.
    """

    trial: int
    epoch: int
    value: float
    seconds: float
    last: bool


@dataclass(frozen=True)
class Diverged:
    """The trial has ended in epoch `epoch`: a loss or a weight was not a finite number.

    The epoch is 0 when it was one of a pre-training.
    """

    trial: int
    epoch: int
    reason: str


@dataclass(frozen=True)
class Busy:
    """A sign of life between two reports. `doing` is empty but for what is not the trial's own."""

    trial: int
    doing: str = ""


# From a worker to the pool alone


@dataclass(frozen=True)
class Ready:
    """The worker has started, or is done with a trial, and takes the next."""


@dataclass(frozen=True)
class Refused:
    """The worker cannot start at all, and neither could another."""

    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Raised:
    """The trial has raised an exception; `trace` is its traceback."""

    trial: int
    reason: str
    trace: str


FromWorker = Ready | Refused | Report | Diverged | Busy | Raised


# From the pool to the owner


@dataclass(frozen=True)
class Lost:
    """An attempt, counted from 1, at a trial was lost: its worker died, hung or raised.

    The trial is not over: it goes on with another worker, or `Failed` follows.
    """

    trial: int
    attempt: int
    reason: str
    trace: str = ""


@dataclass(frozen=True)
class Failed:
    """The trial is over, as too many attempts were lost, for these reasons."""

    trial: int
    reasons: tuple[str, ...]


Message = Report | Diverged | Busy | Lost | Failed
