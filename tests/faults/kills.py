"""Runs and searches that are killed at random times: `python -m tests.faults.kills CASE ...`.

Without a case all are tried. A process gets SIGKILL (a run, the owner of a search, its workers),
and what is left is resumed until it ends by itself; the result has to be that of one that nobody
killed, to the bit. `--kills` says how often a run is killed. The owner of a search is `--owners`
times, each after half as many kills of its workers.
"""

import argparse
import csv
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import load_file

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.searching import search_run
from ktgdsl.searching.search import resume as resume_search
from ktgdsl.searching.search import search
from ktgdsl.searching.workers import worker_process
from ktgdsl.searching.workers.pool import Pool
from ktgdsl.searching.workers.worker import main as main_of_worker
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.run import resume, run
from tests.forked import Forked
from tests.training.test_run import assert_equal_runs

_PAIR = "node a, b = resnet(depth=8, width=4) target a edge label -> * edge b <-> a : kl"
RUNS = {
    "phases": (
        f"graph g {{ {_PAIR} }} phase one {{ learn = [b] epochs = 12 take = best }} "
        "phase two { learn = [a] epochs = 6 }",
        "validation = 64 holdout = true",
        "",
    ),
    "ensembles": (
        f"graph g {{ {_PAIR} node e = ensemble(a, b, combine=gated(by=a.stage1), detach=false) "
        "edge label -> e edge e -> a : kl(T=3) node m = ema(a) edge m -> b : mse }",
        "",
        "epochs = 24",
    ),
    "sequential updates": (
        f"graph g {{ {_PAIR} edge a -> a : mse via stable }}",
        "augment = paper views = 2",
        "epochs = 24 update = sequential optimizer = adam",
    ),
    "repeats": (f"graph g {{ {_PAIR} }}", "augment = paper", "epochs = 8 repeats = 3"),
    "steps": (
        "graph g { node a = wrn(depth=10, widen=1, dropout=0.3) node m = ema(a) target a "
        "edge label -> a edge m -> a : mse }",
        "augment = paper labeled = 64 labeled_batch = 8",
        "epochs = 12 checkpoint = 3 steps",
    ),
}
SPACE = """
graph killed {
    node a, b = python("tests.test_run_files:small")
    target a
    edge label -> * via through | linear | correct
    edge b <-> a : kl(T=1 | 2 | 4) via correct | linear | cutoff
}
data digits { batch = 64  samples = 640 }
train { epochs = 4  optimizer = sgd(lr=log(1e-3 .. 1e-1)) }
search { trials = %d  pruner = none }
"""
"""Nothing is pruned: who is depends on which worker is faster."""


def plan_of(case: str) -> Plan:
    """The plan of a run."""
    graph, data, train = RUNS[case]
    text = f"{graph} data digits {{ batch = 32 samples = 320 {data} }} train {{ {train} }}"
    return complete(ktgdsl.loads(text))


def _train(plan: Plan, folder: Path) -> None:
    resume(folder) if folder.exists() else run(plan, out=folder, device="cpu", deterministic=True)


