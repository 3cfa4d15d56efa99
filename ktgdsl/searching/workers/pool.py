"""A pool of workers: gives them trials, and replaces those that die or hang."""

import statistics
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.searching.workers.protocol import (
    Busy,
    Decision,
    Diverged,
    Failed,
    FromWorker,
    Lost,
    Message,
    Noted,
    Pretrained,
    Raised,
    Ready,
    Refused,
    Report,
    Setup,
    Task,
    state_path,
)
from ktgdsl.searching.workers.worker_handle import Engine, RunningTrial, WorkerHandle
from ktgdsl.searching.workers.worker_process import LocalEngine

MEDIANS = 10
"""A worker counts as hung when it is silent for so many times the median epoch."""

FIRST = 120.0
"""Seconds that a worker may be silent before an attempt's first report, at least."""

COMPILING = 600.0
"""The same where the graph is compiled, in its first step and again in its first evaluation."""

STARTUP = 600.0
"""Seconds that a worker has to start: importing torch from a cold disk takes its time."""

KILLED_STARTS = 10
"""Workers that may be killed in a row while they start, at least: it is not their fault."""

TICK = 1.0
"""Seconds between two checks for hung workers, at most."""

FAREWELL = 5.0
"""Seconds that workers have to end after they are told to."""


class Pool:
    """Workers that train trials. A context manager, at whose end the workers end.

    A trial that is submitted ends in exactly one of four ways: by a decision not to keep it, by
    the decision about its last report, by diverging, or by failing.

    Args:
        workers: how many trials are trained at a time.
        devices: the devices; they are given to the workers in turn.
        folder: for checkpoints of trials and the workers' output; made if need be. Trials
            that an earlier pool left unfinished in it resume from there.
        threads: how many each worker computes with.
        deterministic: whether to use deterministic algorithms alone.
        patience: seconds of silence, at least, before a worker counts as hung that has
            reported an epoch of its trial.
        attempts: how many workers may be lost with a trial before it fails.
        engine: starts the workers; by default as processes of this machine.
        code: the user's own files that trials need, by path, with their SHA-256.
    """

    def __init__(
        self,
        workers: int,
        devices: Sequence[str],
        folder: Path,
        *,
        threads: int = 1,
        deterministic: bool = False,
        patience: float = 60.0,
        attempts: int = 3,
        engine: Engine | None = None,
        code: Mapping[str, str] | None = None,
    ) -> None:
        self._engine = engine or LocalEngine()
        self._patience = patience
        self._attempts = attempts
        self._folder = folder.absolute()
        self._trials: dict[int, RunningTrial] = {}
        self._queue: deque[RunningTrial] = deque()
        self._messages: list[Message] = []
        self._epoch_seconds: deque[float] = deque(maxlen=101)
        self._epoch = 0.0  # their median
        self._false_starts = self._killed_starts = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        setups = [
            Setup(devices[i % len(devices)], threads, self._folder, deterministic, code or {})
            for i in range(workers)
        ]
        self._workers = [self._engine.start(*each) for each in enumerate(setups)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers at once; the checkpoints of their trials stay."""
        for worker in self._workers:
            worker.terminate()
        until = time.monotonic() + FAREWELL
        for worker in self._workers:
            worker.end(max(0.0, until - time.monotonic()))
        self._workers = []

    @property
    def free(self) -> int:
        """How many more trials there are workers for."""
        return len(self._workers) - len(self._trials)

    def submit(self, task: Task) -> None:
        """Have a trial trained as soon as a worker is free."""
        if task.trial in self._trials:
            raise ValueError(f"trial {task.trial} is under way")
        self._trials[task.trial] = trial = RunningTrial(task)
        self._queue.append(trial)
        self._assign()

    def decide(self, trial: int, keep: bool) -> None:
        """Answer the last report of a trial; without `keep` the trial is over.

        What must survive a kill, such as the journal's entry about the report, has to be
        written before.
        """
        running = self._trials[trial]
        report, running.pending = running.pending, None
        if report is None:
            raise ValueError(f"trial {trial} has no report to decide about")
        running.task = replace(running.task, decided_epochs=report.epoch)
        over = report.last or not keep
        worker = next((each for each in self._workers if each.trial is running), None)
        if worker is not None:
            worker.send(Decision(keep))
        if over:
            self._finish(running, worker)
        elif worker is None:
            self._retry(running)

    def wait(self, timeout: float | None = None) -> list[Message]:
        """Messages about trials, in order: at least one, unless `timeout` seconds pass first.

        A trial that is not over sends messages as long as every report is answered. With no
        trial under way there are none, and this returns at once.

        Raises:
            RunError: when workers cannot start (E504, E505).
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = max(0.0, until - time.monotonic())
            self._poll(0.0 if self._messages else min(left, TICK))
            if self._messages or not self._trials or left == 0.0:
                messages, self._messages = self._messages, []
                return messages

    def _poll(self, timeout: float) -> None:
        self._engine.wait([worker.inbox for worker in self._workers], timeout)
        if self._epoch_seconds:
            self._epoch = statistics.median(self._epoch_seconds)
        for worker in self._workers:
            self._read(worker)
        self._assign()

    def _read(self, worker: WorkerHandle) -> None:
        for message in worker.read():
            self._handle(worker, message)
        if worker.gone:
            ending = worker.end(FAREWELL)
            self._replace(worker, ending.cause, was_killed=ending.was_killed)
        elif worker.silent_for() > (limit := self._limit(worker)):
            worker.end()
            self._replace(worker, f"its worker gave no sign of life for {limit:.0f} s")

    def _limit(self, worker: WorkerHandle) -> float:
        if not worker.started:
            return STARTUP
        compiles = worker.trial is not None and worker.trial.task.compiles
        first = COMPILING if compiles else FIRST
        return max(self._patience if worker.reported else first, MEDIANS * self._epoch)

    def _handle(self, worker: WorkerHandle, message: FromWorker) -> None:
        match message:
            case Ready():
                worker.started = worker.idle = True
                self._false_starts = self._killed_starts = 0
            case Refused(diagnostics):
                raise RunError(diagnostics)
            case Raised(_, reason, trace, ()):
                self._lose(worker, reason, trace)
            case Raised():
                self._fail(self._trials[message.trial], worker, message)
            case Report(trial):
                worker.reported = True
                self._trials[trial].pending = message
                self._epoch_seconds.append(message.seconds)
                self._messages.append(message)
            case Diverged(trial):
                self._finish(self._trials[trial], worker)
                self._messages.append(message)
            case Busy() | Noted() | Pretrained():
                self._messages.append(message)

    def _replace(self, worker: WorkerHandle, reason: str, *, was_killed: bool = False) -> None:
        self._lose(worker, reason)
        if not worker.started:
            self._false_starts += not was_killed
            self._killed_starts += was_killed
        most_killed = max(KILLED_STARTS, self._attempts * len(self._workers))
        if self._false_starts >= self._attempts or self._killed_starts >= most_killed:
            raise RunError([_no_start(self._false_starts + self._killed_starts, worker.log)])
        self._workers[self._workers.index(worker)] = self._engine.start(worker.number, worker.setup)

    def _lose(self, worker: WorkerHandle, reason: str, trace: str = "") -> None:
        """Note a lost attempt. A report that waits for a decision may still end the trial."""
        trial, worker.trial = worker.trial, None
        if trial is None:
            return
        trial.lost.append(reason)
        self._messages.append(Lost(trial.task.trial, len(trial.lost), reason, trace))
        if trial.pending is None:
            self._retry(trial)

    def _retry(self, trial: RunningTrial) -> None:
        if len(trial.lost) < self._attempts:
            self._queue.appendleft(trial)
            return
        self._finish(trial, None)
        self._messages.append(Failed(trial.task.trial, tuple(trial.lost)))

    def _fail(self, trial: RunningTrial, worker: WorkerHandle, raised: Raised) -> None:
        self._finish(trial, worker)
        reasons = (*trial.lost, raised.reason)
        self._messages.append(Failed(raised.trial, reasons, raised.problems))

    def _assign(self) -> None:
        for worker in self._workers:
            if worker.idle and self._queue:
                worker.trial, worker.idle, worker.reported = self._queue.popleft(), False, False
                worker.send(worker.trial.task)

    def _finish(self, trial: RunningTrial, worker: WorkerHandle | None) -> None:
        if worker is not None:
            worker.trial = None
        del self._trials[trial.task.trial]
        state = state_path(self._folder, trial.task.trial)
        with suppress(OSError):
            for path in [state, *self._folder.glob(f".{state.name}.*")]:  # what a kill cut off
                path.unlink(missing_ok=True)


def _no_start(times: int, log: Path) -> Diagnostic:
    message = f"the workers of the search do not start: {times} in a row ended at once"
    return Diagnostic("E505", message, help=f"their output is in {log}", path=str(log))
