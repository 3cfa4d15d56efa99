"""What the coordinator of a search costs a trial: `python -m tests.benchmarks.coordinator`.

The real search, with its journal and files, and workers that are simulated: their epochs take
`--seconds` of a time that is the coordinator's CPU time and `--sync` milliseconds for each write
that waits for the disk (they are not made), and that leaps to the next report where the coordinator
has nothing to do. A row says what each trial since the row before cost in CPU milliseconds, how
many reports and writes it had, and how much of their time the workers trained. `s to report` is how
many seconds passed from report to report of a worker: where that is more than an epoch takes, the
coordinator does not keep up, and it is the shortest epoch for which it would.
In the end: what writing the table of trials and reading the journal take, the size of the journal,
and the memory that the trials have added. `--profile` lists the functions that took the most time.
"""

import cProfile
import hashlib
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ktgdsl.plan.model import Plan
from ktgdsl.searching.engines import ThisMachine
from ktgdsl.searching.events import Event, TrialEnded, TrialReported
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.search import search
from ktgdsl.searching.study.study import Study
from ktgdsl.searching.workers.protocol import (
    Decision,
    FromWorker,
    Ready,
    Report,
    Setup,
    Task,
    ToWorker,
)
from ktgdsl.searching.workers.worker_handle import Ending, WorkerHandle
from tests.benchmarks.output import Row, options, show
from tests.specs import sound

SPACE = Path(__file__).parents[2] / "specs/space.ktg"


class SimulatedEngine(ThisMachine):
    """Workers that train nothing, and the time that passes for them, in seconds."""

    def __init__(self, workers: int, epochs: int, seconds: float, sync: float) -> None:
        self.count, self.epochs, self.seconds, self.sync = workers, epochs, seconds, sync
        self.due: list[tuple[float, int, SimulatedWorker, FromWorker]] = []
        self.began, self.leaps, self.writes = time.process_time(), 0.0, 0
        self._numbers = count()

    @property
    def now(self) -> float:
        """The simulated time."""
        return time.process_time() - self.began + self.leaps

    def write(self, file: int) -> None:
        """Waits for the disk, as `os.fsync` does."""
        self.writes += 1
        self.leaps += self.sync

    def start(self, number: int, setup: Setup) -> "SimulatedWorker":
        """Starts a worker."""
        return SimulatedWorker(number, setup, self)

    def send(self, worker: "SimulatedWorker", message: FromWorker, seconds: float) -> None:
        """Has a message of a worker arrive after so many seconds."""
        heappush(self.due, (self.now + seconds, next(self._numbers), worker, message))

    def wait(self, inboxes: Sequence[Any], timeout: float) -> None:
        """Leaps to the next message, and delivers those that are due."""
        now = self.now
        self.leaps += max(0.0, min(self.due[0][0] - now, timeout)) if self.due else timeout
        now = self.now
        while self.due and self.due[0][0] <= now:
            _, _, worker, message = heappop(self.due)
            worker.arrived.append(message)


class SimulatedWorker(WorkerHandle):
    """Reports values that depend on trial and epoch alone."""

    def __init__(self, number: int, setup: Setup, engine: SimulatedEngine) -> None:
        super().__init__(number, setup)
        self.arrived: list[FromWorker] = []
        self._engine = engine
        self._task: Task | None = None
        self._epoch = 0
        engine.send(self, Ready(), 0.0)

    @property
    def inbox(self) -> Any:
        """There is nothing to wait on."""
        return self

    def send(self, message: ToWorker) -> None:
        """Takes a task, or goes on with one."""
        self.heard = time.monotonic()
        if isinstance(message, Task):
            self._task, self._epoch = message, message.decided_epochs
        if message == Decision(keep=False) or self._epoch == self._engine.epochs:
            self._engine.send(self, Ready(), 0.0)
        else:
            self._train()

    def _train(self) -> None:
        assert self._task is not None
        trial = self._task.trial
        self._epoch += 1
        seconds = self._engine.seconds * (0.75 + _number(trial, self._epoch) / 2)
        value = round(100 * _number(trial, self._epoch, "value"), 2)
        last = self._epoch == self._engine.epochs
        self._engine.send(self, Report(trial, self._epoch, value, seconds, last), seconds)

    def read(self) -> Iterator[FromWorker]:
        """What has arrived."""
        messages, self.arrived = self.arrived, []
        if messages:
            self.heard = time.monotonic()
        yield from messages

    def terminate(self) -> None:
        """Ends at once."""

    def end(self, patience: float = 0.0) -> Ending:
        """Has ended."""
        return Ending("it was told to end", was_killed=False)


