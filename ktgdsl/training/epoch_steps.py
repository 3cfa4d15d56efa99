"""The training steps of one epoch, which can be resumed after any of them."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor

from ktgdsl.backend.process_group import process_group
from ktgdsl.plan.heads import label_columns
from ktgdsl.training.batches import numbered_batches
from ktgdsl.training.data import Split
from ktgdsl.training.deferred_signals import deferred_signals
from ktgdsl.training.events import EpochMetrics, Listener, StepsDone
from ktgdsl.training.group import load_process_buffers, process_buffers
from ktgdsl.training.group_stop import GroupStop
from ktgdsl.training.metrics import EpochMeter
from ktgdsl.training.state_checks import require_number
from ktgdsl.training.step import Stepper

REPORT_INTERVAL = 0.1
"""The seconds between two `StepsDone` events."""

MID_EPOCH = "within_epoch"
"""The key of the entry that `EpochSteps` adds to the stepper's state inside an epoch."""

OnSteps = Callable[[int, int, Mapping[str, Any]], None]
"""A callback that saves, called with (finished epochs, steps of the next epoch, state)."""


class EpochSteps:
    """The steps of an epoch, counted from 1.

    Args:
        step: of the training.
        split: to train on.
        epoch: its number, counted from 1.
        seed: of the order of the samples.
        listener: receives `StepsDone` every REPORT_INTERVAL seconds.
        on_steps: is called inside the epoch every `checkpoint` steps of the plan, and when the
            training is interrupted between two steps or after the last one.
        stop: makes the processes of a group stop after the same step. Without it an interrupt
            in a group saves nothing, as it reaches each process at another step.
    """

    def __init__(
        self,
        step: Stepper,
        split: Split,
        epoch: int,
        seed: int,
        listener: Listener,
        on_steps: OnSteps | None,
        stop: GroupStop | None = None,
    ) -> None:
        self._step, self._split, self._epoch, self._seed = step, split, epoch, seed
        self._listener, self._on_steps = listener, on_steps
        self._every = step.plan.train.checkpoint_steps
        columns = label_columns(step.plan.graph, step.plan.data)
        self._meter = EpochMeter(step.phase, step.device, columns)
        self._stop, self._is_alone = stop, not process_group().is_distributed

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from a state that `on_steps` received; the stepper has to load it before.

        Raises ValueError, or any exception of torch, for a state of another training.
        """
        within = state[MID_EPOCH]
        self._meter.load_state_dict(within["meter"])
        require_number(self._meter.steps, 1, self._step.plan.data.steps_per_epoch, "steps")
        self._step.learning_rates.update(within["learning_rates"])
        load_process_buffers(self._step.changing, within["buffers"])

    def train(self) -> EpochMetrics:
        """Take the steps that are left. Nothing waits for the device before the meter is read."""
        step, meter = self._step, self._meter
        reported = time.monotonic()
        with self.saved_on_interrupt():
            for image, label, *further in self._batches():
                with self._uninterrupted():
                    meter.update(step(image, label, *further), label, step.taken)
                if self._is_due():
                    self._save()
                if self._stop is not None:
                    self._stop.after_step(step.device)
                if (now := time.monotonic()) - reported >= REPORT_INTERVAL:
                    reported = now
                    self._listener(StepsDone(self._epoch, meter.steps))
        return meter.read()

    @contextmanager
    def saved_on_interrupt(self) -> Iterator[None]:
        """Save the steps that are done when KeyboardInterrupt ends the block."""
        try:
            yield
        except KeyboardInterrupt:
            if self._is_alone or (self._stop is not None and self._stop.agreed):
                self._save()
            raise

    def _batches(self) -> Iterator[tuple[Tensor, ...]]:
        data = self._step.plan.data
        return numbered_batches(
            self._split,
            data.batch,
            self._seed,
            self._epoch,
            drop_last=data.drop_last,
            labeled=data.labeled_batch,
            views=self._step.views,
            group=process_group(),
            skip=self._meter.steps,
        )

    def _uninterrupted(self) -> AbstractContextManager[None]:
        """Defers signals to the end of a step where its state may be saved."""
        saves = self._is_alone and self._on_steps is not None
        return deferred_signals() if saves else nullcontext()

    def _is_due(self) -> bool:
        """Whether to save after this step; the last one is saved with its epoch."""
        if self._on_steps is None or self._every is None or self._step.taken % self._every:
            return False
        return self._meter.steps < self._step.plan.data.steps_per_epoch

    def _save(self) -> None:
        if self._on_steps is None:
            return
        done, steps = self._epoch - 1, self._meter.steps
        state = self._step.state_dict()
        if steps:
            state[MID_EPOCH] = {
                "meter": self._meter.state_dict(),
                "learning_rates": dict(self._step.learning_rates),
                "buffers": process_buffers(self._step.changing),
            }
        if done or steps:
            self._on_steps(done, steps, state)
