"""A run in progress: trains each of its seeds, and saves metrics and checkpoints in its folder."""

import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ktgdsl.backend.process_group import process_group
from ktgdsl.backend.user_sources import user_sources
from ktgdsl.plan.model import Plan, Steps
from ktgdsl.training.checkpoint import Accuracies, Checkpoint, save_checkpoint
from ktgdsl.training.data import load_splits
from ktgdsl.training.datasets.loaders import loaders_reported
from ktgdsl.training.events import (
    EpochDone,
    Event,
    Listener,
    PretrainDone,
    RepeatStarted,
    RunFinished,
    RunStarted,
)
from ktgdsl.training.execution import Execution, resolved_settings
from ktgdsl.training.loop import ResumePoint, train
from ktgdsl.training.memory_errors import reporting_out_of_memory
from ktgdsl.training.metrics_file import append_metrics, metric_lines, metrics_digest
from ktgdsl.training.networks import save_networks
from ktgdsl.training.prepare import stepper
from ktgdsl.training.pretrain import Pretraining
from ktgdsl.training.result import Pretrained, RunResult
from ktgdsl.training.resume_checks import last_recorded, record_imported_code
from ktgdsl.training.run_folder import RunFolder
from ktgdsl.training.run_result import run_result
from ktgdsl.training.step import Stepper


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C during a run. Its message says what is saved, where, and how to resume.

    `epoch` epochs of repeat `repeat` are saved in `folder`, and `step` steps of the next epoch.
    """

    def __init__(self, folder: Path, plan: Plan, done: Checkpoint) -> None:
        self.folder, self.repeat = folder, done.repeat
        self.epoch, self.step = done.epoch, done.step
        kept = sum(sum(each.epochs) or plan.epochs for each in done.finished) + done.epoch
        most = "at most " if plan.may_stop else ""
        epochs = plan.train.repeats * plan.epochs
        steps = f" and {done.step} step{'s' * (done.step > 1)} of the next" if done.step else ""
        super().__init__(
            f"interrupted; {kept} of {most}{epochs} epochs{steps} are kept in {folder}, "
            f"go on with: ktgc run --resume {shlex.quote(str(folder))}"
        )


def seeds(plan: Plan) -> tuple[int, ...]:
    """The seeds of the repeats: the plan's, and the numbers after it."""
    return tuple(plan.train.seed + i for i in range(plan.train.repeats))


class Run:
    """A run in progress. `checkpoint` is the one on the disk, without the stepper's state.

    In a process group only rank 0 writes files; all processes return the same result.
    """

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        device: torch.device,
        execution: Execution,
        listener: Listener,
        checkpoint: Checkpoint,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.plan, self.folder, self.device, self.listener = plan, folder, device, listener
        self.execution, self.checkpoint, self.notes = execution, checkpoint, notes
        self._writes = process_group().is_main
        self._started = time.monotonic() - checkpoint.seconds
        self._pretrained: dict[str, dict[str, Any]] = {}  # of the current repeat
        self._start_events: list[Event] = []  # not emitted yet

    def train(self) -> RunResult:
        """Train the missing epochs, and write the result."""
        start, plan, folder = self.checkpoint, self.plan, self.folder
        try:
            chosen = resolved_settings(plan, self.execution)
            device = str(self.device)
            at = start.repeat, start.epoch
            self._start_events = [
                RunStarted(plan, folder.path, device, *at, chosen, self.notes, start.step)
            ]
            with loaders_reported(), reporting_out_of_memory(self.device):
                for repeat in range(start.repeat, plan.train.repeats + 1):
                    self._train_repeat(repeat)
            self._emit_start_events()  # if only the result was missing
            result = run_result(
                plan, folder.path, seeds(plan), self.checkpoint.finished, self.checkpoint.seconds
            )
            if self._writes:
                folder.finish(result)
        except KeyboardInterrupt:
            raise RunInterrupted(folder.path, plan, self.checkpoint) from None
        self.listener(RunFinished(plan, result))
        return result

    def _train_repeat(self, repeat: int) -> None:
        seed, start = seeds(self.plan)[repeat - 1], self.checkpoint
        resume = None if start.state is None else ResumePoint(start.epoch, start.state)
        self._pretrained = {} if resume is None else {k: {**v} for k, v in start.pretrained.items()}
        self._start_events.append(RepeatStarted(repeat, seed, start.epoch, start.step))
        splits = load_splits(self.plan.data, seed, self.device)
        known = Pretraining(seed, data=last_recorded(self.folder.environment(), "data"))
        step = stepper(
            self.plan,
            self.device,
            seed=seed,
            pretraining=known,
            execution=self.execution,
            listener=self._on_pretraining_event,
        )
        self._emit_start_events()
        if self._writes:
            record_imported_code(self.folder, user_sources(self.plan))
        accuracies = train(
            step,
            splits,
            seed=seed,
            resume=resume,
            listener=self.listener,
            on_epoch=lambda done: self._save_epoch(done, step),
            on_steps=None if self.plan.train.checkpoint_steps is None else self._save_steps,
        )
        if self._writes:
            modules, preprocessing = step.networks | step.mixers, splits.train.preprocessing
            save_networks(modules, preprocessing, self.folder, repeat)
            if splits.classes is not None:
                self.folder.write_classes(splits.classes)
        done = replace(accuracies, pretrained=self._pretrained)
        self._save_checkpoint(repeat + 1, 0, None, (*self.checkpoint.finished, done))

    def _emit_start_events(self) -> None:
        """Emit that the run or a repeat started, once its networks are known to be valid."""
        for event in self._start_events:
            self.listener(event)
        self._start_events = []

    def _on_pretraining_event(self, event: Event) -> None:
        self._emit_start_events()
        if isinstance(event, PretrainDone):
            facts = {name: getattr(event, name) for name in Pretrained.model_fields}
            # After a resume the weights come from the cache: keep the facts of the training.
            self._pretrained.setdefault(event.node, facts)
        self.listener(event)

    def _save_epoch(self, done: EpochDone, step: Stepper) -> None:
        """Write metrics, then perhaps a checkpoint: metrics may be ahead of it, never behind."""
        repeat, finished = self.checkpoint.repeat, self.checkpoint.finished
        if self._writes:
            append_metrics(self.folder.metrics, metric_lines(self.plan, repeat, done))
        interval = self.plan.train.checkpoint
        done_so_far = done.epoch
        if isinstance(interval, Steps):
            interval, done_so_far = interval.steps, step.taken
        if done.last or done_so_far % interval == 0:
            self._save_checkpoint(repeat, done.epoch, step.state_dict(), finished)

    def _save_steps(self, epoch: int, step: int, state: Mapping[str, Any]) -> None:
        self._save_checkpoint(self.checkpoint.repeat, epoch, state, self.checkpoint.finished, step)

    def _save_checkpoint(
        self,
        repeat: int,
        epoch: int,
        state: Mapping[str, Any] | None,
        finished: tuple[Accuracies, ...],
        step: int = 0,
    ) -> None:
        seconds = time.monotonic() - self._started
        checkpoint = Checkpoint(
            self.plan.digest,
            repeat,
            epoch,
            seconds,
            finished,
            state,
            self._pretrained,
            metrics_digest(self.folder.metrics) if self._writes else None,
            step,
        )
        if self._writes:
            save_checkpoint(checkpoint, self.folder.checkpoint)
        # The state is on the disk; keeping it would hold a second optimiser state in memory.
        self.checkpoint = replace(checkpoint, state=None)