def _number(*which: int | str) -> float:
    """A number below 1 that depends on `which` alone."""
    return int(hashlib.sha256(repr(which).encode()).hexdigest()[:8], 16) / 16**8


def space(trials: int, sampler: str) -> Plan:
    """The space of three nodes on digits, searched so often."""
    text = SPACE.read_text()
    text = text.replace("trials    = 60", f"trials    = {trials}")
    return sound(text.replace("random(seed=0)", f"{sampler}(seed=0)"))


@dataclass
class Counts:
    """What a search has had so far, seconds of CPU time and of the simulated time among it."""

    trials: int = 0
    reports: int = 0
    writes: int = 0
    cpu: float = 0.0
    now: float = 0.0


class EnoughError(Exception):
    """All rows are there: the last trials, which leave workers idle, are not searched."""


class Rows:
    """A listener that makes a row after each of some numbers of trials."""

    def __init__(self, trials: Sequence[int], engine: SimulatedEngine) -> None:
        self.rows: list[Row] = []
        self._ends, self._engine = set(trials), engine
        self._counts = Counts()
        self._before = self._taken()

    def __call__(self, event: Event) -> None:
        """Takes an event into account."""
        self._counts.reports += isinstance(event, TrialReported)
        self._counts.trials += isinstance(event, TrialEnded)
        if isinstance(event, TrialEnded) and self._counts.trials in self._ends:
            before, self._before = self._before, (after := self._taken())
            self.rows.append(self._row(before, after))
            print(self.rows[-1], file=sys.stderr, flush=True)
            self._ends.remove(after.trials)
            if not self._ends:
                raise EnoughError

    def _taken(self) -> Counts:
        engine = self._engine
        return replace(self._counts, writes=engine.writes, cpu=time.process_time(), now=engine.now)

    def _row(self, before: Counts, after: Counts) -> Row:
        engine = self._engine
        trials, reports, writes = (
            getattr(after, name) - getattr(before, name) for name in ("trials", "reports", "writes")
        )
        cpu = after.cpu - before.cpu
        return {
            "trials": after.trials,
            "CPU ms a trial": 1000 * cpu / trials,
            "reports": reports / trials,
            "writes": writes / trials,
            "s to report": engine.count * (after.now - before.now) / reports,
            "busy %": 100 * reports * engine.seconds / (engine.count * (after.now - before.now)),
        }


def measured(plan: Plan, trials: Sequence[int], engine: SimulatedEngine) -> tuple[list[Row], Row]:
    """A search: a row for each number of trials, and one about its end."""
    listener = Rows(trials, engine)
    before = memory()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).absolute() / "search"
        engines = patch(f"{search.__module__}.open_engine", lambda *_: nullcontext(engine))
        with engines, patch("os.fsync", engine.write), suppress(EnoughError):
            search(plan, out=folder, workers=engine.count, device="cpu", listener=listener)
        added = memory() - before
        files = SearchFolder(folder)
        times = [time.process_time()]
        study = Study(files.journal, plan.graph.name)
        times.append(time.process_time())
        files.write_trials(study.trials, plan)
        times.append(time.process_time())
        reading, table = (b - a for a, b in pairwise(times))
        end: Row = {
            "trials": trials[-1],
            "trials.csv s": table,
            "reading s": reading,
            "journal MB": files.journal.stat().st_size / 1e6,
            "added MB": added,
        }
    return listener.rows, end


def memory() -> float:
    """The most memory that this process has had so far, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument(
        "--trials", type=int, nargs="+", default=[1_000, 3_000, 10_000], help="where rows end"
    )
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="of an epoch")
    parser.add_argument("--sync", type=float, default=5.0, help="milliseconds of a write")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    trials = sorted(given.trials)
    plan = space(trials[-1] + given.workers, given.sampler)
    assert plan.search is not None
    engine = SimulatedEngine(given.workers, plan.search.epochs, given.seconds, given.sync / 1000)
    if given.profile:
        profile = cProfile.Profile()
        profile.runcall(measured, plan, trials, engine)
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
        return
    rows, end = measured(plan, trials, engine)
    how = f"one search, {given.workers:,} simulated workers, epochs of {given.seconds:g} s"
    show(rows, how, given.json)
    print()
    show([end], "at its end", None)


if __name__ == "__main__":
    main()
