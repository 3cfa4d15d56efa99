"""Faults at random places and moments; here a few of them, and behind the marker more."""

import os
import shutil
from pathlib import Path

import pytest

from tests.faults import ray_kills
from tests.faults.damage import readers
from tests.faults.damaged import outcomes
from tests.faults.full_disk import filled_search
from tests.faults.joined_kills import killed_join
from tests.faults.kills import RUNS, killed_run, killed_search
from tests.faults.soak import soak

HANDLED = ("refused", "noted", "made anew", "not read")
QUICK = {
    "run, finished: result.json",
    "eval of a run: nodes/a.safetensors",
    "weights of a spec",
    "cache: weights of a teacher",
    "cache: ways of computing a step",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("places", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_damage_is_never_used_silently(tmp_path: Path, places: int) -> None:
    seen = set()
    for reader in readers(tmp_path, searches=places > 2):
        if places > 2 or reader.name in QUICK:
            seen.add(reader.name)
            found = outcomes(reader, places, 0, tmp_path)
            assert all(what.startswith(HANDLED) for what in found), (reader.name, found)
    assert seen >= QUICK


@pytest.mark.slow
@pytest.mark.parametrize("case", RUNS)
def test_a_run_that_is_killed_again_and_again_ends_equal(tmp_path: Path, case: str) -> None:
    assert "10 kills" in killed_run(case, 10, tmp_path)


@pytest.mark.slow
def test_a_search_whose_owner_and_workers_are_killed_ends_equal(tmp_path: Path) -> None:
    assert "12 kills of workers" in killed_search(40, 3, 4, tmp_path)


@pytest.mark.slow
def test_a_shared_search_whose_processes_and_workers_are_killed_ends_equal(tmp_path: Path) -> None:
    assert "8 kills of workers and 4 of processes" in killed_join(20, 4, 2, tmp_path)


@pytest.mark.slow
def test_a_search_whose_ray_is_killed_piece_by_piece_ends_equal() -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with ray_kills.short_folder() as folder:
        assert "4 kills of workers" in ray_kills.killed_search(20, 4, 1, 1, 1, folder)


@pytest.mark.slow
@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None,
    reason="a small disk takes root to mount",
)
def test_a_search_whose_disk_gets_full_ends_equal(tmp_path: Path) -> None:
    assert "disk full 4 times" in filled_search(60, 4, tmp_path)


@pytest.mark.slow
def test_nothing_grows_with_the_number_of_trials(tmp_path: Path) -> None:
    """But for what the owner knows of each trial."""
    first, *_, last = soak(200, 1, 50, tmp_path)
    assert [each.pid for each in last.workers] == [each.pid for each in first.workers]
    for one, other in ((first.owner, last.owner), *zip(first.workers, last.workers, strict=True)):
        assert other.threads == one.threads
        assert other.files <= one.files + 1
    assert last.workers[0].megabytes < first.workers[0].megabytes + 5
    assert last.owner.megabytes < first.owner.megabytes + 10
