"""Events of a search for listeners: frozen data, without torch.

A listener is any callable that takes an event; it is called in the coordinator's thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.plan.model import Plan
from ktgdsl.searching.result import SearchResult
from ktgdsl.searching.study.standing import Standing
from ktgdsl.training.events import PretrainDone

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class EarlierTrial:
    """A trial trained before a resume: its state, and its values in percent by epoch."""

    state: State | Literal["running"]
    values: Mapping[int, float]


@dataclass(frozen=True)
class SearchStarted:
    """A search starts or resumes; `earlier` has the trials trained before.

    `rungs` are the epochs after which the space's pruner may end a trial, `epochs` the length of
    a complete trial. `notes` are sentences about damaged or lost files in the folder.
    """

    plan: Plan
    folder: Path
    workers: int
    rungs: tuple[int, ...]
    epochs: int
    trials: int
    earlier: Sequence[EarlierTrial] = ()
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        """The number of trials that ended before."""
        return sum(trial.state != "running" for trial in self.earlier)


@dataclass(frozen=True)
class TrialStarted:
    """A trial is submitted to a worker, after a resume with `epoch` epochs trained before.

    `drawn` has the value of each draw by its name.
    """

    trial: int
    drawn: Mapping[str, str]
    plan: Plan
    epoch: int = 0


@dataclass(frozen=True)
class TrialReported:
    """An epoch of a trial is trained: `value` is the objective, in percent, as in `Report`.

    `pruned` is true when the pruner ended the trial. `numbers` has the losses and learning rates of
    its nodes, and the losses and open gates of its edges, such as `loss/a` and `edge_loss/b->a`.
    """

    trial: int
    epoch: int
    value: float
    pruned: bool
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialEnded:
    """A trial ended. `value` is its last value, None without one; `reason` says why it failed.

    `problems` are diagnostics about nodes and edges of its plan. `standing` is the rank for which
    the space's pruner ended it; None for other trials and other pruners.
    """

    trial: int
    state: State
    epochs: int
    value: float | None
    reason: str = ""
    problems: tuple[Diagnostic, ...] = ()
    standing: Standing | None = None


@dataclass(frozen=True)
class WorkerLost:
    """An attempt at a trial was lost with its worker, and another worker continues it."""

    trial: int
    attempt: int
    reason: str


@dataclass(frozen=True)
class SearchWarning:
    """A warning to the user about a trial, a check or the database, one sentence."""

    text: str


@dataclass(frozen=True)
class TeacherReady:
    """A frozen node is pre-trained, or loaded from the cache, for the first time in the search.

    `network` is its network as a spec writes it.
    """

    network: str
    done: PretrainDone


@dataclass(frozen=True)
class BestFound:
    """A complete trial has the best value so far: its number, its value and its plan.

    With several objectives it is the best by the first. `value` is the last reported one.
    """

    trial: int
    value: float
    plan: Plan


@dataclass(frozen=True)
class FrontReached:
    """A complete trial is on the Pareto front of several objectives, which now has `size` trials.

    `values` are the objectives in the order of the search; all are maximised, costs are negative.
    """

    trial: int
    values: tuple[float, ...]
    size: int


@dataclass(frozen=True)
class Exhausted:
    """The space is exhausted: it has only `found` distinct graphs for `trials` trials."""

    found: int
    trials: int


@dataclass(frozen=True)
class CheckStarted:
    """A check starts: the training of a baseline, or of a finalist with another seed.

    `done` checks of `of` have ended.
    """

    name: str
    seed: int
    done: int
    of: int


@dataclass(frozen=True)
class CheckReported:
    """An epoch of a check is trained; `value` and `numbers` are as in `TrialReported`."""

    name: str
    seed: int
    epoch: int
    value: float
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckDone:
    """A check ended; `done` checks of `of` now have.

    `value` is None where it diverged or failed, for `reason`; `problems` are as in `TrialEnded`.
    """

    name: str
    seed: int
    done: int
    of: int
    value: float | None
    reason: str = ""
    problems: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class SearchFinished:
    """The search ended and its result is written; `already` if that was so before a resume."""

    plan: Plan
    result: SearchResult
    already: bool = False


Event = (
    SearchStarted
    | TrialStarted
    | TrialReported
    | TrialEnded
    | WorkerLost
    | SearchWarning
    | TeacherReady
    | BestFound
    | FrontReached
    | Exhausted
    | CheckStarted
    | CheckReported
    | CheckDone
    | SearchFinished
)
Listener = Callable[[Event], None]


def ignore(_: Event) -> None:
    """A listener that does nothing."""
