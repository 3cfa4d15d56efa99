"""The workers of a search as real processes: given trials, killed, hanging, and left alone."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from ktgdsl.diagnostics.diagnostic import Diagnostic, Subject
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, Plan
from ktgdsl.searching.workers import pool as pool_module
from ktgdsl.searching.workers import worker_process as process
from ktgdsl.searching.workers.pool import Pool
from ktgdsl.searching.workers.protocol import (
    Busy,
    Diverged,
    Failed,
    Lost,
    Message,
    Report,
    Task,
    state_path,
)
from ktgdsl.searching.workers.worker_process import WorkerProcess
from tests.forked import forked_workers
from tests.paths import ROOT
from tests.plans import sgd, tiny_plan
from tests.searching.workers.test_worker import tensors

PATIENCE = 6.0
"""Of the pool under test: a busy machine keeps a worker from a sign of life for seconds."""

NETWORKS = '''
import os
import signal
import time
from pathlib import Path

import torch
from torch import nn


class Net(nn.Module):
    """Linear; in `times` attempts something happens in the tenth step, of four an epoch."""

    def __init__(self, what, times, folder):
        super().__init__()
        self.what, self.times, self.folder, self.steps = what, times, folder, 0
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def forward(self, image):
        if self.training and torch.is_grad_enabled():
            self.steps += 1
            if self.what and self.steps == 10 and self.happens():
                getattr(self, self.what)()
        return self.net(image)

    def happens(self):
        before = Path(self.folder, self.what)
        count = int(before.read_text()) if before.exists() else 0
        before.write_text(str(count + 1))
        return count < self.times

    def kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self):
        time.sleep(1000)

    def memory(self):
        raise torch.OutOfMemoryError("CUDA out of memory")
'''


@dataclass
class Played:
    """What a pool has told, by trial."""

    told: dict[int, list[Message]]
    states: dict[int, Any] = field(default_factory=dict)

    def values(self, trial: int) -> Mapping[int, float]:
        return {each.epoch: each.value for each in self.told[trial] if isinstance(each, Report)}

    def epochs(self, trial: int) -> list[int]:
        return [each.epoch for each in self.told[trial] if isinstance(each, Report)]

    def lost(self, trial: int) -> list[Lost]:
        return [each for each in self.told[trial] if isinstance(each, Lost)]

    def doing(self, trial: int) -> set[str]:
        return {each.doing for each in self.told[trial] if isinstance(each, Busy)}


def play(
    pool: Pool, *tasks: Task, keep: Callable[[Report], bool] = lambda _: True, slots: int = 2
) -> Played:
    """Submits tasks as there are workers for them, and answers until all trials are over."""
    played = Played({each.trial: [] for each in tasks})
    left = list(tasks)
    until = time.monotonic() + 300
    while left or pool.free < slots:
        assert time.monotonic() < until, played.told
        while left and pool.free:
            pool.submit(left.pop(0))
        for message in pool.wait(1.0):
            played.told[message.trial].append(message)
            if isinstance(message, Report):
                if message.epoch == 5:
                    path = state_path(pool._folder, message.trial)
                    played.states[message.trial] = torch.load(path, weights_only=True)
                pool.decide(message.trial, keep(message))
    return played


def plan_of(folder: Path, what: str = "", times: int = 0, **more: Any) -> Plan:
    """A linear network, six epochs of four steps; something may happen to it in one of them."""
    arguments = {"what": what, "times": times, "folder": str(folder)}
    call = Call(name="python", arguments={"function": "ktgdsl_test_pool_nets:Net", **arguments})
    plan = tiny_plan(
        "a",
        settings={"a": {"network": call}},
        data={"batch": 256, "holdout": True},
        **{"epochs": 6, **more},
    )
    return plan.model_copy(update={"folder": str(folder)})


def task(trial: int, plan: Plan, seed: int = 3) -> Task:
    return Task(trial, plan.to_json(), seed, study_seed=7, objective=plan.graph.targets[0])


def pids(pool: Pool) -> list[int]:
    return [each.process.pid for each in pool._workers if isinstance(each, WorkerProcess)]


def settle(pool: Pool) -> None:
    """Waits for workers that are still starting."""
    until = time.monotonic() + 120
    while not all(worker.idle for worker in pool._workers):
        assert time.monotonic() < until
        assert pool.wait(0.0) == []
        time.sleep(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    (folder / "ktgdsl_test_pool_nets.py").write_text(NETWORKS)
    return folder


@pytest.fixture(scope="module")
def pool(folder: Path) -> Iterator[Pool]:
    with pytest.MonkeyPatch.context() as patch, forked_workers():
        patch.setenv("KTGDSL_CACHE", str(folder / "cache"))
        with Pool(2, ["cpu"], folder / "r", patience=PATIENCE) as made:
            yield made


@pytest.fixture(scope="module")
def party(pool: Pool, folder: Path) -> Played:
    """All that can happen to trials of the same seed, and one that nothing happens to."""
    plans = [plan_of(folder, what, 1) for what in ("kill", "hang", "memory")]
    tasks = [task(trial, plan) for trial, plan in enumerate([plan_of(folder), *plans])]
    return play(pool, *tasks)


# One trial after another


def test_an_undisturbed_trial_reports_every_epoch(party: Played) -> None:
    assert party.epochs(0) == [1, 2, 3, 4, 5, 6]
    assert not party.lost(0)
    assert [each.last for each in party.told[0] if isinstance(each, Report)] == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("trial", "reason"),
    [
        (
            1,
            r"its worker was killed by SIGKILL \(is there enough memory\?\); it said nothing",
        ),
        (2, "its worker gave no sign of life for 6 s"),
        (3, "OutOfMemoryError: CUDA out of memory"),
    ],
)
def test_a_trial_goes_on_elsewhere_to_the_same_bits(party: Played, trial: int, reason: str) -> None:
    (lost,) = party.lost(trial)
    assert lost.attempt == 1
    assert re.fullmatch(reason, lost.reason)
    # Two epochs are told before, and none twice.
    assert party.told[trial].index(lost) == 2 + sum(
        isinstance(each, Busy) for each in party.told[trial][: party.told[trial].index(lost)]
    )
    assert party.values(trial) == party.values(0)
    pairs = list(zip(tensors(party.states[trial]), tensors(party.states[0]), strict=True))
    assert len(pairs) == 4  # weight, bias, and the momentum of both
    assert all(torch.equal(*pair) for pair in pairs)


def test_nothing_is_kept_of_trials_that_are_over(party: Played, folder: Path) -> None:
    assert {path.name for path in (folder / "r").iterdir()} == {"worker-0.log", "worker-1.log"}


def test_trials_end_when_they_are_not_kept(pool: Pool, folder: Path) -> None:
    tasks = [task(trial, plan_of(folder), seed=trial) for trial in range(20, 24)]
    settle(pool)
    before = pids(pool)
    played = play(pool, *tasks, keep=lambda each: each.epoch < each.trial - 19)
    assert [played.epochs(each.trial) for each in tasks] == [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4]]
    assert pids(pool) == before
    assert not list((folder / "r").glob("trial*"))


def test_a_trial_that_diverges_is_over_at_once(pool: Pool, folder: Path) -> None:
    steps = Call(name="step", arguments={"every": 1, "gamma": 1e40, "warmup": 0})
    plan = plan_of(folder, optimizer=sgd(lr=1e-3), schedule=steps)
    played = play(pool, task(30, plan))
    told = [each for each in played.told[30] if not isinstance(each, Busy)]
    assert [type(each) for each in told] == [Report, Diverged]
    assert not list((folder / "r").glob("trial*"))


def test_ctrl_c_is_not_for_workers(pool: Pool, folder: Path) -> None:
    settle(pool)
    before = pids(pool)
    for pid in before:
        os.kill(pid, signal.SIGINT)
    played = play(pool, task(40, plan_of(folder)), task(41, plan_of(folder)))
    assert played.values(40) == played.values(41)
    assert len(played.values(40)) == 6
    assert pids(pool) == before


def test_two_workers_do_not_pre_train_the_same_network(pool: Pool, folder: Path) -> None:
    plan = tiny_plan(
        "st",
        [("label", "s"), ("t", "s")],
        settings={"t": {"frozen": "no edge enters it"}},
        data={"batch": 256, "holdout": True},
        epochs=2,
    )
    settle(pool)
    played = play(pool, task(50, plan, seed=1), task(51, plan, seed=2))
    trained = [trial for trial in (50, 51) if "pre-training t" in played.doing(trial)]
    assert len(trained) == 1
    assert played.epochs(50) == played.epochs(51) == [1, 2]
    assert len(list((folder / "cache/pretrained").glob("*.safetensors"))) == 1


# The coordinator

OWNER = """
import sys
from pathlib import Path
from ktgdsl.searching.workers.protocol import Task
from ktgdsl.searching.workers.pool import Pool

