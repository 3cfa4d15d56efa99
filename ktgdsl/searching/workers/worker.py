"""A worker of a search: a process that trains trials and reports every epoch."""

import atexit
import gc
import signal
import sys
import time
import traceback
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import KtgError, RunError, describe
from ktgdsl.plan.model import DataPlan, Plan
from ktgdsl.searching.workers.channel import Channel, Pipe
from ktgdsl.searching.workers.goal_values import goal_values
from ktgdsl.searching.workers.heartbeat import LOADING, LOADING_BEAT, Heartbeat
from ktgdsl.searching.workers.periodic import called_every
from ktgdsl.searching.workers.protocol import (
    Busy,
    Decision,
    Diverged,
    Noted,
    Raised,
    Ready,
    Refused,
    Report,
    Setup,
    Task,
)
from ktgdsl.searching.workers.trained_networks import write_networks
from ktgdsl.searching.workers.trial_checkpoint import TrialCheckpoint
from ktgdsl.searching.workers.trial_value import TrialData, load_trial_data, value_after, value_now
from ktgdsl.training.datasets.content import content_digest
from ktgdsl.training.datasets.read import complete, read
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.device import choose_device
from ktgdsl.training.epoch_values import epoch_values
from ktgdsl.training.events import SplitName
from ktgdsl.training.loop import UnfitStateError, epochs
from ktgdsl.training.prepare import stepper
from ktgdsl.training.pretrain import Pretraining
from ktgdsl.training.step import Stepper


