"""A whole search: real workers, killed coordinators, full disks, and the files in the folder."""

import csv
import errno
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import optuna
import pytest
import torch

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.diagnostics.diagnostic import Diagnostic, Subject
from ktgdsl.errors import KtgWarning, RunError
from ktgdsl.files import sealed_json, unsealed_json, write_atomic
from ktgdsl.measures.classification import top
from ktgdsl.plan.model import Plan
from ktgdsl.report.search_text import plain_search_listener
from ktgdsl.searching import search_run
from ktgdsl.searching.checks import ALL_THROUGH, TARGET_ALONE
from ktgdsl.searching.coordinator import FIRST_CHECK
from ktgdsl.searching.events import Event, Listener, SearchStarted, TrialEnded
from ktgdsl.searching.result import SearchResult
from ktgdsl.searching.search import resume
from ktgdsl.searching.study.trial_plans import point
from ktgdsl.searching.workers import threads
from ktgdsl.searching.workers.protocol import Diverged, Failed, Message, Task
from ktgdsl.space.space import plan_at
from ktgdsl.training import run_files
from tests.forked import Forked
from tests.searching import test_coordinator
from tests.searching.test_coordinator import Pretence
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
KEEPING = SPACE.replace("trials = 6", "trials = 6  keep = 2")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ktgdsl", "search", *arguments, "--quiet"]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(newline="") as table:
        return list(csv.DictReader(table))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nobody interrupts."""
    root = tmp_path_factory.mktemp("whole")
    (root / "space.ktg").write_text(KEEPING)
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
    pruned = {each["trial"]: each for each in result["pruned"]}
    assert pruned.keys() == {int(r["trial"]) for r in rows(whole) if r["state"] == "pruned"}
    for number, each in pruned.items():
        why = f"place {each['place']} of {each['values']} at epoch {each['epoch']}"
        assert rows(whole)[number]["reason"] == why
        assert float(rows(whole)[number]["value"]) == pytest.approx(each["value"], rel=1e-5)


def test_the_best_graph_is_a_spec_that_runs_unchanged(whole: Path) -> None:
    space = ktgdsl.load(whole / "space.ktg")
    best = ktgdsl.load(whole / "best.ktg")
    result = json.loads((whole / "result.json").read_text())
    row = rows(whole)[result["finalists"][0]["trial"]]
    assert space.space is not None
    drawn = {draw.name: row[draw.name] for draw in space.space.draws}
    chosen = plan_at(space, point(space.space.draws, drawn))
    assert chosen is not None
    assert best.digest == chosen.model_copy(update={"search": None}).digest
    assert not best.data.holdout
    assert best.data.trained_samples == 1297  # all of them
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


def test_lost_specs_of_a_finished_search_are_written_again(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "top")
    for name in ("best.ktg", "trials.csv"):
        (folder / name).unlink()
    with pytest.warns(KtgWarning, match=r"best.ktg, top/01.ktg, .*trials.csv of .* lost"):
        resume(folder)
    for path in (whole / "best.ktg", whole / "trials.csv", *(whole / "top").iterdir()):
        assert (folder / path.relative_to(whole)).read_bytes() == path.read_bytes()
    assert (folder / "result.json").read_bytes() == (whole / "result.json").read_bytes()


def values(folder: Path) -> list[dict[int, float]]:
    from ktgdsl.searching.study.study import Study, values_of

    return [values_of(trial) for trial in Study(folder / "study.journal", "tiny").trials]


def killed_at(folder: Path, lines: int, *arguments: str) -> None:
    """kill -9 of the coordinator once its journal has so many lines."""
    coordinator = Forked(cli.main, ["search", *arguments, "--quiet"])
    journal = folder / "study.journal"
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if journal.exists() and journal.read_bytes().count(b"\n") >= lines:
            break
        time.sleep(0.01)
    coordinator.kill()
    coordinator.wait(timeout=30)
    assert not (folder / "result.json").exists()


@pytest.mark.usefixtures("forked_workers")
def test_killed_and_resumed_it_is_as_if_nobody_had_killed_it(whole: Path, tmp_path: Path) -> None:
    """Twice; the second time the power goes, too."""
    (tmp_path / "space.ktg").write_text(KEEPING)
    out = tmp_path / "found"
    killed_at(out, 9, str(tmp_path / "space.ktg"), "--out", str(out))
    killed_at(out, 17, "--resume", str(out))
    with (out / "study.journal").open("ab") as torn:
        torn.write(b'{"op_code": 6, "work')  # as a power cut may leave it
    assert cli.main(["search", "--resume", str(out), "--quiet"]) == 0
    assert (out / "study.journal.torn-1").exists()
    assert rows(out) == rows(whole)
    assert values(out) == values(whole)
    assert (out / "best.ktg").read_text() == (whole / "best.ktg").read_text()
    weights = [sorted(each.glob("kept/trial-*/nodes/*")) for each in (out, whole)]
    names = [[path.relative_to(path.parents[3]) for path in each] for each in weights]
    assert names[0] == names[1] != []
    for one, other in zip(*weights, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_what_is_kept_of_a_trial_is_a_finished_run(whole: Path) -> None:
    """Its networks are as good as the trial was said to be."""
    result = SearchResult.from_json((whole / "result.json").read_text(), whole)
    assert len(result.kept) == min(2, result.states["complete"])
    run = whole / result.kept[0]
    measured = ktgdsl.evaluate(run, split="validation")  # warns where the data are other ones
    score = measured.nodes["a"].score(lambda counts: top(counts, 1))
    assert score.mean == pytest.approx(result.best.value)
    assert ktgdsl.load(run / "spec.ktg").digest == result.best.digest
    ktgdsl.evaluate(run)


class Pretended(Pretence):
    """The pool of a whole search, without processes."""

    closed = threads = 0
    deterministic = False

    def __init__(
        self,
        workers: int,
        devices: list[str],
        folder: Path,
        *,
        threads: int,
        deterministic: bool,
        **_: Any,
    ) -> None:
        super().__init__(workers)
        Pretended.threads, Pretended.deterministic = threads, deterministic

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        Pretended.closed += 1


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> type[Pretended]:
    """Workers that only pretend, for all searches of a test."""
    monkeypatch.setattr(search_run, "Pool", Pretended)
    monkeypatch.setattr(Pretended, "closed", 0)
    return Pretended


def outcome(folder: Path) -> tuple[bytes, bytes, dict[str, Any]]:
    """What a search has found, without the time that it took."""
    result = json.loads((folder / "result.json").read_text())
    del result["seconds"], result["sha256"]
    return (folder / "trials.csv").read_bytes(), (folder / "best.ktg").read_bytes(), result


@contextmanager
def full(size: int) -> Iterator[Listener]:
    """A disk on which no file gets larger once a search has begun: a write is cut off midway."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def listen(event: Event) -> None:
        if isinstance(event, SearchStarted):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    try:
        yield listen
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_ends_the_search_and_room_lets_it_go_on(
    pretended: type[Pretended], tmp_path: Path
) -> None:
    """At one size after another, from the first entries of the journal to the last."""
    plan = sound(SPACE)
    ktgdsl.search(plan, out=tmp_path / "whole", workers=1)
    sizes = range(500, (tmp_path / "whole/study.journal").stat().st_size, 1411)
    assert len(sizes) > 5
    for size in sizes:
        out, ended = tmp_path / str(size), pretended.closed
        with pytest.raises(RunError, match="cannot write") as caught, full(size) as listener:
            ktgdsl.search(plan, out=out, workers=1, listener=listener)
        (told,) = caught.value.diagnostics
        assert told.code == "E502"
        assert told.help == f"make room, then go on with: ktgc search --resume {out}"
        assert pretended.closed == ended + 1
        assert not (out / "result.json").exists()
        resume(out)
        assert outcome(out) == outcome(tmp_path / "whole")
        assert not list(out.glob("*.torn-*"))  # what was written of an entry was taken back


