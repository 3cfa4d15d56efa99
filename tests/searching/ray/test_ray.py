"""Workers as actors of a real Ray of several nodes, one of which is killed in the middle."""

import re
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ktgdsl.errors import RunError
from ktgdsl.searching.workers.pool import Pool
from ktgdsl.searching.workers.protocol import Report, state_path
from ktgdsl.searching.workers.worker_handle import WorkerHandle
from tests.documented import documented
from tests.searching.workers.test_pool import NETWORKS, Played, alive, plan_of, play, settle, task

ray = pytest.importorskip("ray", reason="Ray is not installed")

from ray.cluster_utils import Cluster  # noqa: E402

from ktgdsl.searching.engines import open_engine  # noqa: E402
from ktgdsl.searching.ray import cluster as ray_cluster  # noqa: E402
from ktgdsl.searching.ray.cluster import HeadWatch, slots  # noqa: E402
from ktgdsl.searching.ray.engine import RayEngine  # noqa: E402
from ktgdsl.searching.ray.worker import RayWorker  # noqa: E402

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """Where workers have their own folders; Ray's sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def own_signals() -> Iterator[None]:
    """The handlers of this process, which starting a node replaces."""
    numbers = signal.SIGINT, signal.SIGTERM
    handlers = [signal.getsignal(each) for each in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def cluster(own_signals: None, temporary: Path) -> Iterator[Any]:
    """Two nodes with a CPU each; one of them is the head."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("TMPDIR", str(temporary))
        started = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        try:
            started.add_node(wait=False, **NODE)
            patch.setenv("RAY_ADDRESS", started.address)
            yield started
        finally:
            started.shutdown()


@pytest.fixture(scope="module")
def engine(cluster: Any) -> Iterator[RayEngine]:
    on_term = signal.getsignal(signal.SIGTERM)
    with open_engine("ray") as opened:
        assert signal.getsignal(signal.SIGTERM) is on_term
        until = time.monotonic() + 60
        while sum(each.get("CPU", 0) for each in ray_cluster.nodes()) < 2:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert isinstance(opened, RayEngine)
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray")
    (folder / "ktgdsl_test_pool_nets.py").write_text(NETWORKS)
    return folder


def kill_node_of(cluster: Any, worker: WorkerHandle) -> bool:
    """Kill the node that a worker is on, with the actor; not the head, which has the cluster."""
    assert isinstance(worker, RayWorker)
    actor = ray._private.state.actors(worker._actor._actor_id.hex())
    (node,) = [n for n in cluster.list_all_nodes() if n.node_id == actor["Address"]["NodeID"]]
    if node is cluster.head_node:
        return False
    cluster.remove_node(node, allow_graceful=False)
    until = time.monotonic() + 60
    while alive(actor["Pid"]):
        assert time.monotonic() < until
        time.sleep(0.02)
    return True


@dataclass
class Disturbed:
    """What a pool has told that lost a node, the trial there, and whether its state was here."""

    played: Played
    lost: int | None = None
    had_state: bool = False


@pytest.fixture(scope="module")
def disturbed(cluster: Any, engine: RayEngine, folder: Path) -> Disturbed:
    """Two trials with one seed, on a node each; one node is killed after three epochs.

    Only one is left for both.
    """
    noted = Disturbed(Played({}))

    def keep(report: Report) -> bool:
        if report.epoch == 3 and noted.lost is None:
            (worker,) = [w for w in pool._workers if w.trial and w.trial.pending is report]
            had_state = state_path(folder / "r", report.trial).exists()
            if kill_node_of(cluster, worker):
                noted.lost, noted.had_state = report.trial, had_state
        return True

    tasks = [task(trial, plan_of(folder)) for trial in range(2)]
    with Pool(2, ["cpu"], folder / "r", engine=engine) as pool:
        settle(pool)
        noted.played = play(pool, *tasks, keep=keep)
    return noted


def test_a_trial_outlives_its_node_to_the_same_bits(disturbed: Disturbed) -> None:
    played, trial = disturbed.played, disturbed.lost
    assert trial is not None
    assert disturbed.had_state
    assert not played.lost(1 - trial)
    (lost,) = played.lost(trial)
    assert lost.reason == f"the node of its worker was lost (on node {socket.gethostname()})"
    assert played.epochs(1) == played.epochs(0) == [1, 2, 3, 4, 5, 6]
    assert played.values(1) == played.values(0)


