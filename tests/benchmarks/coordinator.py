"""What the coordinator of a search costs a trial: `python -m tests.benchmarks.coordinator`.

The real search, with its journal and files, and workers that are simulated: their epochs take
`--seconds` of a time that is the coordinator's CPU time and `--sync` milliseconds for each write
that waits for the disk (they are not made), and that leaps to the next report where the coordinator
has nothing to do. A row says what each trial since the row before cost in CPU milliseconds, how
many reports and writes it had, and how much of their time the workers trained. `shortest epoch` is
how many seconds an epoch has to take for the coordinator to spend half of its time on such trials.
In the end: what writing the table of trials and reading the journal take, the size of the journal,
and the memory that the trials have added. `--profile` lists the functions that took the most time.
"""

import cProfile
import hashlib
import os
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ktgdsl.plan.model import Plan
from ktgdsl.searching import search_run
from ktgdsl.searching.events import Event, TrialEnded, TrialReported
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.protocol import Message, Report, Task
from ktgdsl.searching.search import search
from ktgdsl.searching.study import Study
from tests.benchmarks.output import Row, options, show
from tests.specs import sound

SPACE = Path(__file__).parents[2] / "specs/space.ktg"


class SimulatedPool:
    """A pool of workers that train nothing; a value depends on trial and epoch alone."""

    def __init__(self, workers: int, epochs: int, seconds: float, sync: float) -> None:
        self.workers, self.epochs, self.seconds, self.sync = workers, epochs, seconds, sync
        self.epoch: dict[int, int] = {}  # of the trials under way
        self.due: list[tuple[float, int]] = []
        self.began, self.leaps, self.writes = time.process_time(), 0.0, 0

    def __enter__(self) -> "SimulatedPool":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def write(self, file: int) -> None:
        """Waits for the disk, as `os.fsync` does."""
        self.writes += 1
        self.leaps += self.sync

    @property
    def now(self) -> float:
        """The simulated time in seconds."""
        return time.process_time() - self.began + self.leaps

    @property
    def free(self) -> int:
        """How many more trials there are workers for."""
        return self.workers - len(self.epoch)

    def submit(self, task: Task) -> None:
        """Has a trial trained."""
        self.epoch[task.trial] = task.kept
        self._train(task.trial)

    def decide(self, trial: int, keep: bool) -> None:
        """Answers the last report of a trial."""
        if keep and self.epoch[trial] < self.epochs:
            self._train(trial)
        else:
            del self.epoch[trial]

    def wait(self) -> list[Message]:
        """The reports that are due, at least one."""
        self.leaps += max(0.0, self.due[0][0] - self.now)
        now, found = self.now, []
        while self.due and self.due[0][0] <= now:
            found.append(self._report(heappop(self.due)[1]))
        return found

    def _train(self, trial: int) -> None:
        share = 0.75 + _number(trial, self.epoch[trial]) / 2  # a graph is larger than another
        heappush(self.due, (self.now + share * self.seconds, trial))

    def _report(self, trial: int) -> Message:
        self.epoch[trial] = epoch = self.epoch[trial] + 1
        value = round(100 * _number(trial, epoch, "value"), 2)
        return Report(trial, epoch, value, self.seconds, last=epoch == self.epochs)


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


class Rows:
    """A listener that makes a row after each of some numbers of trials."""

    def __init__(self, trials: Sequence[int], pool: SimulatedPool) -> None:
        self.rows: list[Row] = []
        self._ends, self._pool = set(trials), pool
        self._counts = Counts()
        self._before = self._taken()

    def __call__(self, event: Event) -> None:
        """Takes an event into account."""
        self._counts.reports += isinstance(event, TrialReported)
        self._counts.trials += isinstance(event, TrialEnded)
        if isinstance(event, TrialEnded) and self._counts.trials in self._ends:
            before, self._before = self._before, self._taken()
            self.rows.append(self._row(before, self._before))
            print(self.rows[-1], file=sys.stderr, flush=True)

    def _taken(self) -> Counts:
        pool = self._pool
        return replace(self._counts, writes=pool.writes, cpu=time.process_time(), now=pool.now)

    def _row(self, before: Counts, after: Counts) -> Row:
        pool = self._pool
        trials, reports, writes = (
            getattr(after, name) - getattr(before, name) for name in ("trials", "reports", "writes")
        )
        cpu = after.cpu - before.cpu
        return {
            "trials": after.trials,
            "CPU ms a trial": 1000 * cpu / trials,
            "reports": reports / trials,
            "writes": writes / trials,
            "shortest epoch s": 2 * pool.workers * (cpu + writes * pool.sync) / reports,
            "busy %": 100 * reports * pool.seconds / (pool.workers * (after.now - before.now)),
        }


def measured(plan: Plan, trials: Sequence[int], pool: SimulatedPool) -> tuple[list[Row], Row]:
    """A search: a row for each number of trials, and one about its end."""
    make_pool: Any = lambda *_, **__: pool  # noqa: E731
    listener = Rows(trials, pool)
    before = memory()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).absolute() / "search"
        with patch.object(search_run, "Pool", make_pool), patch.object(os, "fsync", pool.write):
            found = search(plan, out=folder, workers=1, device="cpu", listener=listener).study
        added = memory() - before
        files = SearchFolder(folder)
        times = [time.process_time()]
        files.write_trials(found.get_trials(deepcopy=False), plan)
        times.append(time.process_time())
        Study(files.journal, plan.graph.name)
        times.append(time.process_time())
        table, reading = (b - a for a, b in pairwise(times))
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
    parser.add_argument("--seconds", type=float, default=30.0, help="of an epoch")
    parser.add_argument("--sync", type=float, default=5.0, help="milliseconds of a write")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    trials = sorted(given.trials)
    plan = space(trials[-1], given.sampler)
    assert plan.search is not None
    pool = SimulatedPool(given.workers, plan.search.epochs, given.seconds, given.sync / 1000)
    if given.profile:
        profile = cProfile.Profile(time.process_time)
        profile.runcall(measured, plan, trials, pool)
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
        return
    rows, end = measured(plan, trials, pool)
    how = f"one search, {given.workers:,} simulated workers, epochs of {given.seconds:g} s"
    show(rows, how, given.json)
    print()
    show([end], "at its end", None)


if __name__ == "__main__":
    main()
