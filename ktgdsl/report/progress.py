"""How far a run is and how fast it goes, put together from its events. Neither torch nor rich."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from ktgdsl.plan.model import Graph, Node, Plan
from ktgdsl.training.events import (
    EpochDone,
    Event,
    PretrainDone,
    PretrainStarted,
    RepeatStarted,
    RunStarted,
    SplitName,
    StepsDone,
)

WINDOW = 10.0
"""Seconds over which steps per second are counted, evaluations included."""

Clock = Callable[[], float]


class Pace:
    """Steps per second, measured with a monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begin = clock()
        self._marks = deque([(self._begin, 0)])

    def mark(self, steps: int) -> None:
        """So many steps are done by now."""
        now = self._clock()
        self._marks.append((now, steps))
        while len(self._marks) > 2 and self._marks[1][0] <= now - WINDOW:
            self._marks.popleft()

    @property
    def rate(self) -> float | None:
        """Steps per second of late, None before the first."""
        (begin, before), (end, after) = self._marks[0], self._marks[-1]
        return (after - before) / (end - begin) if end > begin and after > before else None

    def left(self, steps: int) -> float | None:
        """Seconds that `steps` more take at the mean pace so far, None before the first."""
        end, done = self._marks[-1]
        return steps * (end - self._begin) / done if done > 0 else None

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return self._clock() - self._begin


class Progress:
    """What a run has said so far. Feed it every event after `RunStarted`.

    While a node is pre-trained, `pretraining` names it and `epoch`, `epochs`, `steps` and
    the time left are of that training alone.
    """

    def __init__(self, started: RunStarted, clock: Clock = time.monotonic) -> None:
        self.plan: Plan = started.plan
        self.folder: Path = started.folder
        self.device: str = started.device
        self.repeat = started.repeat
        self.pretraining: str | None = None
        self.split: SplitName = "validation" if started.plan.data.holdout else "test"
        self.loss: Mapping[str, float] = {}
        self.train: Mapping[str, float] = {}
        self.accuracy: Mapping[str, float] = {}
        self._clock = clock
        self._stage = started.plan
        self._pace = Pace(clock)
        self._pretrained_for = 0.0
        self._resumed = started.epoch
        self._begin(started.plan, started.epoch)

    def __call__(self, event: Event) -> None:
        """Takes note of an event."""
        match event:
            case RepeatStarted():
                self.repeat = event.repeat
                self._pretrained_for = 0.0
                self._clear()
                self._resumed = event.epoch
                self._begin(self.plan, event.epoch)
            case PretrainStarted():
                self.pretraining = event.node
                self._begin(event.plan, 0)
            case PretrainDone():
                self.pretraining = None
                self._pretrained_for += self._pace.seconds
                self._clear()
                self._begin(self.plan, self._resumed)
            case StepsDone():
                self.epoch, self.step = event.epoch - 1, event.step
                self._pace.mark(self.steps_done - self._before)
            case EpochDone():
                self.epoch, self.step = event.epoch, 0
                self._pace.mark(self.steps_done - self._before)
                self._measured(event)
            case _:
                pass

    def _begin(self, plan: Plan, epoch: int) -> None:
        self._stage = plan
        self.epoch, self.step = epoch, 0
        self._before: int = self.steps_done
        self._pace = Pace(self._clock)

    def _clear(self) -> None:
        self.loss, self.train, self.accuracy = {}, {}, {}

    def _measured(self, event: EpochDone) -> None:
        def named(values: Mapping[str, float]) -> Mapping[str, float]:
            # In its own plan a node that is pre-trained has another name.
            if self.pretraining is None:
                return values
            return dict.fromkeys([self.pretraining], *values.values())

        self.loss = named(event.metrics.loss)
        self.train = named(event.metrics.accuracy)
        self.accuracy = named(event.accuracy)

    @property
    def epochs(self) -> int:
        """Of the training that is under way."""
        return self._stage.train.epochs

    @property
    def steps(self) -> int:
        """Of the training that is under way."""
        return self._stage.steps

    @property
    def steps_done(self) -> int:
        """Of those, the ones that are done, before a resume too."""
        return self.epoch * self._stage.data.steps_per_epoch + self.step

    @property
    def rate(self) -> float | None:
        """Steps per second of late."""
        return self._pace.rate

    @property
    def left(self) -> float | None:
        """Seconds to the end: of the run, or of the pre-training while there is one."""
        rest = self.steps - self.steps_done
        if self.pretraining is not None:
            return self._pace.left(rest)
        repeats = self.plan.train.repeats - self.repeat
        seconds = self._pace.left(rest + repeats * self.steps)
        return None if seconds is None else seconds + repeats * self._pretrained_for


def in_order(graph: Graph) -> list[Node]:
    """The nodes as reports list them: the targets first."""
    first = [graph.node(name) for name in graph.targets]
    return first + [node for node in graph.nodes if node.name not in graph.targets]


def role(graph: Graph, node: Node) -> str:
    """What a node is in its graph, in a word."""
    if node.name in graph.targets:
        return "target"
    return "auxiliary" if node.learns else "frozen"


def duration(seconds: float) -> str:
    """A time for people: `8 s`, `3 min 20 s`, `1 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def pace(rate: float) -> str:
    """Steps per second for people, with two digits at least: `61 steps/s`, `0.31 steps/s`."""
    digits = 0 if rate >= 10 else 1 if rate >= 1 else 2
    return f"{rate:.{digits}f} steps/s"