class Worker:
    """Trains the trials that it receives. Caches the last data set on the device."""

    def __init__(
        self, channel: Channel, device: torch.device, folder: Path, deterministic: bool = False
    ) -> None:
        self._channel = channel
        self._device = device
        self._folder = folder
        self._deterministic = deterministic
        self._loaded: tuple[tuple[DataPlan, int, SplitName, bool], TrialData] | None = None
        self._identified: tuple[DataPlan, str] | None = None

    def serve(self) -> None:
        """Train the tasks received, one by one; returns after an exception other than KtgError.

        After such an exception the process, especially CUDA, may be unusable: the pool replaces it.
        """
        while True:
            self._channel.send(Ready())
            task: Task = self._channel.receive()
            try:
                with deterministically(self._deterministic):
                    self.train(task)
            except Exception as error:
                reason = describe(error)
                problems: tuple[Diagnostic, ...] = ()
                if isinstance(error, KtgError):
                    reason = "; ".join(each.message for each in error.diagnostics)
                    problems = tuple(each for each in error.diagnostics if each.subject)
                self._channel.send(Raised(task.trial, reason, traceback.format_exc(), problems))
                if not isinstance(error, KtgError):
                    return
            gc.collect()  # graphs have reference cycles, and the next one needs their memory

    def train(self, task: Task) -> None:
        """Train a trial until it is complete, pruned or diverged. Sends its reports."""
        reporter = _Reporter(self._channel, task)
        try:
            plan = complete(Plan.from_json(task.plan))
            if not plan.data.holdout:
                raise ValueError("a trial is measured on a validation split, and none is held out")
            checkpoint = TrialCheckpoint(self._folder, task, plan)
            try:
                self._train(task, plan, checkpoint, reporter)
            except UnfitStateError:
                self._channel.send(Noted(task.trial, checkpoint.unusable))
                checkpoint.discard()
                self._train(task, plan, checkpoint, reporter)
        except RunError as error:
            if all(each.code != "E503" for each in error.diagnostics):
                raise
            reason = "; ".join(each.message for each in error.diagnostics)
            self._channel.send(Diverged(task.trial, reporter.epoch, reason))

    def _train(
        self, task: Task, plan: Plan, checkpoint: TrialCheckpoint, reporter: "_Reporter"
    ) -> None:
        heartbeat = Heartbeat(self._channel.send, task.trial, plan)
        resume, reports = checkpoint.load()
        if resume is None and checkpoint.path.exists():
            self._channel.send(Noted(task.trial, checkpoint.unusable))
        for report in reports:
            if not reporter.keep(report):
                return
        step = stepper(
            plan,
            self._device,
            seed=task.seed,
            pretraining=self._pretraining(plan, task.study_seed),
            listener=heartbeat,
        )
        reporter.epoch = len(reports) + 1
        data = self._data(task, plan.data)
        training = epochs(
            step,
            data.training,
            seed=task.seed,
            resume=resume,
            listener=heartbeat,
            evaluated=[task.judged] if data.judged_by_held_out else [],
            on_steps=lambda _epoch, _step, state: checkpoint.save(state, reports),
        )
        began = time.monotonic()
        for done in training:
            before = reports[-1].value if reports else None
            value = value_after(done, step, data, task, before)
            if done.last and step.phase.take == "best" and task.judged not in step.judged:
                # An ensemble has no best epoch: each member takes its own.
                next(training, None)  # loads the members' best weights
                value = value_now(step, data, task)
            values: tuple[float, ...] = ()
            if done.last and (task.goals or task.leaves_networks):
                next(training, None)  # loads the weights of the best epoch with `take = best`
                values = goal_values(task.goals, plan, step, data)
            report = Report(
                task.trial,
                done.epoch,
                value,
                time.monotonic() - began,
                last=done.last,
                values=values,
                numbers=epoch_values(done),
            )
            reports.append(report)
            if done.last and task.leaves_networks:
                self._leave_networks(task, plan, step, data, reports)
            if not reporter.keep(report):
                return
            if not report.last and done.epoch.bit_count() == 1:
                checkpoint.save(step.state_dict(), reports)
            began = time.monotonic()

    def _leave_networks(
        self, task: Task, plan: Plan, step: Stepper, data: TrialData, reports: list[Report]
    ) -> None:
        """Write the networks; without them the trial still has its value, so errors only warn."""
        seconds = sum(each.seconds for each in reports)
        try:
            write_networks(self._folder, task, plan, step, data, seconds)
        except RunError as error:
            reason = "; ".join(each.message for each in error.diagnostics)
            self._channel.send(Noted(task.trial, f"its networks are not kept: {reason}"))

    def _pretraining(self, plan: Plan, seed: int) -> Pretraining:
        """The settings of pre-training; hashes the data only if a node is pre-trained."""
        needed = any(node.pretrained for node in plan.graph.nodes)
        if needed and (self._identified is None or self._identified[0] != plan.data):
            self._identified = plan.data, content_digest(read(plan.data)[0], plan.data.workers)
        digest = self._identified[1] if needed and self._identified is not None else None
        return Pretraining(seed, self._folder / "pretrained", digest)

    def _data(self, task: Task, data: DataPlan) -> TrialData:
        wanted = data, task.study_seed, task.judged_on, task.leaves_networks
        if self._loaded is None or self._loaded[0] != wanted:
            self._loaded = None  # two data sets may not fit
            busy = partial(self._channel.send, Busy(task.trial, "loading the data"))
            with called_every(LOADING_BEAT, busy, limit=LOADING):  # longer, and it may hang
                loaded = load_trial_data(
                    data,
                    task.study_seed,
                    self._device,
                    task.judged_on,
                    all_splits=task.leaves_networks,
                )
                self._loaded = wanted, loaded
        return self._loaded[1]


class _Reporter:
    """Reports epochs and waits for the decisions. `epoch` is the current epoch of the trial."""

    def __init__(self, channel: Channel, task: Task) -> None:
        self._channel = channel
        self._decided_epochs = task.decided_epochs
        self.epoch = 0

    def keep(self, report: Report) -> bool:
        """Report an epoch, unless an earlier attempt did; returns whether to continue."""
        self.epoch = report.epoch + 1
        if report.epoch <= self._decided_epochs:
            self._channel.send(Busy(report.trial))
            return True
        self._channel.send(report)
        decision: Decision = self._channel.receive()
        self._decided_epochs = report.epoch
        return decision.keep


def main(descriptor: int) -> None:
    """Run a worker process; `descriptor` is the file descriptor of its end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator handles it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    pipe = Pipe(Connection(descriptor))
    setup: Setup = pipe.receive()
    torch.set_num_threads(setup.threads)
    try:
        device = choose_device(setup.device)
    except RunError as error:
        pipe.send(Refused(error.diagnostics))
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    gc.freeze()  # imported modules stay alive; do not scan them after every trial
    atexit.register(gc.unfreeze)
    Worker(pipe, device, setup.folder, setup.deterministic).serve()
