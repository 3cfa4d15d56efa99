"""The steps of one epoch, and the state from which a training goes on after any of them."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor

from ktgdsl.backend.processes import processes
from ktgdsl.plan.heads import label_columns
from ktgdsl.training.batches import numbered_batches
from ktgdsl.training.data import Split
from ktgdsl.training.events import EpochMetrics, Listener, StepsDone
from ktgdsl.training.group import load_own_buffers, own_buffers
from ktgdsl.training.held_signals import held_back
from ktgdsl.training.metrics import EpochMeter
from ktgdsl.training.state_checks import require_number
from ktgdsl.training.step import Stepper

REPORT_INTERVAL = 0.1
"""Seconds between two reports of how many steps are done."""

WITHIN = "within_epoch"
"""Under this a state inside an epoch has what `EpochSteps` adds to that of the stepper."""

OnSteps = Callable[[int, int, Mapping[str, Any]], None]
"""Takes how many epochs are done, how many steps of the next one, and the state after them."""


class EpochSteps:
    """The steps of an epoch, counted from 1.

    Args:
        step: of the training.
        split: what to learn.
        epoch: which one.
        seed: of the order of the samples.
        listener: receives how many steps are done, from time to time.
        on_steps: is called inside the epoch as often as the plan has it, and when the training is
            interrupted between two steps or after the last one. Of several processes each is
            interrupted at a step of its own, and that is kept nowhere.
    """

    def __init__(
        self,
        step: Stepper,
        split: Split,
        epoch: int,
        seed: int,
        listener: Listener,
        on_steps: OnSteps | None,
    ) -> None:
        self._step, self._split, self._epoch, self._seed = step, split, epoch, seed
        self._listener, self._on_steps = listener, on_steps
        self._every = step.plan.train.checkpoint_steps
        columns = label_columns(step.plan.graph, step.plan.data)
        self._meter = EpochMeter(step.phase, step.device, columns)
        self._keeps_interrupted = on_steps is not None and not processes().several

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `on_steps` got, which the stepper has loaded already.

        Raises ValueError, or whatever torch does, where it is of another training.
        """
        within = state[WITHIN]
        self._meter.load_state_dict(within["meter"])
        require_number(self._meter.steps, 1, self._step.plan.data.steps_per_epoch, "steps")
        self._step.learning_rates.update(within["learning_rates"])
        load_own_buffers(self._step.changing, within["buffers"])

    def train(self) -> EpochMetrics:
        """Take the steps that are left. Nothing waits for the device before the meter is read."""
        step, meter = self._step, self._meter
        reported = time.monotonic()
        with self.kept_when_interrupted():
            for image, label, *further in self._batches():
                with self._whole():
                    meter.update(step(image, label, *further), label, step.taken)
                if self._is_due():
                    self._keep()
                if (now := time.monotonic()) - reported >= REPORT_INTERVAL:
                    reported = now
                    self._listener(StepsDone(self._epoch, meter.steps))
        return meter.read()

    @contextmanager
    def kept_when_interrupted(self) -> Iterator[None]:
        """Keep the steps that are done when Ctrl-C or the like ends the block."""
        try:
            yield
        except KeyboardInterrupt:
            if self._keeps_interrupted:
                self._keep()
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
            group=processes(),
            skip=self._meter.steps,
        )

    def _whole(self) -> AbstractContextManager[None]:
        """A step has to be whole where it may be kept."""
        return held_back() if self._keeps_interrupted else nullcontext()

    def _is_due(self) -> bool:
        """Whether to keep this step; the last one is kept with its epoch."""
        if self._on_steps is None or self._every is None or self._step.taken % self._every:
            return False
        return self._meter.steps < self._step.plan.data.steps_per_epoch

    def _keep(self) -> None:
        done, steps = self._epoch - 1, self._meter.steps
        state = self._step.state_dict()
        if steps:
            state[WITHIN] = {
                "meter": self._meter.state_dict(),
                "learning_rates": dict(self._step.learning_rates),
                "buffers": own_buffers(self._step.changing),
            }
        if self._on_steps is not None and (done or steps):
            self._on_steps(done, steps, state)
