"""The progress of a search and the time that it still takes, gathered from its events. No rich."""

import statistics
from collections import Counter, deque
from dataclasses import dataclass, field
from math import ceil

from ktgdsl.plan.model import Plan
from ktgdsl.report.formatting import Clock, count, one_line
from ktgdsl.searching.estimate import FINALISTS
from ktgdsl.searching.events import (
    BestFound,
    CheckDone,
    CheckReported,
    CheckStarted,
    EarlierTrial,
    Event,
    Exhausted,
    FrontReached,
    SearchStarted,
    SearchWarning,
    TrialEnded,
    TrialReported,
    TrialStarted,
    WorkerLost,
)
from ktgdsl.space.unparse_edges import edge_lines

MIN_TRIALS = 3
"""Trials that have to be over before there is an estimate of the time left."""

RECENT_EPOCHS = 100
"""Epochs of which the median duration is taken."""

STATES = ("pruned", "complete", "failed")
"""The states of trials that are over, in the order in which they are listed."""


@dataclass
class RungCounts:
    """How many trials reached a rung and how many went on from it, and the best value there."""

    reached: int = 0
    survived: int = 0
    best: float | None = None


@dataclass
class Training:
    """A trial or check under way: its last epoch, when that ended, and its value in percent."""

    epoch: int
    since: float
    value: float | None = None


@dataclass
class CheckCounts:
    """The trainings of one finalist or baseline: started, over, and over without a value."""

    started: int = 0
    done: int = 0
    failed: int = 0


