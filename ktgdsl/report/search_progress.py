"""How a search stands and how long it will take, gathered from its events. No rich."""

import statistics
from collections import Counter, deque
from dataclasses import dataclass, field
from math import ceil

from ktgdsl.plan.model import Plan
from ktgdsl.report.progress import Clock
from ktgdsl.searching.estimate import CHECKED
from ktgdsl.searching.events import (
    BestFound,
    CheckDone,
    CheckReported,
    CheckStarted,
    Event,
    Exhausted,
    Past,
    SearchStarted,
    TrialEnded,
    TrialReported,
    TrialStarted,
    WorkerLost,
)
from ktgdsl.space.spelled_edges import edge_lines

ENOUGH = 3
"""Trials that have to be over before anybody says how long the others will take."""

RECENT = 100
"""Epochs of which the median duration is taken."""

STATES = ("pruned", "complete", "failed")
"""What becomes of trials, as it is listed."""


@dataclass
class Rung:
    """What is known of a rung: how many trials reached it, how many went on, the best value."""

    reached: int = 0
    survived: int = 0
    best: float | None = None


@dataclass
class Running:
    """A trial under way: its last epoch, the value there in percent, and when that was told."""

    epoch: int
    since: float
    value: float | None = None


@dataclass
class Judging:
    """What judges the result under one name: trainings begun, over, and without a value."""

    begun: int = 0
    done: int = 0
    without: int = 0


