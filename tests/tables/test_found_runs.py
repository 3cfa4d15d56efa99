"""What was run below a folder: finished, stopped, running, damaged and foreign folders."""

from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.errors import RunError
from ktgdsl.searching.result import Finalist, SearchResult
from ktgdsl.tables.found_runs import found_runs
from ktgdsl.training.result import Score
from ktgdsl.training.run_folder import RunFolder
from tests.written_runs import SPEC, write_run


def write_search(path: Path, *, confirmed: Score | None, finished: bool = True) -> None:
    write_run(path, None)
    text = SPEC.replace("b -> a", "b -> a : kl(T=1 | 2)")
    (path / "plan.json").write_text(ktgdsl.loads(text + "search { trials = 4 }").to_json())
    (path / "space.ktg").write_text(text)
    best = Finalist(
        trial=1, value=90.0, epochs=2, seed=0, digest="", canonical_digest="",
        spec="best.ktg", confirmed=confirmed,
    )  # fmt: skip
    result = SearchResult(
        folder=path, target="a", finalists=(best,), complete=True, trials=3, states={},
        baselines={}, validation_samples=10, epochs=2, epochs_trained=5, seconds=1.0,
        exhausted=True,
    )  # fmt: skip
    if finished:
        (path / "result.json").write_text(result.to_json())


def test_finished_runs_the_last_first_at_any_depth(tmp_path: Path) -> None:
    scores = {"a": [70.0, 72.0], "b": [60.0, 61.0]}
    write_run(tmp_path / "old", scores, started="2026-01-01T10:00:00+00:00")
    write_run(tmp_path / "tables" / "new", scores, started="2026-02-01T10:00:00+00:00")
    new, old = found_runs(tmp_path)
    assert (new.folder, old.folder) == (tmp_path / "tables" / "new", tmp_path / "old")
    assert (old.state, old.kind, old.target, old.split) == ("done", "run", "a", "test")
    assert old.score == Score.of([70.0, 72.0])
    assert found_runs(tmp_path / "old") == [old]


def test_a_run_has_its_target_whatever_its_search_block_says(tmp_path: Path) -> None:
    spec = (
        SPEC.replace("target a", "target a, b") + " search { trials = 2  objective = accuracy(b) }"
    )
    write_run(tmp_path / "r", {"a": [70.0], "b": [60.0]}, spec=spec)
    (run,) = found_runs(tmp_path)
    assert (run.kind, run.target, run.score) == ("run", "a", Score.of([70.0]))


def test_a_search_has_its_best_graph(tmp_path: Path) -> None:
    write_search(tmp_path / "s", confirmed=None)
    write_search(tmp_path / "t", confirmed=Score.of([88.0, 90.0]))
    write_search(tmp_path / "u", confirmed=None, finished=False)
    found = {run.folder.name: run for run in found_runs(tmp_path)}
    assert {run.kind for run in found.values()} == {"search"}
    s, t, u = (found[name] for name in "stu")
    assert (s.score, s.split, s.trials, s.target) == (Score.of([90.0]), "validation", 3, "a")
    assert t.score == Score.of([88.0, 90.0])
    assert (u.state, u.score) == ("stopped", None)


def test_a_result_of_a_search_that_is_none_is_one_line(tmp_path: Path) -> None:
    write_search(tmp_path / "s", confirmed=None)
    (tmp_path / "s" / "result.json").write_text("{}")
    (run,) = found_runs(tmp_path)
    expected = f"{tmp_path}/s/result.json cannot be read as the result of a search"
    assert (run.state, run.problem) == ("unreadable", expected)


def test_a_run_at_work_is_known_by_its_lock(tmp_path: Path) -> None:
    write_run(tmp_path / "r", None)
    with RunFolder(tmp_path / "r").locked():
        assert found_runs(tmp_path)[0].state == "running"
    assert found_runs(tmp_path)[0].state == "stopped"


@pytest.mark.parametrize("file", ["plan.json", "environment.json", "result.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b"[" * 100_000])
def test_damaged_files_are_named(tmp_path: Path, file: str, content: bytes) -> None:
    write_run(tmp_path / "fine", {"a": [70.0], "b": [60.0]})
    write_run(tmp_path / "damaged", {"a": [70.0], "b": [60.0]})
    (tmp_path / "damaged" / file).write_bytes(content)
    found = {run.folder.name: run for run in found_runs(tmp_path)}
    assert found["fine"].state == "done"
    if (file, content) != ("environment.json", b"{}"):  # which says nothing, as older versions did
        assert found["damaged"].state == "unreadable"
        assert str(tmp_path / "damaged") in (found["damaged"].problem or "")


def test_foreign_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "other" / "inner").mkdir(parents=True)
    (tmp_path / "other" / "result.json").write_text('{"score": 1}')
    (tmp_path / "folder" / "plan.json").mkdir(parents=True)
    (run,) = found_runs(tmp_path)
    assert (run.state, run.plan) == ("unreadable", None)
    assert "is not the folder of a run: it has no plan.json" in (run.problem or "")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no folder"):
        found_runs(tmp_path / "nowhere")
    assert found_runs(tmp_path) == []
