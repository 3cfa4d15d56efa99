"""Files of a trial go to another worker's folder and back, whole."""

from pathlib import Path

import pytest

from ktgdsl.searching.ray.file_transfer import WorkerFolder, files_of_trial, write_files


@pytest.fixture
def places(tmp_path: Path) -> tuple[WorkerFolder, Path]:
    worker, pool = tmp_path / "worker", tmp_path / "pool"
    worker.mkdir()
    pool.mkdir()
    return WorkerFolder(worker), pool


def test_only_what_has_changed_is_carried(places: tuple[WorkerFolder, Path]) -> None:
    worker, pool = places
    worker.reset({})
    assert worker.take_changed() == {}
    (worker.path / "trial-3.pt").write_bytes(b"first")
    assert worker.take_changed() == {"trial-3.pt": b"first"}
    assert worker.take_changed() == {}
    (worker.path / "trial-3.pt").write_bytes(b"second, and longer")
    write_files(pool, worker.take_changed())
    assert files_of_trial(pool, 3) == {"trial-3.pt": b"second, and longer"}
    assert files_of_trial(pool, 4) == {}


def test_what_came_with_a_task_is_not_sent_back(places: tuple[WorkerFolder, Path]) -> None:
    worker, _ = places
    worker.reset({"trial-3.pt": b"state"})
    assert (worker.path / "trial-3.pt").read_bytes() == b"state"
    assert worker.take_changed() == {}


def test_nothing_is_left_of_the_trial_before(places: tuple[WorkerFolder, Path]) -> None:
    worker, _ = places
    (worker.path / "worker-0.log").write_text("stays")
    (worker.path / "trial-1.networks.unfinished").mkdir()
    (worker.path / ".trial-1.pt.0123.tmp").write_bytes(b"half")
    worker.reset({"trial-1.pt": b"1"})
    worker.reset({"trial-2.pt": b"2"})
    assert {path.name for path in worker.path.iterdir()} == {"worker-0.log", "trial-2.pt"}


def test_networks_come_whole(places: tuple[WorkerFolder, Path]) -> None:
    worker, pool = places
    unfinished = worker.path / "trial-3.networks.unfinished"
    (unfinished / "nodes").mkdir(parents=True)
    (unfinished / "nodes/a.safetensors").write_bytes(b"weights")
    assert worker.take_changed() == {}  # it may be half of it
    unfinished.rename(worker.path / "trial-3.networks")
    (pool / "trial-3.networks").mkdir()
    (pool / "trial-3.networks/of-another-attempt").touch()
    write_files(pool, worker.take_changed())
    (written,) = [path for path in pool.rglob("*") if path.is_file()]
    assert written.relative_to(pool).as_posix() == "trial-3.networks/nodes/a.safetensors"
    assert written.read_bytes() == b"weights"