def _killed_after(seconds: float, started: Forked, log: Path) -> bool:
    """Kill a process after so long, unless it has come to its end before; whether it had not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and started.poll() is None:
        time.sleep(0.005)
    started.kill()
    code = started.wait(60)
    assert code in (0, -signal.SIGKILL), log.read_text()
    return code != 0


def killed_run(case: str, kills: int, folder: Path, seed: int = 0) -> str:
    """Kill a run so many times, in one training or, where it is over before, in several.

    Returns what happened, in words. Fails where a result is not equal.
    """
    draw, plan, log = random.Random(f"{case} {seed}"), plan_of(case), folder / "log.txt"
    whole, out = folder / "whole", folder / "r"
    Forked(time.time, output=log).wait(600)  # the server of the processes is there now
    began, started = time.time(), Forked(_train, plan, whole, output=log)
    assert started.wait(600) == 0, log.read_text()
    to_plan = (whole / "plan.json").stat().st_mtime - began
    length = (whole / "result.json").stat().st_mtime - began - to_plan
    done = runs = at_start = 0
    while done < kills or out.exists():
        # Most lives are long enough for an epoch, and all together hardly for the whole training.
        seconds = draw.uniform(0, 2 * to_plan + 2 * length / kills) if done < kills else 600.0
        killed = _killed_after(seconds, Forked(_train, plan, out, output=log), log)
        done += killed
        if not killed:
            assert_equal_runs(out, whole)
            shutil.rmtree(out)
            runs += 1
        elif out.exists() and not (out / "plan.json").exists():
            shutil.rmtree(out)  # nothing is in it yet, and it is no folder of a run
            at_start += 1
    return f"{case}: {done} kills, {runs} runs, all equal to the bit ({at_start} before the plan)"


class _Worker:
    """A worker of a search, forked from its owner, which starts faster than a program."""

    def __init__(self, descriptor: int, log: str) -> None:
        process = get_context("fork").Process(target=_work, args=(descriptor, log), daemon=True)
        self._process = process
        self._process.start()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """The exit code, None before the end."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; the exit code."""
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (code := self.poll()) is None:
            if time.monotonic() >= until:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            time.sleep(0.005)
        return code

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it."""
        self._process.kill()


def _work(descriptor: int, log: str) -> None:
    os.setpgid(0, 0)
    with Path(log).open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    # With the owner's ends of pipes in it, no worker would see that the owner is gone.
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, 4096)
    try:
        main_of_worker(descriptor)
    finally:
        os._exit(0)  # threads that the owner had, and for which libraries would wait, are not here


@contextmanager
def killing_workers(kills: int, seed: int, noted: Path) -> Iterator[None]:
    """Kill so many workers of the searches of a `with` block; each kill is a line of a file.

    Kills come so fast that a trial may lose 30 workers, instead of 3, before it fails.
    """
    workers: list[_Worker] = []

    def kill() -> None:
        draw, left = random.Random(seed), kills
        while left:
            time.sleep(draw.expovariate(2.0) + 0.1)
            if alive := [each for each in workers if each.poll() is None]:
                os.kill(draw.choice(alive).pid, signal.SIGKILL)
                left -= 1
                with noted.open("a") as lines:
                    lines.write("x\n")

    def start(_command: object, **options: Any) -> _Worker:
        (descriptor,) = options["pass_fds"]
        workers.append(_Worker(descriptor, options["stdout"].name))
        return workers[-1]

    pool = functools.partial(Pool, attempts=30)
    subprocesses = SimpleNamespace(**{**vars(subprocess), "Popen": start})
    with (
        patch.object(search_run, "Pool", pool),
        patch.object(worker_process, "subprocess", subprocesses),
    ):
        threading.Thread(target=kill, daemon=True).start()
        yield


def search_as_owner(space: str, folder: Path, kills: int = 0, seed: int = 0) -> None:
    """Search as an owner so many of whose workers are killed."""
    with killing_workers(kills, seed, folder.parent / "kills.txt"):
        if folder.exists():
            resume_search(folder)
        else:
            search(ktgdsl.loads(space), out=folder, device="cpu", workers=2)


def killed_search(trials: int, owners: int, kills: int, folder: Path, seed: int = 0) -> str:
    """Kill the owner of a search, each time after so many kills of workers.

    Returns what happened, in words.
    """
    space, log, lines = SPACE % trials, folder / "log.txt", folder / "kills.txt"
    draw = random.Random(seed)
    code = Forked(search_as_owner, space, folder / "whole", output=log).wait(1200)
    assert code == 0, log.read_text()
    lines.write_text("")
    for number in range(owners):
        owner = Forked(search_as_owner, space, folder / "s", kills, number, output=log)
        wanted = (number + 1) * kills
        while len(lines.read_text()) // 2 < wanted and owner.poll() is None:
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 1))
        assert owner.poll() is None, f"too few trials for owner {number + 1}: {log.read_text()}"
        owner.kill()
        owner.wait(60)
    code = Forked(search_as_owner, space, folder / "s", output=log).wait(1200)
    assert code == 0, log.read_text()
    assert_equal_searches(folder / "s", folder / "whole")
    found = len(lines.read_text()) // 2
    return f"a search of {trials} trials: {found} kills of workers, {owners} of owners, all equal"


def assert_equal_searches(one: Path, other: Path) -> None:
    """Require the same trials with the same values, best graph and networks that are kept."""
    assert rows(one) == rows(other)
    assert (one / "best.ktg").read_bytes() == (other / "best.ktg").read_bytes()
    kept, others = networks(one), networks(other)
    assert kept.keys() == others.keys()
    for name, states in kept.items():
        assert states.keys() == others[name].keys(), name
        for key, value in states.items():
            assert torch.equal(value, others[name][key]), (name, key)


def networks(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The state of each network that a search has kept, by its file."""
    files = sorted((folder / "kept").rglob("*.safetensors"))
    return {file.relative_to(folder).as_posix(): load_file(file) for file in files}


def rows(folder: Path) -> list[dict[str, str]]:
    """The trials of a search, without how long they took."""
    with (folder / "trials.csv").open(newline="") as table:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(table)]


def main() -> int:
    """Read the options, and kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=[*RUNS, "search"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--owners", type=int, default=10)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for case in options.cases:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if case == "search":
                workers = options.kills // 2
                said = killed_search(options.trials, options.owners, workers, folder, options.seed)
            else:
                said = killed_run(case, options.kills, folder, options.seed)
        print(f"{said}, in {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
