"""What a search tells whoever watches it: plain, frozen data, without torch.

A listener is any callable that takes one event, and is called in the owner's thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ktgdsl.plan.model import Plan

if TYPE_CHECKING:
    from ktgdsl.searching.result import SearchResult

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Past:
    """A trial of an earlier owner: what became of it, and its values in percent by epoch."""

    state: State | Literal["running"]
    values: Mapping[int, float]


@dataclass(frozen=True)
class SearchStarted:
    """A search begins or goes on; `past` has the trials of before.

    `rungs` are the epochs after which trials may be ended early, `epochs` is the length of a
    full trial.
    """

    plan: Plan
    folder: Path
    workers: int
    rungs: tuple[int, ...]
    epochs: int
    trials: int
    past: Sequence[Past] = ()

    @property
    def done(self) -> int:
        """How many trials are over already."""
        return sum(trial.state != "running" for trial in self.past)


@dataclass(frozen=True)
class TrialStarted:
    """A trial is given to a worker, or given again after `epoch` epochs that are known.

    `drawn` says what was drawn, by the names of the draws.
    """

    trial: int
    drawn: Mapping[str, str]
    plan: Plan
    epoch: int = 0


@dataclass(frozen=True)
class TrialReported:
    """An epoch of a trial is trained: `value` is the objective, in percent.

    `kept` says whether the trial goes on, or was complete.
    """

    trial: int
    epoch: int
    value: float
    kept: bool


@dataclass(frozen=True)
class TrialEnded:
    """A trial is over. `value` is its last, if any; `reason` says why it failed."""

    trial: int
    state: State
    epochs: int
    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class WorkerLost:
    """An attempt at a trial was lost with its worker, and the trial goes on with another."""

    trial: int
    attempt: int
    reason: str


@dataclass(frozen=True)
class BestFound:
    """There is a new best graph: the trial, its value and its plan."""

    trial: int
    value: float
    plan: Plan


@dataclass(frozen=True)
class Exhausted:
    """The space has no further graph: only `found` of `trials` trials could be made."""

    found: int
    trials: int


@dataclass(frozen=True)
class CheckStarted:
    """A training that judges the result begins: of a baseline, or of a finalist once more."""

    name: str
    seed: int
    done: int
    of: int


@dataclass(frozen=True)
class CheckReported:
    """An epoch of a training that judges the result is over; `value` as of a trial."""

    name: str
    seed: int
    epoch: int
    value: float


@dataclass(frozen=True)
class CheckDone:
    """A training that judges the result is over, with which `done` of `of` are.

    `value` is None where there is none, and `reason` then says why.
    """

    name: str
    seed: int
    done: int
    of: int
    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class SearchFinished:
    """The search is over and its result is written; `already` if it was before."""

    plan: Plan
    result: "SearchResult"
    already: bool = False


Event = (
    SearchStarted
    | TrialStarted
    | TrialReported
    | TrialEnded
    | WorkerLost
    | BestFound
    | Exhausted
    | CheckStarted
    | CheckReported
    | CheckDone
    | SearchFinished
)
Listener = Callable[[Event], None]


def ignore(_: Event) -> None:
    """The listener of those who do not want to know."""