@dataclass
class SearchProgress:
    """A search under way. It counts what it hears; `clock` gives seconds.

    What an earlier owner did counts too. Feed it every event after `SearchStarted`; an event
    costs the same however many came before it.
    """

    started: SearchStarted
    clock: Clock
    began: float = field(init=False)
    total: int = field(init=False)
    """Trials in all: fewer than asked for once the space is exhausted."""
    ended: Counter[str] = field(default_factory=Counter)
    """Trials by their state."""
    running: dict[int, Running] = field(default_factory=dict)
    rungs: dict[int, Rung] = field(init=False)
    best: BestFound | None = None
    edges: list[str] = field(default_factory=list)
    """Those of the best graph."""
    checks: dict[str, Judging] = field(default_factory=dict)
    """Trainings that judge the result, by what they are of."""
    judged: int = 0
    """How many of them are over, those of an earlier owner counted in."""
    to_judge: int = field(init=False)
    """How many there are, those counted in too."""
    lost: int = 0
    warning: str = ""
    """The last one."""
    _epochs: int = 0
    _seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _checking: dict[tuple[str, int], Running] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began = self.clock()
        self.total = self.started.trials
        self.rungs = {rung: Rung() for rung in self.started.rungs}
        confirm = self.plan.search.confirm if self.plan.search else 0
        self.to_judge = 2 * max(1, confirm) + min(CHECKED, self.total) * confirm
        for trial in self.started.past:
            self._recall(trial)

    @property
    def plan(self) -> Plan:
        """The space."""
        return self.started.plan

    @property
    def target(self) -> str:
        """The node whose accuracy counts."""
        return self.plan.search.node if self.plan.search else self.plan.graph.targets[0]

    @property
    def done(self) -> int:
        """Trials that are over."""
        return self.ended.total()

    @property
    def counts(self) -> list[str]:
        """How many trials are in which state, in words."""
        counts = {"running": len(self.running), **dict.fromkeys(STATES, 0), **self.ended}
        return [f"{number} {state}" for state, number in counts.items()]

    @property
    def elapsed(self) -> float:
        """Seconds since this owner began."""
        return self.clock() - self.began

    @property
    def left(self) -> float | None:
        """Seconds until everything is over, the trainings that judge the result counted in.

        Every trial that is not over is taken to need as many epochs as were trained for each
        that is, and every epoch the median of the last ones. None before there is enough to
        go by.
        """
        if not self._seconds:
            return None
        epoch = statistics.median(self._seconds)
        if self.checks:
            return self._epochs_to_judge() * epoch
        judging = ceil(self.to_judge / self.started.workers) * self.started.epochs * epoch
        if (trials := self.total - self.done) == 0:
            return judging
        if self.done < ENOUGH:
            return None
        # What trials under way have trained counts too, else the short ones would look typical.
        epochs = self._epochs / self.done
        return max(1.0, trials / self.started.workers) * epochs * epoch + judging

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case TrialStarted():
                self.running[event.trial] = Running(event.epoch, self.clock())
                if (rung := self.rungs.get(event.epoch)) is not None:
                    rung.survived += 1  # begun again, it goes on from there
            case TrialReported():
                self._report(event)
            case TrialEnded():
                self.running.pop(event.trial, None)
                self.ended[event.state] += 1
                if event.state == "failed":
                    self.warning = f"trial {event.trial} failed: {flat(event.reason)}"
            case BestFound():
                self.best, self.edges = event, edge_lines(event.plan)
            case CheckStarted():
                if not self.checks:
                    self.judged, self.to_judge = event.done, event.of
                self.checks.setdefault(event.name, Judging()).begun += 1
                self._checking[event.name, event.seed] = Running(0, self.clock())
            case CheckReported():
                self._report_check(event)
            case CheckDone():
                self._end_check(event)
            case WorkerLost():
                self.lost += 1
                self.warning = lost(event, judging=bool(self.checks))
            case Exhausted():
                self.total = event.found
                self.warning = exhausted(event.found, event.trials)

    def _recall(self, trial: Past) -> None:
        last = max(trial.values, default=0)
        self._epochs += last
        if trial.state != "running":
            self.ended[trial.state] += 1
        for epoch, value in trial.values.items():
            # Whether one that is under way goes on after its last epoch is not known yet.
            kept = epoch < last or trial.state not in ("pruned", "running")
            self._reach(epoch, value, kept=kept)

    def _report(self, event: TrialReported) -> None:
        now = self.clock()
        if (trial := self.running.get(event.trial)) is not None:
            self._seconds.append(now - trial.since)
            self._epochs += 1
        self.running[event.trial] = Running(event.epoch, now, event.value)
        self._reach(event.epoch, event.value, kept=event.kept)

    def _reach(self, epoch: int, value: float, *, kept: bool) -> None:
        if (rung := self.rungs.get(epoch)) is not None:
            rung.reached += 1
            rung.survived += kept
            rung.best = value if rung.best is None else max(rung.best, value)

    def _report_check(self, event: CheckReported) -> None:
        now = self.clock()
        before = self._checking[event.name, event.seed]
        if before.epoch:  # else it has waited for a worker, and nobody knows since when it runs
            self._seconds.append(now - before.since)
        self._checking[event.name, event.seed] = Running(event.epoch, now, event.value)

    def _end_check(self, event: CheckDone) -> None:
        del self._checking[event.name, event.seed]
        self.judged = event.done
        judging = self.checks[event.name]
        judging.done += 1
        if event.value is None:
            judging.without += 1
            self.warning = judged(event.name, event.seed, event.reason)

    def _epochs_to_judge(self) -> float:
        """Epochs until the result is judged, of one worker, as they train side by side."""
        left = [self.started.epochs - each.epoch for each in self._checking.values()]
        return max(sum(left) / self.started.workers, max(left, default=0))


def judged(name: str, seed: int, found: str) -> str:
    """What a training that judges the result has found, or why nothing, in words."""
    return f"{name}, seed {seed}: {flat(found)}"


def lost(event: WorkerLost, *, judging: bool) -> str:
    """A lost attempt in words. What judges the result is no trial: the reason names it."""
    what = "" if judging else f"trial {event.trial}: "
    return f"attempt {event.attempt} was lost with its worker, {what}{flat(event.reason)}"


def exhausted(found: int, trials: int) -> str:
    """The end of a space in words."""
    return f"the space has no further graph: {found} of {trials} trials could be made"


def flat(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def count(number: int, what: str) -> str:
    """So many of something: `1 trial`, `1,500 trials`."""
    return f"{number:,} {what}{'s' * (number != 1)}"