with Pool(1, ["cpu"], Path(sys.argv[2])) as pool:
    pool.submit(Task(0, Path(sys.argv[1]).read_text(), 3, 7, "a"))
    print(pool._workers[0].process.pid, flush=True)
    while True:
        for message in pool.wait():
            if hasattr(message, "reasons"):
                sys.exit(str(message))
            if hasattr(message, "epoch"):
                pool.decide(0, True)
                print(message.epoch, flush=True)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_coordinator(tmp_path: Path, by: signal.Signals) -> None:
    """Even one that hangs in a step of the third epoch."""
    (tmp_path / "ktgdsl_test_pool_nets.py").write_text(NETWORKS)
    (tmp_path / "plan.json").write_text(plan_of(tmp_path, "hang", 1).to_json())
    coordinator = subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path / "plan.json", tmp_path / "r"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    with coordinator:
        try:
            assert coordinator.stdout is not None
            worker = int(coordinator.stdout.readline())
            assert [coordinator.stdout.readline() for _ in range(2)] == ["1\n", "2\n"]
            assert alive(worker)
            os.killpg(coordinator.pid, by)  # the whole group, as a terminal does
            _, errors = coordinator.communicate()
        except BaseException:
            coordinator.kill()  # else leaving the block would wait for it
            raise
    until = time.monotonic() + 30
    while alive(worker):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert (tmp_path / "r/worker-0.log").read_text() == ""
    assert ("KeyboardInterrupt" in errors) == (by == signal.SIGINT)