def test_nothing_is_left_of_the_workers(
    disturbed: Disturbed, folder: Path, temporary: Path
) -> None:
    left = {path.name for path in (folder / "r").iterdir()}
    assert left <= {"worker-0.log", "worker-1.log"}
    own = [path for path in temporary.iterdir() if path.name.startswith("ktgdsl-worker-")]
    assert len(own) == 1  # on the node that was killed


def test_the_room_of_the_cluster(disturbed: Disturbed, engine: RayEngine) -> None:
    """After a node was lost one CPU is left."""
    assert engine.environment_fields == {"engine": "ray"}
    assert engine.devices(None) == engine.devices("cpu") == ["cpu"]
    assert engine.workers(["cpu"]) == 1
    (note,) = engine.notes(2, ["cpu"], 1)
    assert re.fullmatch(
        r"the Ray cluster has room for [01] of 2 workers now, which take 1 CPU each; "
        "the others begin when there is more",
        note,
    )
    (note,) = RayEngine(0.5).notes(1, ["cuda"], 1)
    assert note == (
        "no node of the Ray cluster has 1 CPU and 0.5 GPU, which each worker takes; "
        "the search waits 300 s for one"
    )
    for device in ("cuda:1", "mps"):
        with pytest.raises(RunError, match="there is no device"):
            engine.devices(device)


def test_workers_that_no_node_has_room_for(
    disturbed: Disturbed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "NODE_TIMEOUT", 0.5)
    with Pool(1, ["cpu"], folder / "r", threads=64, engine=RayEngine()) as pool:
        pool.submit(task(0, plan_of(folder)))
        with pytest.raises(RunError) as raised:
            pool.wait(60)
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "E504"
    assert diagnostic.message == "no node of the Ray cluster has 64 CPUs, which each worker takes"


@pytest.mark.usefixtures("disturbed")
def test_a_node_without_the_users_files(folder: Path, engine: RayEngine) -> None:
    here, missing = folder / "ktgdsl_test_pool_nets.py", folder / "missing.py"
    code = {str(here): "0" * 64, str(missing): "0" * 64}
    with Pool(1, ["cpu"], folder / "r", engine=engine, code=code) as pool:
        pool.submit(task(0, plan_of(folder)))
        with pytest.raises(RunError) as raised:
            pool.wait(60)
    node = socket.gethostname()
    assert [each.message for each in raised.value.diagnostics] == [
        f"the Ray node {node} has another {here}, which the space imports",
        f"the Ray node {node} has no {missing}, which the space imports",
    ]


def test_what_the_environment_says_of_it_is_documented() -> None:
    noted = RayEngine(0.25).environment_fields
    assert noted == {"engine": "ray", "gpus_per_worker": 0.25}
    assert noted.keys() <= documented("`environment.json`")


def test_shares_of_nodes() -> None:
    nodes = [{"CPU": 4.0, "GPU": 1.0}, {"CPU": 2.0, "GPU": 2.0}, {"CPU": 8.0}]
    assert slots(nodes, {"CPU": 1.0}) == 14
    assert slots(nodes, {"CPU": 3.0}) == 1 + 0 + 2
    assert slots(nodes, {"CPU": 1.0, "GPU": 1.0}) == 1 + 2 + 0
    assert slots(nodes, {"CPU": 1.0, "GPU": 0.5}) == 2 + 2 + 0
    assert slots([{"CPU": 99.0, "GPU": 1.0}], {"CPU": 1.0, "GPU": 0.1}) == 10
    assert slots(nodes, {"CPU": 1.0, "GPU": 4.0}) == 0


def test_a_head_that_is_gone_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "HEAD_INTERVAL", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        watch = HeadWatch(address)
        watch.require_head()
    watch.require_head()  # it may come back
    monkeypatch.setattr(ray_cluster, "HEAD_TIMEOUT", 0.0)
    with pytest.raises(RunError, match="the head of the Ray cluster") as raised:
        watch.require_head()
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "E504"
    assert diagnostic.message == (
        f"the head of the Ray cluster at {address} is gone: Connection refused"
    )
    assert isinstance(raised.value.__cause__, ConnectionError)  # by which the search says more
