"""How much of their time workers train: `python -m tests.benchmarks.busy`.

A search of real trials with one worker and with two. An epoch's seconds are those that its
worker has spent on training and measuring; all others are lost: the coordinator, messages, new
networks, states on the disk. `training %` is taken from when all workers have a trial until the
last trial begins; `of all %` of all time, from the start of the workers to the end of the last
of them, where the others have nothing to do any more.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

from ktgdsl.searching.coordinator import Coordinator
from ktgdsl.searching.events import ignore
from ktgdsl.searching.study.pruning import pruner_of
from ktgdsl.searching.study.sampling import DistinctSampler
from ktgdsl.searching.study.study import Study
from ktgdsl.searching.workers.pool import Pool
from ktgdsl.searching.workers.protocol import Message, Report, Task
from tests.benchmarks.coordinator import space
from tests.benchmarks.output import options, show


class Timed(Pool):
    """A pool that notes when its workers trained."""

    def __init__(self, workers: int, folder: Path) -> None:
        super().__init__(workers, ["cpu"], folder)
        self.epochs: list[tuple[float, float]] = []
        self.heard: dict[int, float] = {}
        self.last = 0.0

    def submit(self, task: Task) -> None:
        """As a pool does."""
        self.last = time.perf_counter()
        super().submit(task)

    def wait(self, timeout: float | None = None) -> list[Message]:
        """As a pool does."""
        told = super().wait(timeout)
        now = time.perf_counter()
        for each in told:
            self.heard.setdefault(each.trial, now)
            if isinstance(each, Report):
                self.epochs.append((now - each.seconds, now))
        return told

    def trained(self, begin: float, end: float) -> float:
        """Seconds of training between two moments, of all workers together."""
        return sum(max(0.0, min(b, end) - max(a, begin)) for a, b in self.epochs)


def measured(workers: int, trials: int, folder: Path) -> dict[str, str | int | float]:
    """A search of so many trials by so many workers."""
    plan = space(trials, "random")
    began = time.perf_counter()
    assert plan.search is not None
    sampler, pruner = DistinctSampler(plan), pruner_of(plan.search)
    study = Study(folder / "study.journal", "space", sampler, pruner)
    coordinator = Coordinator(plan, study, ignore, improved=lambda _: None)
    with Timed(workers, folder / "workers") as pool:
        coordinator.trials(pool)
        ended = time.perf_counter()
    first, last = max(pool.heard[trial] for trial in range(workers)), pool.last
    return {
        "workers": workers,
        "trials": trials,
        "epochs": len(pool.epochs),
        "s an epoch": median(b - a for a, b in pool.epochs),
        "start s": first - began,
        "wall s": ended - began,
        "training %": 100 * pool.trained(first, last) / workers / (last - first),
        "of all %": 100 * pool.trained(began, ended) / workers / (ended - began),
    }


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=1, help="turns of all numbers of workers")
    given = parser.parse_args()
    rows = []
    for _ in range(given.rounds):
        for workers in given.workers:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measured(workers, given.trials, Path(folder)))
    show(rows, "specs/space.ktg, one search a row", given.json)


if __name__ == "__main__":
    main()