def test_the_coordinator_does_not_need_torch() -> None:
    code = "import sys, ktgdsl.searching.workers.pool; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Workers that are not what they should be


def fake(monkeypatch: pytest.MonkeyPatch, code: str, first: str = "") -> None:
    """Workers that run this instead, with the pipe as `pipe`; `first` comes before imports."""
    program = (
        "import json, os, sys, time\n"
        f"{first}\n"
        "sys.path[:] = json.loads(sys.argv[2])\n"
        "from multiprocessing.connection import Connection\n"
        "from ktgdsl.searching.workers.protocol import *\n"
        "pipe = Connection(int(sys.argv[1]))\n"
        "setup = pipe.recv()\n"
    )
    monkeypatch.setattr(process, "PROGRAM", program + code)


WORKS = """
while True:
    pipe.send(Ready())
    task = pipe.recv()
    for epoch in range(task.decided_epochs + 1, 3):
        pipe.send(Report(task.trial, epoch, 50.0, 0.1, last=epoch == 2))
        pipe.recv()
"""


def test_a_worker_that_dies_idle_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, WORKS)
    with Pool(2, ["cpu"], tmp_path) as pool:
        settle(pool)
        first, second = pids(pool)
        os.kill(first, signal.SIGKILL)
        until = time.monotonic() + 60
        while pids(pool)[0] == first:
            assert time.monotonic() < until
            assert pool.wait(0.1) == []
        assert pids(pool)[1] == second
        settle(pool)
        played = play(pool, *(task(trial, tiny_plan("a")) for trial in range(2)))
    assert [played.epochs(trial) for trial in range(2)] == [[1, 2], [1, 2]]
    assert not played.lost(0)
    assert not played.lost(1)


