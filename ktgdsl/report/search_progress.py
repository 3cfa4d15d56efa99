"""How a search stands, gathered from its events."""

import statistics
from dataclasses import dataclass, field

from ktgdsl.plan.model import Plan
from ktgdsl.report.progress import Clock
from ktgdsl.searching.events import (
    BestFound,
    CheckStarted,
    Event,
    Exhausted,
    SearchStarted,
    TrialEnded,
    TrialReported,
    TrialStarted,
    WorkerLost,
)


@dataclass
class Rung:
    """What is known of a rung: how many trials reached it, how many went on, the best value."""

    reached: int = 0
    survived: int = 0
    best: float = 0.0


@dataclass
class Running:
    """A trial under way."""

    epoch: int
    value: float | None = None


@dataclass
class SearchProgress:
    """A search under way. It counts what it hears; `clock` gives seconds."""

    started: SearchStarted
    clock: Clock
    began: float = field(init=False)
    ended: dict[str, int] = field(default_factory=dict)
    running: dict[int, Running] = field(default_factory=dict)
    rungs: dict[int, Rung] = field(default_factory=dict)
    best: BestFound | None = None
    check: CheckStarted | None = None
    lost: int = 0
    exhausted: bool = False
    _between: list[float] = field(default_factory=list)
    _last_end: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self._last_end = self.clock()
        self.rungs = {rung: Rung() for rung in self.started.rungs}

    @property
    def plan(self) -> Plan:
        """The space."""
        return self.started.plan

    @property
    def done(self) -> int:
        """Trials that are over, those before this owner counted in."""
        return self.started.done + sum(self.ended.values())

    @property
    def left(self) -> float | None:
        """Seconds until all trials are over, at the pace of those so far; None at first."""
        if len(self._between) < 3 or self.exhausted:
            return None
        return statistics.fmean(self._between) * (self.started.trials - self.done)

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case TrialStarted():
                self.running[event.trial] = Running(event.epoch)
            case TrialReported():
                self._report(event)
            case TrialEnded():
                self.running.pop(event.trial, None)
                self.ended[event.state] = self.ended.get(event.state, 0) + 1
                now = self.clock()
                self._between.append(now - self._last_end)
                self._last_end = now
            case BestFound():
                self.best = event
            case CheckStarted():
                self.check = event
            case WorkerLost():
                self.lost += 1
            case Exhausted():
                self.exhausted = True

    def _report(self, event: TrialReported) -> None:
        self.running[event.trial] = Running(event.epoch, event.value)
        if event.epoch in self.rungs:
            rung = self.rungs[event.epoch]
            rung.reached += 1
            rung.survived += event.kept
            rung.best = max(rung.best, event.value)
