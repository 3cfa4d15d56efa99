"""The progress of a run, gathered from its events. Neither torch nor rich."""

import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from ktgdsl.plan.model import Plan
from ktgdsl.report.formatting import Clock
from ktgdsl.training.events import (
    EpochDone,
    EpochsSkipped,
    Event,
    Measured,
    PretrainDone,
    PretrainStarted,
    RepeatStarted,
    RunStarted,
    SplitName,
    StepsDone,
)

WINDOW = 10.0
"""Seconds over which the current rate is averaged, evaluations included."""


class StepRate:
    """Steps per second of a training, measured from when this is made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock()
        self._marks = deque([(self._start, 0)])

    def mark(self, steps: int) -> None:
        """Note that so many steps are done by now."""
        now = self._clock()
        self._marks.append((now, steps))
        while len(self._marks) > 2 and self._marks[1][0] <= now - WINDOW:
            self._marks.popleft()

    @property
    def current(self) -> float | None:
        """Steps per second over the last seconds, None before the first mark."""
        (start, before), (end, after) = self._marks[0], self._marks[-1]
        return (after - before) / (end - start) if end > start and after > before else None

    def seconds_for(self, steps: int) -> float | None:
        """Seconds that `steps` more take at the mean rate so far, None before the first mark."""
        end, done = self._marks[-1]
        return steps * (end - self._start) / done if done > 0 else None

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start


class RunProgress:
    """The progress of a run so far. Call it with every event after `RunStarted`.

    While a node is pre-trained, `pretraining` names it and `epoch`, `epochs`, `steps` and
    the time left are of that training alone. `loss`, `train_accuracy` and `accuracy` (on the
    split `split`) are by node, of the last epoch, and so are the metrics in `measured`.
    """

    def __init__(self, started: RunStarted, clock: Clock = time.monotonic) -> None:
        self.plan: Plan = started.plan
        self.folder: Path = started.folder
        self.device: str = started.device
        self.repeat = started.repeat
        self.pretraining: str | None = None
        self.split: SplitName = "validation" if started.plan.data.holdout else "test"
        self.loss: Mapping[str, float] = {}
        self.train_accuracy: Mapping[str, float] = {}
        self.accuracy: Mapping[str, float] = {}
        self.measured: Measured = {}
        self._clock = clock
        self._rate = StepRate(clock)
        self._pretraining_seconds = 0.0  # of this repeat
        self._resumed = started.epoch, started.step
        self._start_training(started.plan, *self._resumed)

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case RepeatStarted():
                self.repeat = event.repeat
                self._pretraining_seconds = 0.0
                self._forget_metrics()
                self._resumed = event.epoch, event.step
                self._start_training(self.plan, *self._resumed)
            case PretrainStarted():
                self.pretraining = event.node
                self._start_training(event.plan)
            case PretrainDone() if self.pretraining is not None:
                self.pretraining = None
                self._pretraining_seconds += self._rate.elapsed
                self._forget_metrics()
                self._start_training(self.plan, *self._resumed)
            case StepsDone():
                self.epoch, self.step = event.epoch - 1, event.step
                self._rate.mark(self.steps_done - self._steps_at_start)
            case EpochDone():
                self.epoch, self.step = event.epoch, 0
                self._rate.mark(self.steps_done - self._steps_at_start)
                self._note_metrics(event)
            case EpochsSkipped():
                self._skipped = event.epochs
            case _:
                pass

    def _start_training(self, plan: Plan, epoch: int = 0, step: int = 0) -> None:
        """`plan` is the run's or that of a pre-training.

        It starts after `epoch` epochs and `step` steps of the next one.
        """
        self._training = plan
        self._skipped = 0
        self.epoch, self.step = epoch, step
        self._steps_at_start: int = self.steps_done
        self._rate = StepRate(self._clock)

    def _forget_metrics(self) -> None:
        self.loss, self.train_accuracy, self.accuracy, self.measured = {}, {}, {}, {}

    def _note_metrics(self, event: EpochDone) -> None:
        def by_node(values: Mapping[str, float]) -> Mapping[str, float]:
            # In its own plan a node that is pre-trained has another name.
            if self.pretraining is None:
                return values
            return dict.fromkeys([self.pretraining], *values.values())

        self.loss = by_node(event.metrics.loss)
        self.train_accuracy = by_node(event.metrics.accuracy)
        self.accuracy = by_node(event.accuracy)
        self.measured = event.measured

    @property
    def epochs(self) -> int:
        """The epochs of the current training, without skipped ones."""
        return self._training.epochs - self._skipped

    @property
    def phase(self) -> str | None:
        """The name of the phase that the next epoch of this training is in, if there are phases."""
        epoch = min(self.epoch + 1, self.epochs) + self._skipped
        phase = self._training.phase_at(epoch)
        return None if phase is None else phase.name

    @property
    def steps(self) -> int:
        """The steps of the current training, without those of skipped epochs."""
        return self.epochs * self._training.data.steps_per_epoch

    @property
    def steps_done(self) -> int:
        """Steps done of the current training, those before a resume included."""
        return self.epoch * self._training.data.steps_per_epoch + self.step

    @property
    def rate(self) -> float | None:
        """Steps per second over the last seconds."""
        return self._rate.current

    @property
    def seconds_left(self) -> float | None:
        """Until the end of the run, or of the pre-training while there is one."""
        steps = self.steps - self.steps_done
        if self.pretraining is not None:
            return self._rate.seconds_for(steps)
        repeats = self.plan.train.repeats - self.repeat
        seconds = self._rate.seconds_for(steps + repeats * self.steps)
        return None if seconds is None else seconds + repeats * self._pretraining_seconds