DIES = """
pipe.send(Ready())
task = pipe.recv()
pipe.send(Busy(task.trial, "first"))
pipe.send(Busy(task.trial, "second"))
pipe.send(Report(task.trial, task.decided_epochs + 1, 50.0, 0.1, last=False))
print("farewell", flush=True)
os._exit(7)
"""


RAISES = """
pipe.send(Ready())
task = pipe.recv()
pipe.send(Report(task.trial, task.decided_epochs + 1, 50.0, 0.1, last=False))
pipe.recv()
pipe.send(Raised(task.trial, f"after epoch {task.decided_epochs + 1}", "Traceback"))
"""


def test_after_three_attempts_a_trial_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, RAISES)
    with Pool(2, ["cpu"], tmp_path) as pool:
        played = play(pool, task(0, tiny_plan("a")))
    assert played.epochs(0) == [1, 2, 3]
    reasons = tuple(f"after epoch {epoch}" for epoch in (1, 2, 3))
    assert played.lost(0) == [Lost(0, i, each, "Traceback") for i, each in enumerate(reasons, 1)]
    assert played.told[0][-1] == Failed(0, reasons)


UNFIT = """
from ktgdsl.diagnostics.diagnostic import Diagnostic, Subject
pipe.send(Ready())
task = pipe.recv()
problem = Diagnostic("E505", "it does not fit", subject=Subject("a"))
pipe.send(Raised(task.trial, "it does not fit", "Traceback", (problem,)))
"""


def test_a_trial_whose_network_does_not_fit_has_failed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, UNFIT)
    with Pool(1, ["cpu"], tmp_path) as pool:
        played = play(pool, task(0, tiny_plan("a")), slots=1)
    problem = Diagnostic("E505", "it does not fit", subject=Subject("a"))
    assert played.told[0] == [Failed(0, ("it does not fit",), (problem,))]


def until_lost(pool: Pool) -> list[Message]:
    told: list[Message] = []
    while not any(isinstance(each, Lost) for each in told):
        told += pool.wait(60)
    return told


def test_what_a_worker_has_said_is_told_before_its_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, DIES)
    with Pool(1, ["cpu"], tmp_path) as pool:
        pool.submit(Task(0, "", 0, 0, "a"))
        *before, lost = until_lost(pool)
    report = Report(0, 1, 50.0, 0.1, last=False)
    assert before == [Busy(0, "first"), Busy(0, "second"), report]
    assert isinstance(lost, Lost)
    assert lost.reason.startswith("its worker ended with exit code 7; its output is in ")


def test_a_decision_may_come_after_the_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, DIES)
    with Pool(1, ["cpu"], tmp_path, attempts=2) as pool:
        # Not kept: the trial is over, as regularly as any.
        pool.submit(Task(0, "", 0, 0, "a"))
        until_lost(pool)
        assert pool.free == 0
        pool.decide(0, keep=False)
        assert pool.free == 1
        # Kept: the next attempt begins after that epoch. After the last, it has failed.
        pool.submit(Task(1, "", 0, 0, "a"))
        until_lost(pool)
        pool.decide(1, keep=True)
        told = until_lost(pool)
        assert [each.epoch for each in told if isinstance(each, Report)] == [2]
        pool.decide(1, keep=True)
        (failed,) = pool.wait(0.0)
        assert isinstance(failed, Failed)
        assert (failed.trial, len(failed.reasons)) == (1, 2)
        assert pool.free == 1
        assert pool.wait() == []


SLOW = """
pipe.send(Ready())
task = pipe.recv()
time.sleep(3)
for epoch in (1, 2):
    pipe.send(Report(task.trial, epoch, 50.0, 0.1, last=False))
    pipe.recv()
time.sleep(1000)
"""