def test_everything_is_judged_on_the_test_split_where_the_objective_says_so(
    pretended: type[Pretended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[Task] = []
    monkeypatch.setattr(pretended, "fate", lambda _, task, __: tasks.append(task))
    block = "search { trials = 6  confirm = 2  objective = accuracy(a, on=test) }"
    plan = sound(SPACE.replace("search { trials = 6 }", block))
    out, lines = tmp_path / "out", list[str]()
    ktgdsl.search(plan, out=out, workers=1, listener=plain_search_listener(lines.append))
    assert {task.trial >= FIRST_CHECK for task in tasks} == {False, True}
    assert {task.judged_on for task in tasks} == {"test"}
    assert all(Plan.from_json(task.plan).data.holdout for task in tasks)
    result = json.loads((out / "result.json").read_text())
    assert (result["validation_samples"], result["test_samples"]) == (259, 500)
    assert "accuracy of a after 4 epochs on 500 test images" in lines
    assert "a difference of 0.2 % is one image" in lines
    comments = (out / "best.ktg").read_text()
    assert comments.count(" on the test split") == 2
    assert "validation split" not in comments
    before = outcome(out)
    (out / "result.json").unlink()
    resume(out)
    assert outcome(out) == before
    # One whose trials were judged on the validation split, whatever it says, is not gone on with.
    (out / "result.json").unlink()
    environment, _ = unsealed_json((out / "environment.json").read_text())
    assert environment.pop("judged_on") == "test"
    (out / "environment.json").write_text(sealed_json(environment))
    with pytest.raises(RunError, match="were judged on the validation split, though"):
        resume(out)


@pytest.mark.parametrize("name", ["best.ktg", "trials.csv", "result.json", "01.ktg"])
def test_what_cannot_be_written_is_written_when_there_is_room(
    pretended: type[Pretended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plan = sound(SPACE)
    ktgdsl.search(plan, out=tmp_path / "whole", workers=1)
    monkeypatch.setattr(search_run, "TABLE_SECONDS", 0.0)
    monkeypatch.setattr(search_run, "TABLE_SHARE", float("inf"))

    def write(path: Path, content: bytes) -> None:
        if path.name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomic(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(run_files, "write_atomic", write)
        with pytest.raises(RunError, match="No space left on device") as caught:
            ktgdsl.search(plan, out=tmp_path / "out", workers=1)
    assert "--resume" in str(caught.value.diagnostics[0].help)
    assert pretended.closed == 2
    resume(tmp_path / "out")
    assert outcome(tmp_path / "out") == outcome(tmp_path / "whole")


@pytest.mark.parametrize(("told", "each"), [(None, 3), ("5", 5), ("5,2", 5), ("all", 3)])
def test_threads_and_determinism_of_a_worker_are_kept(
    pretended: type[Pretended],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: str | None,
    each: int,
) -> None:
    """Seven cores for two workers, or what OMP_NUM_THREADS says; and later the same again."""

    def machine(count: int, setting: str | None) -> None:
        monkeypatch.setattr(threads, "cores", lambda: count)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if setting is not None:
            monkeypatch.setenv("OMP_NUM_THREADS", setting)

    def stop(event: Event) -> None:
        if isinstance(event, SearchStarted):
            raise KeyboardInterrupt

    machine(7, told)
    own = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        ktgdsl.search(
            sound(SPACE), out=tmp_path / "out", workers=2, listener=stop, deterministic=True
        )
    assert torch.get_num_threads() == own
    assert not torch.are_deterministic_algorithms_enabled()
    assert json.loads((tmp_path / "out/environment.json").read_text())["threads"] == each
    machine(64, "1")
    resume(tmp_path / "out", workers=1)
    assert (pretended.threads, pretended.deterministic) == (each, True)
    assert json.loads((tmp_path / "out/environment.json").read_text())["threads"] == each


class Strict(optuna.pruners.BasePruner):
    """A pruner of one's own: every second trial is ended after its second epoch."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return trial.number % 2 == 1 and trial.last_step == 2


def grid() -> optuna.samplers.BaseSampler:
    """A sampler of Optuna's, which goes through four points."""
    plan = sound(SPACE)
    assert plan.space is not None
    points = {draw.name: list(draw.options[:1]) for draw in plan.space.draws}
    points["edge.label->a.gate"] = ["through", "linear"]
    points["edge.b->a.gate"] = ["correct", "linear"]
    return optuna.samplers.GridSampler(points, seed=0)


def stopped(event: Event) -> None:
    """A listener by which a search is cut off after its first trial."""
    if isinstance(event, TrialEnded):
        raise KeyboardInterrupt


def test_a_sampler_and_a_pruner_of_the_caller_decide(
    pretended: type[Pretended], tmp_path: Path
) -> None:
    found = ktgdsl.search(
        sound(SPACE), out=tmp_path / "out", workers=1, sampler=grid(), pruner=Strict()
    )
    table = rows(tmp_path / "out")
    points = {(row["edge.label->a.gate"], row["edge.b->a.gate"]) for row in table}
    assert len(table) == len(points) == 4
    assert found.result.exhausted
    assert [(row["state"], row["epochs"]) for row in table] == [
        ("complete", "4"),
        ("pruned", "2"),
    ] * 2
    assert resume(tmp_path / "out").result == found.result


def test_an_optuna_pruner_is_asked(pretended: type[Pretended], tmp_path: Path) -> None:
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    found = ktgdsl.search(sound(SPACE), out=tmp_path / "out", workers=1, pruner=pruner)
    best = max(float(row["value"]) for row in rows(tmp_path / "out") if row["state"] == "complete")
    assert found.result.best.value == pytest.approx(best)
    assert found.result.states.get("pruned")


def test_what_the_caller_passed_is_passed_again_or_refused(
    pretended: type[Pretended], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        ktgdsl.search(
            sound(SPACE), out=out, workers=1, sampler=grid(), pruner=Strict(), listener=stopped
        )
    said = " ".join(refused(capsys, "search", "--resume", str(out)).split())
    assert "E502" in said
    assert "begun with a sampler that no file keeps, optuna.samplers._grid.GridSampler" in said
    assert f"ktgdsl.searching.search.resume({str(out)!r}, sampler=...)" in said
    with pytest.raises(RunError, match="a pruner that no file keeps"):
        resume(out, sampler=grid())
    with pytest.raises(RunError, match=r"cannot go on with .*RandomSampler"):
        resume(out, sampler=optuna.samplers.RandomSampler(), pruner=Strict())
    resume(out, sampler=grid(), pruner=Strict())
    ktgdsl.search(sound(SPACE), out=tmp_path / "whole", workers=1, sampler=grid(), pruner=Strict())
    assert outcome(out) == outcome(tmp_path / "whole")


def test_the_sampler_of_the_space_is_not_exchanged_midway(
    pretended: type[Pretended], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        ktgdsl.search(sound(SPACE), out=tmp_path / "out", workers=1, listener=stopped)
    with pytest.raises(RunError, match="begun with the sampler that its space names") as caught:
        resume(tmp_path / "out", sampler=grid())
    assert caught.value.diagnostics[0].code == "E502"


@pytest.mark.parametrize("empty", [True, False])
def test_a_search_whose_journal_is_gone_does_not_start_over(
    pretended: type[Pretended], tmp_path: Path, empty: bool
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        ktgdsl.search(sound(SPACE), out=out, workers=1, listener=stopped)
    journal = (out / "study.journal").read_bytes()
    if empty:
        (out / "study.journal").write_bytes(b"")
    else:
        (out / "study.journal").unlink()
    with pytest.raises(RunError, match=r"which has the trials of the search, is gone") as caught:
        resume(out)
    assert caught.value.diagnostics[0].code == "E502"
    (out / "study.journal").write_bytes(journal)
    assert resume(out).result.trials == 6
    (out / "study.journal").unlink()
    with pytest.raises(RunError, match="is gone"):
        resume(out)


def test_a_search_of_an_older_version_is_not_resumed(
    pretended: type[Pretended], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        ktgdsl.search(sound(SPACE), out=out, workers=1, listener=stopped)
    environment, _ = unsealed_json((out / "environment.json").read_text())
    for name in ("plan", "code", "data"):
        del environment[name]
    (out / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(RunError, match="which did not keep what a resume is checked against"):
        resume(out)


@pytest.mark.parametrize("confirm", [0, 2])
def test_the_best_graph_says_how_good_it_is_and_what_is_as_good(
    pretended: type[Pretended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confirm: int
) -> None:
    """Trials are worth their number's parity, and further seeds a quarter more each."""

    def value(task: Task, epoch: int) -> float:
        if task.trial >= FIRST_CHECK:
            return 80.0 + 0.25 * (task.trial - FIRST_CHECK)
        return 90.0 + task.trial % 2

    monkeypatch.setattr(test_coordinator, "value", value)
    more = f"search {{ trials = 6 pruner = none confirm = {confirm} }}"
    plan = sound(SPACE.replace("search { trials = 6 }", more))
    lines: list[str] = []
    result = ktgdsl.search(
        plan, out=tmp_path / "out", workers=1, listener=plain_search_listener(lines.append)
    ).result
    text = (tmp_path / "out/best.ktg").read_text()
    if confirm:
        # Checks 4 and 5 are of the third finalist.
        assert str(result.best.confirmed) == "81.12 ± 0.18 % (n = 2)"
        assert text.startswith("# confirmed: 81.12 ± 0.18 % (n = 2) on the validation split, ")
        assert "# complete: 91.00 % on the validation split after epoch 4 of its trial\n" in text
        assert (result.best.trial, result.tied) == (5, ())
        assert "as good" not in text
    else:
        assert (result.best.trial, result.tied) == (1, (3, 5))
        assert text.startswith("# complete: 91.00 % on the validation split after epoch 4\n")
        assert "# as good: trial 3, trial 5\n" in text
        assert "as good: trial 3, trial 5" in lines


def test_a_baseline_that_diverges_is_named(
    pretended: type[Pretended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fate(_: object, task: Task, epoch: int) -> Message | None:
        alone = len(Plan.from_json(task.plan).graph.nodes) == 1
        judges = alone and task.trial >= FIRST_CHECK
        return Diverged(task.trial, 2, "a loss became nan") if judges and epoch == 2 else None

    monkeypatch.setattr(pretended, "fate", fate)
    lines: list[str] = []
    listener = plain_search_listener(lines.append)
    found = ktgdsl.search(sound(SPACE), out=tmp_path / "out", workers=1, listener=listener)
    (missing,) = found.result.unjudged
    assert (missing.name, missing.reason) == (
        TARGET_ALONE,
        "diverged at epoch 2: a loss became nan",
    )
    assert set(found.result.baselines) == {ALL_THROUGH}
    said = f"{TARGET_ALONE}, seed {missing.seed}: diverged at epoch 2: a loss became nan"
    assert sum(said in line for line in lines) == 2  # when it did, and in the report
    assert resume(tmp_path / "out").result.unjudged == (missing,)


def test_what_always_diverges_is_a_clear_error(
    pretended: type[Pretended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fate(_: object, task: Task, epoch: int) -> Message:
        return Diverged(task.trial, epoch, "a loss became nan")

    monkeypatch.setattr(pretended, "fate", fate)
    with pytest.raises(RunError, match="none of 6 trials gave a value") as caught:
        ktgdsl.search(sound(SPACE), out=tmp_path / "out", workers=1)
    assert caught.value.diagnostics[0].code == "E507"
    assert caught.value.diagnostics[0].help == "the last one: diverged: a loss became nan"
    assert {row["state"] for row in rows(tmp_path / "out")} == {"failed"}


def test_a_network_that_fits_no_trial_is_told_where_the_space_has_it(
    pretended: type[Pretended],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    problem = Diagnostic("E505", "the network of node `b` fails", subject=Subject("b"))

    def fate(_: object, task: Task, epoch: int) -> Message:
        return Failed(task.trial, (problem.message,), (problem,))

    monkeypatch.setattr(pretended, "fate", fate)
    space, out = tmp_path / "space.ktg", tmp_path / "out"
    space.write_text(SPACE)
    assert cli.main(["search", str(space), "--out", str(out), "--workers", "1"]) == 1
    said = capsys.readouterr()
    assert f"after epoch 0: the network of node `b` fails ({space}:3:17)" in said.out
    assert "error[E507]: none of 6 trials gave a value" in said.err
    assert said.err.count("error[E505]: the network of node `b` fails\n") == 1
    assert f"{space}:3:17\n" in said.err
    assert {row["reason"] for row in rows(out)} == {problem.message}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `ktgc` says of a mistake."""
    assert cli.main(list(arguments)) == 1
    return capsys.readouterr().err


def test_a_spec_has_nothing_to_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "spec.ktg"
    spec.write_text("graph g { node a = resnet8 target a edge label -> a }")
    said = refused(capsys, "search", str(spec))
    assert "E506" in said
    assert "ktgc run" in said


def test_a_space_cannot_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "space.ktg"
    space.write_text(SPACE)
    said = refused(capsys, "run", str(space))
    assert "`edge.label->a.gate` is open" in said
    assert "ktgc search" in said


@pytest.mark.parametrize("finished", [False, True])
def test_the_folder_of_a_search_is_no_run(
    pretended: type[Pretended], tmp_path: Path, capsys: pytest.CaptureFixture[str], finished: bool
) -> None:
    """What it is for is told by name, with the verbs that take it."""
    out = tmp_path / "out"
    (tmp_path / "space.ktg").write_text(SPACE)
    ktgdsl.search(sound(SPACE), out=out, workers=1)
    if not finished:
        (out / "result.json").unlink()
    help = f"train its best graph, as it keeps no networks: `ktgc run {out}/best.ktg`"
    if not finished:
        help = f"go on with it: `ktgc search --resume {out}`, or {help}"
    for take in (ktgdsl.resume, lambda folder: ktgdsl.load_network(folder, "a")):
        with pytest.raises(RunError) as caught:
            take(out)
        (told,) = caught.value.diagnostics
        assert told.code == "E502"
        assert told.message == f"{out} is the folder of a search, not of a run"
        assert told.help == help
    said = " ".join(
        refused(capsys, "search", str(tmp_path / "space.ktg"), "--out", str(out)).split()
    )
    assert f"go on with the search in it: `ktgc search --resume {out}`" in said


def test_the_folder_of_a_run_is_no_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.json").touch()
    said = refused(capsys, "search", "--resume", str(tmp_path))
    assert "the folder of a run, not of a search" in said


@pytest.mark.usefixtures("pretended")
def test_a_search_whose_journal_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    out = tmp_path / "found"
    ktgdsl.search(sound(SPACE), out=out, device="cpu")
    (out / "result.json").unlink()
    journal = out / "study.journal"
    content = journal.read_bytes()
    for damage in (journal.unlink, journal.mkdir):
        damage()
        with pytest.raises(RunError) as error:
            resume(out)
        (found,) = error.value.diagnostics
        assert (found.code, found.path) == ("E502", str(journal))
    journal.rmdir()
    journal.write_bytes(content)
    assert resume(out).result.trials == 6


@pytest.mark.usefixtures("pretended")
def test_a_search_whose_folder_vanishes_ends(tmp_path: Path) -> None:
    def remove(event: Event) -> None:
        if isinstance(event, TrialEnded):
            shutil.rmtree(tmp_path / "found")

    with pytest.raises(RunError) as error:
        ktgdsl.search(sound(SPACE), out=tmp_path / "found", device="cpu", listener=remove)
    assert {each.code for each in error.value.diagnostics} == {"E502"}


@pytest.mark.usefixtures("pretended")
def test_what_workers_printed_outlasts_a_search(tmp_path: Path) -> None:
    """A failed trial names the file."""
    out = tmp_path / "found"

    def print_something(event: Event) -> None:
        if isinstance(event, SearchStarted):
            (out / "workers" / "pretrained").mkdir(parents=True)
            (out / "workers" / "worker-0.log").write_text("Killed")
            (out / "workers" / "worker-1.log").touch()
            (out / "workers" / "trial-0.pt").touch()

    ktgdsl.search(sound(SPACE), out=out, device="cpu", listener=print_something)
    assert [path.name for path in (out / "workers").iterdir()] == ["worker-0.log"]


@pytest.mark.usefixtures("pretended")
def test_after_its_time_a_search_begins_no_trial_and_judges_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passed before a resume counts; trials that have begun are trained to their end."""
    now = 0.0
    monkeypatch.setattr("ktgdsl.searching.search_run.time.monotonic", lambda: now)
    space = sound(SPACE.replace("trials = 6", "trials = 6 timeout = 2"))

    def an_hour_each(event: Event) -> None:
        nonlocal now
        now += 3600 * isinstance(event, TrialEnded)

    def cut_after_one(event: Event) -> None:
        an_hour_each(event)
        if isinstance(event, TrialEnded):
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        ktgdsl.search(space, out=out, workers=1, listener=cut_after_one)
    found = resume(out, listener=an_hour_each)
    assert found.result.trials == 2
    assert found.result.baselines
    whole = ktgdsl.search(sound(SPACE), out=tmp_path / "whole", workers=1, listener=an_hour_each)
    assert whole.result.trials == 6
