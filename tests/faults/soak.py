"""A search of many short trials: whether memory, open files, threads or processes grow.

`python -m tests.faults.soak --trials 2000`. A row says, when so many trials were over, what the
owner and its largest worker had: resident memory, open files, threads; and how many processes
there were, with the numbers of the workers: one that is started anew would hide its growth.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SPACE = """
graph soak {{
    node a, b = python("tests.test_run_files:small")
    target a
    edge label -> * via through | linear | correct
    edge b <-> a : kl(T=1 | 2 | 4) via correct | linear | cutoff
}}
data digits {{ batch = 64  samples = 320 }}
train {{ epochs = 1  optimizer = sgd(lr=log(1e-3 .. 1e-1)) }}
search {{ trials = {trials} }}
"""
PAGE = 4096
ENDED = b'"op_code":6'
"""Of a line in the journal that ends a trial."""


@dataclass(frozen=True)
class Process:
    """What a process has, as Linux says it."""

    pid: int
    megabytes: float
    files: int
    threads: int

    @classmethod
    def now(cls, pid: int) -> "Process":
        """That of a process. Raises OSError where there is none."""
        folder = Path("/proc", str(pid))
        pages = int((folder / "statm").read_text().split()[1])
        return cls(
            pid,
            pages * PAGE / 2**20,
            len([*(folder / "fd").iterdir()]),
            len([*(folder / "task").iterdir()]),
        )

    def __str__(self) -> str:
        return f"{self.megabytes:6.1f} MiB {self.files:3} files {self.threads:2} threads"


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are there."""
    threads = Path("/proc", str(pid), "task").iterdir()
    return sorted(int(n) for t in threads for n in (t / "children").read_text().split())


def over(journal: Path) -> int:
    """How many trials are over."""
    return journal.read_bytes().count(ENDED) if journal.exists() else 0


class Row(NamedTuple):
    """What there was when so many trials were over."""

    trials: int
    owner: Process
    workers: list[Process]

    def __str__(self) -> str:
        largest = max(self.workers, key=lambda each: each.megabytes)
        pids = ", ".join(str(each.pid) for each in self.workers)
        return f"{self.trials:6}   {self.owner}   {largest}   {1 + len(self.workers)} ({pids})"


def soak(trials: int, workers: int, every: int, folder: Path) -> Iterator[Row]:
    """Search, with a row each time that `every` more trials are over, and after the first ten."""
    space = folder / "space.ktg"
    space.write_text(SPACE.format(trials=trials))
    command = [sys.executable, "-m", "ktgdsl", "search", str(space), "--quiet"]
    command += ["--workers", str(workers), "--out", str(folder / "s"), "--device", "cpu"]
    owner, wanted = subprocess.Popen(command), min(10, every)
    while owner.poll() is None:
        time.sleep(0.2)
        done = over(folder / "s/study.journal")
        if done < wanted:
            continue
        with suppress(OSError):  # the search has ended
            found = [Process.now(pid) for pid in children(owner.pid)]
            if len(found) == workers:
                yield Row(done, Process.now(owner.pid), found)
                wanted = (done // every + 1) * every
    assert owner.returncode == 0


def main() -> int:
    """Read the options and search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=int, default=250, help="trials from row to row")
    options = parser.parse_args()
    print("trials   owner                              largest worker                    processes")
    with tempfile.TemporaryDirectory() as folder:
        for row in soak(options.trials, options.workers, options.every, Path(folder)):
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
