"""The workers of a search, as their owner sees them: started, given trials, replaced, ended."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from pathlib import Path
from types import TracebackType
from typing import Self

from ktgdsl.errors import RunError
from ktgdsl.language.diagnostic import Diagnostic
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
    ToWorker,
    state_path,
)

MEDIANS = 10
"""A worker hangs that gives no sign of life for so many times the median epoch."""

STARTUP = 600.0
"""Seconds that a worker has to start: importing torch from a cold disk takes its time."""

TICK = 1.0
"""Seconds between two looks at the workers, at most."""

FAREWELL = 5.0
"""Seconds that workers have to end when they are told to."""

# A plain command instead of `multiprocessing.Process`, which would run the caller's main
# module again in the worker, and has every script guard against that.
_PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from ktgdsl.searching.worker import main
main(int(sys.argv[1]))
"""


@dataclass
class _Trial:
    """A trial under way: `asked` is its report that waits for a decision."""

    task: Task
    asked: Report | None = None
    reasons: list[str] = field(default_factory=list)


class _Worker:
    """A worker process and its state: starting, then idle, or at work on a trial."""

    def __init__(self, number: int, setup: Setup) -> None:
        self.number = number
        self.setup = setup
        self.started = self.idle = self.gone = False
        self.trial: _Trial | None = None
        self.heard = time.monotonic()
        self.pipe, theirs = connection.Pipe()
        with theirs, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), json.dumps(sys.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Threads that spin while they wait would take the cores of other workers.
                env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONFAULTHANDLER": "1"},
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is for the owner
            )
        self.send(setup)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.setup.folder / f"worker-{self.number}.log"

    def send(self, message: ToWorker) -> None:
        """Tells it; that it is dead shows when it is listened to."""
        with suppress(OSError):
            self.pipe.send(message)
        self.heard = time.monotonic()

    def read(self) -> Iterator[FromWorker]:
        """All that it has said by now. Then `gone` says whether that was the end."""
        # Asked first: what a process has said before its death is all in the pipe.
        ended = self.process.poll() is not None
        try:
            while self.pipe.poll():
                message: FromWorker = self.pipe.recv()
                self.heard = time.monotonic()
                yield message
        except (EOFError, OSError):
            ended = True
        self.gone = ended

    def silent_for(self) -> float:
        """Seconds without a word from one that owes us some; it may ponder while we do."""
        waiting = self.idle or (self.trial is not None and self.trial.asked is not None)
        return 0.0 if waiting else time.monotonic() - self.heard

    def end(self, patience: float = 0.0) -> int:
        """Its exit code; kills it when it has not ended by itself by then."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.pipe.close()
        return code


class Pool:
    """Worker processes that train trials. A context manager; its end is that of the workers.

    Every trial that is submitted ends in exactly one of four ways: the owner decides not to
    keep it, or decides about its last report; it diverges; it fails.

    Args:
        workers: how many trials are trained at a time.
        devices: where; the workers take turns.
        folder: for the states of trials and the workers' output; made if need be. Trials
            that an earlier pool left unfinished in it go on from there.
        patience: seconds without a sign of life, at least, before a worker counts as hung.
        attempts: how many workers a trial may cost.
    """

    def __init__(
        self,
        workers: int,
        devices: Sequence[str],
        folder: Path,
        *,
        patience: float = 60.0,
        attempts: int = 3,
    ) -> None:
        self._patience = patience
        self._attempts = attempts
        self._folder = folder.absolute()
        self._trials: dict[int, _Trial] = {}
        self._queue: deque[_Trial] = deque()
        self._told: list[Message] = []
        self._seconds: deque[float] = deque(maxlen=101)
        self._false_starts = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        threads = max(1, _cores() // workers)
        setups = [Setup(devices[i % len(devices)], threads, self._folder) for i in range(workers)]
        self._workers = [_Worker(number, setup) for number, setup in enumerate(setups)]

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
        self._trials[task.trial] = trial = _Trial(task)
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

    def _listen(self, worker: _Worker) -> None:
        for message in worker.read():
            self._hear(worker, message)
        if worker.gone:
            code = worker.end(FAREWELL)
            self._replace(worker, f"{_cause(code)}; its output is in {worker.log}")
        elif worker.silent_for() > (limit := self._limit(worker)):
            worker.process.kill()
            worker.end(FAREWELL)
            self._replace(worker, f"its worker gave no sign of life for {limit:.0f} s")

    def _limit(self, worker: _Worker) -> float:
        if not worker.started:
            return STARTUP
        median = statistics.median(self._seconds) if self._seconds else 0.0
        return max(self._patience, MEDIANS * median)

    def _hear(self, worker: _Worker, message: FromWorker) -> None:
        match message:
            case Ready():
                worker.started = worker.idle = True
                self._false_starts = 0
            case Refused(diagnostics):
                raise RunError(diagnostics)
            case Raised(_, reason, trace):
                self._lose(worker, reason, trace)
            case Report(trial):
                self._trials[trial].asked = message
                self._seconds.append(message.seconds)
                self._told.append(message)
            case Diverged(trial):
                self._over(self._trials[trial], worker)
                self._told.append(message)
            case Busy():
                self._told.append(message)

    def _replace(self, worker: _Worker, reason: str) -> None:
        self._lose(worker, reason)
        if not worker.started:
            self._false_starts += 1
        if self._false_starts >= self._attempts:
            raise RunError([_no_start(self._attempts, worker.log)])
        self._workers[self._workers.index(worker)] = _Worker(worker.number, worker.setup)

    def _lose(self, worker: _Worker, reason: str, trace: str = "") -> None:
        """An attempt is lost. A report that still waits may yet end the trial by a decision."""
        trial, worker.trial = worker.trial, None
        if trial is None:
            return
        trial.reasons.append(reason)
        self._told.append(Lost(trial.task.trial, len(trial.reasons), reason, trace))
        if trial.asked is None:
            self._again(trial)

    def _again(self, trial: _Trial) -> None:
        if len(trial.reasons) < self._attempts:
            self._queue.appendleft(trial)
            return
        self._over(trial, None)
        self._told.append(Failed(trial.task.trial, tuple(trial.reasons)))

    def _give(self) -> None:
        for worker in self._workers:
            if worker.idle and self._queue:
                worker.trial, worker.idle = self._queue.popleft(), False
                worker.send(worker.trial.task)

    def _over(self, trial: _Trial, worker: _Worker | None) -> None:
        if worker is not None:
            worker.trial = None
        del self._trials[trial.task.trial]
        state = state_path(self._folder, trial.task.trial)
        with suppress(OSError):
            for path in [state, *self._folder.glob(f".{state.name}.*")]:  # what a kill cut off
                path.unlink(missing_ok=True)


def _cores() -> int:
    """How many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cause(code: int) -> str:
    if code >= 0:
        return f"its worker ended with exit code {code}"
    why = " (is there enough memory?)" if code == -signal.SIGKILL else ""
    return f"its worker was killed by {signal.Signals(-code).name}{why}"


def _no_start(times: int, log: Path) -> Diagnostic:
    message = f"the workers of the search do not start: {times} in a row ended at once"
    return Diagnostic("E505", message, help=f"their output is in {log}", path=str(log))