def test_the_first_epoch_may_take_longer_and_later_ones_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph that is compiled is silent for minutes; one that hangs later is not waited for."""
    fake(monkeypatch, SLOW)
    with Pool(1, ["cpu"], tmp_path, patience=1.0, attempts=1) as pool:
        played = play(pool, task(0, tiny_plan("a")), slots=1)
    assert played.epochs(0) == [1, 2]
    (lost,) = played.lost(0)
    assert lost.reason == "its worker gave no sign of life for 1 s"


def test_nor_is_the_first_epoch_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, "pipe.send(Ready())\npipe.recv()\ntime.sleep(1000)")
    monkeypatch.setattr(pool_module, "FIRST", 2.0)
    with Pool(1, ["cpu"], tmp_path, patience=1.0, attempts=1) as pool:
        played = play(pool, task(0, tiny_plan("a")), slots=1)
    (lost,) = played.lost(0)
    assert lost.reason == "its worker gave no sign of life for 2 s"


def test_a_pool_whose_workers_do_not_start_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, "", first="print('no luck')\nsys.exit(3)")
    with Pool(1, ["cpu"], tmp_path) as pool:
        pool.submit(Task(0, "", 0, 0, "a"))
        with pytest.raises(RunError, match="3 in a row ended at once"):
            pool.wait()
    assert (tmp_path / "worker-0.log").read_text() == "no luck\n" * 3


def test_a_device_that_does_not_exist(tmp_path: Path) -> None:
    with Pool(1, ["cuda:99"], tmp_path) as pool:
        pool.submit(Task(0, "", 0, 0, "a"))
        with pytest.raises(RunError, match="there is no device `cuda:99` here"):
            pool.wait()


SAYS_SETUP = """
pipe.send(Ready())
task = pipe.recv()
wait = os.environ["OMP_WAIT_POLICY"]
pipe.send(Busy(task.trial, f"{setup.device} {setup.threads} {setup.deterministic} {wait}"))
pipe.recv()
"""


def test_workers_share_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, SAYS_SETUP)
    with Pool(3, ["cuda:0", "cuda:1"], tmp_path, threads=2, deterministic=True) as pool:
        for trial in range(3):
            pool.submit(Task(trial, "", 0, 0, "a"))
        told: list[Message] = []
        while len(told) < 3:
            told += pool.wait(60)
        with pytest.raises(ValueError, match="trial 2 is under way"):
            pool.submit(Task(2, "", 0, 0, "a"))
    said = sorted(each.doing for each in told if isinstance(each, Busy))
    assert said == [f"cuda:{number} 2 True PASSIVE" for number in (0, 0, 1)]


def test_workers_that_are_killed_while_starting_do_not_end_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a machine that runs out of memory does it; but not without end."""
    count = tmp_path / "count"
    fake(
        monkeypatch,
        """
pipe.send(Ready())
task = pipe.recv()
pipe.send(Report(task.trial, 1, 50.0, 0.1, last=True))
pipe.recv()
""",
        first=f"""
with open({str(count)!r}, "a") as file: file.write("x")
if len(open({str(count)!r}).read()) <= 5: os.kill(os.getpid(), 9)
""",
    )
    with Pool(1, ["cpu"], tmp_path) as pool:
        played = play(pool, task(0, tiny_plan("a")), slots=1)
    assert played.epochs(0) == [1]
    fake(monkeypatch, "", first="os.kill(os.getpid(), 9)")
    with Pool(1, ["cpu"], tmp_path) as pool:
        pool.submit(Task(0, "", 0, 0, "a"))
        with pytest.raises(RunError, match="10 in a row ended at once"):
            pool.wait()


def test_a_first_report_is_due_after_two_minutes_unless_a_graph_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (pool_module.FIRST, pool_module.COMPILING) == (120.0, 600.0)
    fake(monkeypatch, "pipe.send(Ready())\npipe.recv()\ntime.sleep(1000)")
    monkeypatch.setattr(pool_module, "FIRST", 1.0)
    monkeypatch.setattr(pool_module, "COMPILING", 2.0)
    for compiles, seconds in ((False, 1), (True, 2)):
        with Pool(1, ["cpu"], tmp_path, patience=0.5, attempts=1) as pool:
            pool.submit(Task(0, "", 0, 0, "a", compiles=compiles))
            (lost, _) = [each for each in pool.wait() if not isinstance(each, Busy)]
        assert isinstance(lost, Lost)
        assert lost.reason == f"its worker gave no sign of life for {seconds} s"
