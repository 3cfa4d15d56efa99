"""What the coordinator of a search costs a trial: `python -m tests.benchmarks.coordinator`.

With workers that answer at once, so that nothing is measured but the coordinator: drawing, judging,
the journal on the disk, and now and then best.ktg. `first tenth` and `last tenth` are CPU
milliseconds of those trials. Besides, what writing the table of trials and going on from the
journal take at the end, and the memory that the trials have added.
"""

import hashlib
import resource
import sys
import tempfile
import time
from collections import deque
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from optuna.trial import FrozenTrial

from ktgdsl.plan.model import Plan
from ktgdsl.searching.coordinator import Coordinator
from ktgdsl.searching.events import Event, TrialEnded
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.protocol import Message, Report, Task
from ktgdsl.searching.pruning import pruner_of
from ktgdsl.searching.sampling import DistinctSampler
from ktgdsl.searching.study import Study
from tests.benchmarks.output import options, show
from tests.specs import sound

SPACE = Path(__file__).parents[2] / "specs/space.ktg"
WORKERS = 2


class Instant:
    """A pool whose workers answer at once; a value depends on trial and epoch alone."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.under_way: dict[int, int] = {}
        self.ready: deque[int] = deque()

    @property
    def free(self) -> int:
        """How many more trials there are workers for."""
        return WORKERS - len(self.under_way)

    def submit(self, task: Task) -> None:
        """Has a trial trained."""
        self.under_way[task.trial] = task.kept
        self.ready.append(task.trial)

    def decide(self, trial: int, keep: bool) -> None:
        """Answers the last report of a trial."""
        if keep and self.under_way[trial] < self.epochs:
            self.ready.append(trial)
        else:
            del self.under_way[trial]

    def wait(self) -> list[Message]:
        """The next report."""
        trial = self.ready.popleft()
        self.under_way[trial] = epoch = self.under_way[trial] + 1
        said = hashlib.sha256(f"{trial} {epoch}".encode()).hexdigest()
        value = int(said[:4], 16) % 400 / 4
        return [Report(trial, epoch, value, 1.0, last=epoch == self.epochs)]


def space(trials: int, sampler: str) -> Plan:
    """The space of three nodes on digits, searched so often."""
    text = SPACE.read_text()
    text = text.replace("trials    = 60", f"trials    = {trials}")
    return sound(text.replace("random(seed=0)", f"{sampler}(seed=0)"))


def measured(trials: int, sampler: str, folder: Path) -> dict[str, str | int | float]:
    """A search of so many trials; times in milliseconds but for the last ones."""
    plan, files = space(trials, sampler), SearchFolder(folder)
    assert plan.search is not None
    epochs, pruner = plan.search.epochs, pruner_of(plan.search)
    ends, work = [time.perf_counter()], [time.process_time()]

    def listen(event: Event) -> None:
        if isinstance(event, TrialEnded):
            ends.append(time.perf_counter())
            work.append(time.process_time())

    def improved(trial: FrozenTrial) -> None:
        files.write_graph("best.ktg", plan, trial)

    def search() -> Study:
        study = Study(files.journal, "space", DistinctSampler(plan), pruner)
        coordinator = Coordinator(plan, study, listen, improved)
        pool: Any = Instant(epochs)
        coordinator.trials(pool)
        return study

    before = memory()
    study = search()
    wall, each = ([1000 * (b - a) for a, b in pairwise(times)] for times in (ends, work))
    tenth = len(each) // 10
    added = memory() - before
    began = time.perf_counter()
    files.write_trials(study.trials, plan)
    table = time.perf_counter() - began
    began = time.perf_counter()
    assert len(search().trials) == trials
    return {
        "sampler": sampler,
        "trials": trials,
        "ms a trial": median(wall),
        "95 %": quantiles(wall, n=20)[-1],
        "CPU ms": median(each),
        "first tenth": median(each[:tenth]),
        "last tenth": median(each[-tenth:]),
        "trials.csv ms": 1000 * table,
        "going on s": time.perf_counter() - began,
        "journal MB": files.journal.stat().st_size / 1e6,
        "added MB": added,
    }


def memory() -> float:
    """The most memory that this process has had so far, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--random", type=int, nargs="*", default=[1_500, 10_000], help="trials")
    parser.add_argument("--tpe", type=int, nargs="*", default=[1_500], help="trials")
    given = parser.parse_args()
    wanted = [("random", n) for n in given.random] + [("tpe", n) for n in given.tpe]
    rows = []
    for sampler, trials in wanted:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            rows.append(measured(trials, sampler, Path(folder).absolute()))
    show(
        rows, f"medians over the trials of one search each, {WORKERS} pretended workers", given.json
    )


if __name__ == "__main__":
    main()
