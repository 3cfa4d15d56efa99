"""Events of a search, for whoever watches it: frozen data, without torch.

A listener is any callable that takes an event; it is called in the coordinator's thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.plan.model import Plan
from ktgdsl.searching.result import SearchResult
from ktgdsl.searching.standing import Standing
from ktgdsl.training.events import PretrainDone

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Past:
    """A trial from before a resume: its state, and its values in percent by epoch."""

    state: State | Literal["running"]
    values: Mapping[int, float]


@dataclass(frozen=True)
class SearchStarted:
    """A search begins or is resumed; `past` has the trials from before.

    `rungs` are the epochs after which the space's pruner may end trials, `epochs` is the length
    of a full trial. `notes` are sentences on what is damaged or lost in the folder.
    """

    plan: Plan
    folder: Path
    workers: int
    rungs: tuple[int, ...]
    epochs: int
    trials: int
    past: Sequence[Past] = ()
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        """How many trials are over already."""
        return sum(trial.state != "running" for trial in self.past)


@dataclass(frozen=True)
class TrialStarted:
    """A trial is given to a worker, or again after a resume, `epoch` of its epochs being known.

    `drawn` has the value of each draw by its name.
    """

    trial: int
    drawn: Mapping[str, str]
    plan: Plan
    epoch: int = 0


@dataclass(frozen=True)
class TrialReported:
    """An epoch of a trial is trained: `value` is the objective, in percent, as in `Report`.

    `kept` is false when the pruner ended the trial. `numbers` has losses and learning rates of its
    nodes, and losses and open gates of its edges, as in `loss/a` and `edge_loss/b->a`.
    """

    trial: int
    epoch: int
    value: float
    kept: bool
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialEnded:
    """A trial is over. `value` is its last, if any; `reason` says why it failed.

    `problems` are about nodes and edges of its plan. `standing` is what a pruned trial was ended
    for; None where it is another rule than the space's that did it.
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
class TrialNoted:
    """Something that whoever watches has to know about a trial or check, in a sentence."""

    text: str


@dataclass(frozen=True)
class TeacherReady:
    """A frozen node, whose network is written as `network`, has its weights for the first time."""

    network: str
    done: PretrainDone


@dataclass(frozen=True)
class BestFound:
    """A complete trial has the best value so far: its number, its value and its plan.

    Of several objectives the first counts; `value` is what trials are judged by in any case.
    """

    trial: int
    value: float
    plan: Plan


@dataclass(frozen=True)
class FrontReached:
    """A complete trial of several objectives is on the front, with `size` trials on it then.

    `values` are those of the objectives in the order of the search; all are maximised, costs are
    negative.
    """

    trial: int
    values: tuple[float, ...]
    size: int


@dataclass(frozen=True)
class Exhausted:
    """No further graph is left: only `found` of `trials` trials could be asked for."""

    found: int
    trials: int


@dataclass(frozen=True)
class CheckStarted:
    """A check begins: the training of a baseline, or of a finalist with another seed."""

    name: str
    seed: int
    done: int
    of: int


@dataclass(frozen=True)
class CheckReported:
    """An epoch of a check is trained; `value` and `numbers` are as of a trial."""

    name: str
    seed: int
    epoch: int
    value: float
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckDone:
    """A check is over, and with it `done` of `of`.

    `value` is None where it gave none, and `reason` then says why; `problems` as of a trial.
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
    """The search is over and its result written; `already` if it was before a resume."""

    plan: Plan
    result: SearchResult
    already: bool = False


Event = (
    SearchStarted
    | TrialStarted
    | TrialReported
    | TrialEnded
    | WorkerLost
    | TrialNoted
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