@dataclass
class SearchProgress:
    """The progress of a search so far. Call it with every event after `SearchStarted`.

    A search first trains trials, then checks: trainings of the finalists with further seeds and
    of the baselines. What was done before a resume is counted in. An event costs the same
    however many came before it.
    """

    started: SearchStarted
    clock: Clock
    start: float = field(init=False)
    total: int = field(init=False)
    """Trials in all: fewer than asked for once the space is exhausted."""
    ended: Counter[str] = field(default_factory=Counter)
    """Trials by their state."""
    running: dict[int, Training] = field(default_factory=dict)
    """Trials under way by their number."""
    rungs: dict[int, RungCounts] = field(init=False)
    best: BestFound | None = None
    front: str = ""
    """How many trials are on the front of several objectives, once there are some."""
    edges: list[str] = field(default_factory=list)
    """The edges of the best graph."""
    checks: dict[str, CheckCounts] = field(default_factory=dict)
    """Checks by the name of the finalist or baseline; empty until the trials are over."""
    checks_done: int = 0
    checks_total: int = field(init=False)
    lost: int = 0
    """Attempts lost with their workers."""
    warning: str = ""
    """The last one."""
    last_pruned: str = ""
    """A sentence about the trial that was pruned last; "" if none is known."""
    _epochs: int = 0
    _epoch_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_EPOCHS))
    _running_checks: dict[tuple[str, int], Training] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start = self.clock()
        self.total = self.started.trials
        self.rungs = {rung: RungCounts() for rung in self.started.rungs}
        confirm = self.plan.search.confirm if self.plan.search else 0
        self.checks_total = 2 * max(1, confirm) + min(FINALISTS, self.total) * confirm
        for trial in self.started.earlier:
            self._count_earlier(trial)

    @property
    def plan(self) -> Plan:
        """The space."""
        return self.started.plan

    @property
    def target(self) -> str:
        """The node whose accuracy counts, a head of one, or the measure that does."""
        search = self.plan.search
        return (
            search.measured.removeprefix("accuracy of ") if search else self.plan.graph.targets[0]
        )

    @property
    def done(self) -> int:
        """Trials that are over."""
        return self.ended.total()

    @property
    def counts(self) -> list[str]:
        """How many trials are in which state, in words."""
        return [f"{len(self.running)} running", *self.ended_counts]

    @property
    def ended_counts(self) -> list[str]:
        """How many trials that are over are in which state, in words."""
        counts = {**dict.fromkeys(STATES, 0), **self.ended}
        return [f"{number} {state}" for state, number in counts.items()]

    @property
    def elapsed(self) -> float:
        """Seconds since the search started or was resumed."""
        return self.clock() - self.start

    @property
    def seconds_left(self) -> float | None:
        """Until trials and checks are over; None before there is enough to go by.

        Every trial that is not over is taken to need as many epochs as were trained for each
        that is, and every epoch the median of the last ones.
        """
        if not self._epoch_seconds:
            return None
        epoch = statistics.median(self._epoch_seconds)
        if self.checks:
            return self._check_epochs_left() * epoch
        checks = ceil(self.checks_total / self.started.workers) * self.started.epochs * epoch
        if (trials := self.total - self.done) == 0:
            return checks
        if self.done < MIN_TRIALS:
            return None
        # What trials under way have trained counts too, else the short ones would look typical.
        epochs = self._epochs / self.done
        return max(1.0, trials / self.started.workers) * epochs * epoch + checks

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case TrialStarted():
                self.running[event.trial] = Training(event.epoch, self.clock())
                if (rung := self.rungs.get(event.epoch)) is not None:
                    rung.survived += 1  # resumed after this rung
            case TrialReported():
                self._trial_reported(event)
            case TrialEnded():
                self.running.pop(event.trial, None)
                self.ended[event.state] += 1
                if event.state == "failed":
                    self.warning = f"trial {event.trial} failed: {one_line(event.reason)}"
                if event.standing is not None:
                    self.last_pruned = f"trial {event.trial}, {event.standing}"
            case BestFound():
                self.best, self.edges = event, edge_lines(event.plan)
            case FrontReached():
                self.front = f"{count(event.size, 'trial')} on the front"
            case CheckStarted():
                if not self.checks:
                    self.checks_done, self.checks_total = event.done, event.of
                self.checks.setdefault(event.name, CheckCounts()).started += 1
                self._running_checks[event.name, event.seed] = Training(0, self.clock())
            case CheckReported():
                self._check_reported(event)
            case CheckDone():
                self._check_ended(event)
            case WorkerLost():
                self.lost += 1
                self.warning = lost_text(event, is_check=bool(self.checks))
            case SearchWarning():
                self.warning = one_line(event.text)
            case Exhausted():
                self.total = event.found
                self.warning = exhausted_text(event.found, event.trials)

    def _count_earlier(self, trial: EarlierTrial) -> None:
        """Count a trial from before the resume."""
        last = max(trial.values, default=0)
        self._epochs += last
        if trial.state != "running":
            self.ended[trial.state] += 1
        for epoch, value in trial.values.items():
            # Whether one that was under way goes on after its last epoch is not known yet.
            survived = epoch < last or trial.state not in ("pruned", "running")
            self._count_rung(epoch, value, survived=survived)

    def _trial_reported(self, event: TrialReported) -> None:
        now = self.clock()
        if (trial := self.running.get(event.trial)) is not None:
            self._epoch_seconds.append(now - trial.since)
            self._epochs += 1
        self.running[event.trial] = Training(event.epoch, now, event.value)
        self._count_rung(event.epoch, event.value, survived=not event.pruned)

    def _count_rung(self, epoch: int, value: float, *, survived: bool) -> None:
        if (rung := self.rungs.get(epoch)) is not None:
            rung.reached += 1
            rung.survived += survived
            rung.best = value if rung.best is None else max(rung.best, value)

    def _check_reported(self, event: CheckReported) -> None:
        now = self.clock()
        before = self._running_checks[event.name, event.seed]
        if before.epoch:  # else it has waited for a worker, and nobody knows since when it runs
            self._epoch_seconds.append(now - before.since)
        self._running_checks[event.name, event.seed] = Training(event.epoch, now, event.value)

    def _check_ended(self, event: CheckDone) -> None:
        del self._running_checks[event.name, event.seed]
        self.checks_done = event.done
        counts = self.checks[event.name]
        counts.done += 1
        if event.value is None:
            counts.failed += 1
            self.warning = check_text(event.name, event.seed, event.reason)

    def _check_epochs_left(self) -> float:
        """Epochs one after the other until all checks are over: workers train side by side."""
        left = [self.started.epochs - each.epoch for each in self._running_checks.values()]
        return max(sum(left) / self.started.workers, max(left, default=0))


def check_text(name: str, seed: int, outcome: str) -> str:
    """The outcome of a check in words."""
    return f"{name}, seed {seed}: {one_line(outcome)}"


def lost_text(event: WorkerLost, *, is_check: bool) -> str:
    """A lost attempt in words. Of a check, which is no trial, the reason has the name."""
    trial = "" if is_check else f"trial {event.trial}: "
    return f"attempt {event.attempt} was lost with its worker, {trial}{one_line(event.reason)}"


def exhausted_text(found: int, trials: int) -> str:
    """The end of a space in words."""
    return f"the space has no further graph: {found} of {trials} trials could be made"
