"""The search as its users meet it: real workers, killed owners, and what lies in the folder."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.errors import RunError
from ktgdsl.plan.space import at
from ktgdsl.searching.points import point
from ktgdsl.searching.search import resume
from tests.specs import sound

SPACE = """
graph tiny {
    node a, b = resnet8
    target a
    edge label -> * via through | linear | cutoff
    edge b -> a : kl(T=1 | 4) via correct | linear
}
data digits { batch = 400 }
train { epochs = 4 }
search { trials = 6 }
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ktgdsl", "search", *arguments, "--quiet"]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(newline="") as table:
        return list(csv.DictReader(table))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nobody interrupts."""
    root = tmp_path_factory.mktemp("whole")
    (root / "space.ktg").write_text(SPACE)
    out = root / "found"
    subprocess.run(command(str(root / "space.ktg"), "--out", str(out)), check=True, timeout=300)
    return out


def test_the_folder_has_what_is_promised(whole: Path) -> None:
    names = {path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file()}
    assert names >= {
        "space.ktg", "plan.json", "environment.json", "study.journal", "trials.csv", "best.ktg",
        "top/01.ktg", "result.json",
    }  # fmt: skip
    assert not (whole / "workers").exists()
    assert [int(row["trial"]) for row in rows(whole)] == list(range(6))
    assert len({row["graph"] for row in rows(whole)}) == 6
    result = json.loads((whole / "result.json").read_text())
    assert set(result["baselines"]) == {"target alone, on labels", "all gates through"}
    assert result["validation_samples"] == 259
    assert sum(result["states"].values()) == 6


def test_the_best_graph_is_a_spec_that_runs_unchanged(whole: Path) -> None:
    space = ktgdsl.load(whole / "space.ktg")
    best = ktgdsl.load(whole / "best.ktg")
    result = json.loads((whole / "result.json").read_text())
    row = rows(whole)[result["finalists"][0]["trial"]]
    assert space.space is not None
    drawn = {draw.name: row[draw.name] for draw in space.space.draws}
    chosen = at(space, point(space.space.draws, drawn))
    assert chosen is not None
    assert best.digest == chosen.model_copy(update={"search": None}).digest
    assert not best.data.holdout
    assert best.data.learned_samples == 1297  # all of them
    text = (whole / "best.ktg").read_text()
    assert f"trial {row['trial']}, seed {row['seed']}" in text
    assert row["graph"] in text


def test_a_finished_search_is_told_and_left_as_it_is(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    found = resume(whole)
    kept = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    journal, environment = whole / "study.journal", whole / "environment.json"
    for path in before.keys() - {journal, environment}:
        assert kept[path] == before[path]
    assert found.result.trials == len(found.study.trials) == 6
    assert found.best.digest == ktgdsl.load(whole / "best.ktg").digest


def values(folder: Path) -> list[dict[int, float]]:
    from ktgdsl.searching.study import Study, values_of

    return [values_of(trial) for trial in Study(folder / "study.journal", "tiny").trials]


@pytest.mark.parametrize("lines", [9, 17])
def test_killed_and_resumed_it_is_as_if_nobody_had_killed_it(
    whole: Path, tmp_path: Path, lines: int
) -> None:
    """kill -9 of the owner once the journal has so many lines; then on to the same trials."""
    (tmp_path / "space.ktg").write_text(SPACE)
    out = tmp_path / "found"
    owner = subprocess.Popen(
        command(str(tmp_path / "space.ktg"), "--out", str(out)), start_new_session=True
    )
    journal = out / "study.journal"
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if journal.exists() and journal.read_bytes().count(b"\n") >= lines:
            break
        time.sleep(0.01)
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait(timeout=30)
    assert not (out / "result.json").exists()
    with journal.open("ab") as torn:
        torn.write(b'{"op_code": 6, "work')  # as a power cut may leave it
    subprocess.run(command("--resume", str(out)), check=True, timeout=300)
    assert (out / "study.journal.torn-1").exists()
    assert rows(out) == rows(whole)
    assert values(out) == values(whole)
    assert (out / "best.ktg").read_text() == (whole / "best.ktg").read_text()


def test_what_always_diverges_is_a_clear_error(tmp_path: Path) -> None:
    plan = sound(SPACE.replace("epochs = 4", "epochs = 2  optimizer = sgd(lr=1e30)"))
    with pytest.raises(RunError, match="none of 6 trials gave a value") as caught:
        ktgdsl.search(plan, out=tmp_path / "out", workers=1)
    assert caught.value.diagnostics[0].code == "E507"
    assert {row["state"] for row in rows(tmp_path / "out")} == {"failed"}


def test_a_spec_has_nothing_to_search(tmp_path: Path) -> None:
    spec = tmp_path / "spec.ktg"
    spec.write_text("graph g { node a = resnet8 target a edge label -> a }")
    done = subprocess.run(command(str(spec)), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "E506" in done.stderr
    assert "ktgc run" in done.stderr


def test_a_space_cannot_be_run(tmp_path: Path) -> None:
    space = tmp_path / "space.ktg"
    space.write_text(SPACE)
    run = [sys.executable, "-m", "ktgdsl", "run", str(space)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "`edge.label->a.gate` is open" in done.stderr
    assert "ktgc search" in done.stderr


def test_the_folder_of_a_run_is_no_search(tmp_path: Path) -> None:
    (tmp_path / "plan.json").touch()
    done = subprocess.run(
        command("--resume", str(tmp_path)), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "the folder of a run, not of a search" in done.stderr
