"""The workers of a search, as their owner sees them: started, given trials, replaced, ended."""

import signal
import statistics
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path
from types import TracebackType
from typing import Self

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.searching.messages import (
    Busy,
    Decision,
    Diverged,
    Failed,
    FromWorker,
    Lost,
    Message,
    Raised,
    Ready,
    Refused,
    Report,
    Setup,
    Task,
    state_path,
)
from ktgdsl.searching.process import Trial, WorkerProcess

MEDIANS = 10
"""A worker hangs that gives no sign of life for so many times the median epoch."""

FIRST = 600.0
"""Seconds until an attempt's first report in which a worker may be silent, at least: a graph
may be compiled in its first step and again when it is first evaluated, and data be loaded."""

STARTUP = 600.0
"""Seconds that a worker has to start: importing torch from a cold disk takes its time."""

TICK = 1.0
"""Seconds between two looks at the workers, at most."""

FAREWELL = 5.0
"""Seconds that workers have to end when they are told to."""


class Pool:
    """Worker processes that train trials. A context manager; its end is that of the workers.

    Every trial that is submitted ends in exactly one of four ways: the owner decides not to
    keep it, or decides about its last report; it diverges; it fails.

    Args:
        workers: how many trials are trained at a time.
        devices: where; the workers take turns.
        folder: for the states of trials and the workers' output; made if need be. Trials
            that an earlier pool left unfinished in it go on from there.
        threads: how many each worker computes with.
        deterministic: whether by deterministic algorithms alone.
        patience: seconds without a sign of life, at least, before a worker counts as hung
            that has reported an epoch of its trial.
        attempts: how many workers a trial may cost.
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
    ) -> None:
        self._patience = patience
        self._attempts = attempts
        self._folder = folder.absolute()
        self._trials: dict[int, Trial] = {}
        self._queue: deque[Trial] = deque()
        self._told: list[Message] = []
        self._seconds: deque[float] = deque(maxlen=101)
        self._false_starts = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        setups = [
            Setup(devices[i % len(devices)], threads, self._folder, deterministic)
            for i in range(workers)
        ]
        self._workers = [WorkerProcess(number, setup) for number, setup in enumerate(setups)]

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
        """Ends all workers, whatever they are at; what is kept of their trials stays."""
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + FAREWELL
        for worker in self._workers:
            worker.end(max(0.0, until - time.monotonic()))
        self._workers = []

    @property
    def free(self) -> int:
        """How many more trials there are workers for."""
        return len(self._workers) - len(self._trials)

    def submit(self, task: Task) -> None:
        """Has a trial trained, as soon as there is a worker for it."""
        if task.trial in self._trials:
            raise ValueError(f"trial {task.trial} is under way")
        self._trials[task.trial] = trial = Trial(task)
        self._queue.append(trial)
        self._give()

    def decide(self, trial: int, keep: bool) -> None:
        """Answers the last report of a trial; one that is not kept is over.

        Whatever has to last, such as a journal's entry about the report, has to be written
        before.
        """
        it = self._trials[trial]
        report, it.asked = it.asked, None
        if report is None:
            raise ValueError(f"trial {trial} has not asked")
        it.task = replace(it.task, kept=report.epoch)
        over = report.last or not keep
        worker = next((each for each in self._workers if each.trial is it), None)
        if worker is not None:
            worker.send(Decision(keep))
        if over:
            self._over(it, worker)
        elif worker is None:
            self._again(it)

    def wait(self, timeout: float | None = None) -> list[Message]:
        """What has happened since, in order: something, unless `timeout` seconds pass first.

        Of a trial that is not over there comes something as long as every report is answered;
        with no trial under way there is nothing to wait for.

        Raises:
            RunError: when workers cannot start (E504, E505).
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = max(0.0, until - time.monotonic())
            self._look(0.0 if self._told else min(left, TICK))
            if self._told or not self._trials or left == 0.0:
                told, self._told = self._told, []
                return told

    def _look(self, timeout: float) -> None:
        connection.wait([worker.pipe for worker in self._workers], timeout)
        for worker in self._workers:
            self._listen(worker)
        self._give()

    def _listen(self, worker: WorkerProcess) -> None:
        for message in worker.read():
            self._hear(worker, message)
        if worker.gone:
            code = worker.end(FAREWELL)
            self._replace(worker, f"{_cause(code)}; its output is in {worker.log}")
        elif worker.silent_for() > (limit := self._limit(worker)):
            worker.process.kill()
            worker.end(FAREWELL)
            self._replace(worker, f"its worker gave no sign of life for {limit:.0f} s")

    def _limit(self, worker: WorkerProcess) -> float:
        if not worker.started:
            return STARTUP
        median = statistics.median(self._seconds) if self._seconds else 0.0
        return max(self._patience if worker.reported else FIRST, MEDIANS * median)

    def _hear(self, worker: WorkerProcess, message: FromWorker) -> None:
        match message:
            case Ready():
                worker.started = worker.idle = True
                self._false_starts = 0
            case Refused(diagnostics):
                raise RunError(diagnostics)
            case Raised(_, reason, trace):
                self._lose(worker, reason, trace)
            case Report(trial):
                worker.reported = True
                self._trials[trial].asked = message
                self._seconds.append(message.seconds)
                self._told.append(message)
            case Diverged(trial):
                self._over(self._trials[trial], worker)
                self._told.append(message)
            case Busy():
                self._told.append(message)

    def _replace(self, worker: WorkerProcess, reason: str) -> None:
        self._lose(worker, reason)
        if not worker.started:
            self._false_starts += 1
        if self._false_starts >= self._attempts:
            raise RunError([_no_start(self._attempts, worker.log)])
        self._workers[self._workers.index(worker)] = WorkerProcess(worker.number, worker.setup)

    def _lose(self, worker: WorkerProcess, reason: str, trace: str = "") -> None:
        """An attempt is lost. A report that still waits may yet end the trial by a decision."""
        trial, worker.trial = worker.trial, None
        if trial is None:
            return
        trial.reasons.append(reason)
        self._told.append(Lost(trial.task.trial, len(trial.reasons), reason, trace))
        if trial.asked is None:
            self._again(trial)

    def _again(self, trial: Trial) -> None:
        if len(trial.reasons) < self._attempts:
            self._queue.appendleft(trial)
            return
        self._over(trial, None)
        self._told.append(Failed(trial.task.trial, tuple(trial.reasons)))

    def _give(self) -> None:
        for worker in self._workers:
            if worker.idle and self._queue:
                worker.trial, worker.idle, worker.reported = self._queue.popleft(), False, False
                worker.send(worker.trial.task)

    def _over(self, trial: Trial, worker: WorkerProcess | None) -> None:
        if worker is not None:
            worker.trial = None
        del self._trials[trial.task.trial]
        state = state_path(self._folder, trial.task.trial)
        with suppress(OSError):
            for path in [state, *self._folder.glob(f".{state.name}.*")]:  # what a kill cut off
                path.unlink(missing_ok=True)


def _cause(code: int) -> str:
    if code >= 0:
        return f"its worker ended with exit code {code}"
    why = " (is there enough memory?)" if code == -signal.SIGKILL else ""
    return f"its worker was killed by {signal.Signals(-code).name}{why}"


def _no_start(times: int, log: Path) -> Diagnostic:
    message = f"the workers of the search do not start: {times} in a row ended at once"
    return Diagnostic("E505", message, help=f"their output is in {log}", path=str(log))
