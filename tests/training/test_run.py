"""Runs: the folder, bit-equal resume after a kill, full disks and damaged files."""

import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from ktgdsl.backend.weights import save_weights
from ktgdsl.errors import KtgWarning, RunError
from ktgdsl.files import sealed_json, unsealed_json
from ktgdsl.plan.model import Call, Edge, Plan
from ktgdsl.training.checkpoint import load_checkpoint
from ktgdsl.training.data import load_splits
from ktgdsl.training.events import (
    EpochDone,
    Event,
    RepeatStarted,
    RunFinished,
    RunStarted,
)
from ktgdsl.training.networks import load_network
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.training.run import resume, run
from tests.forked import Forked
from tests.plans import CORRECT, RESNET8, edge, sgd, tiny_plan

EDGES: list[Edge | tuple[str, str]] = [("label", "a"), ("label", "b"), edge("b", "a", CORRECT)]
FILES = {"checkpoint.pt", "environment.json", "metrics.jsonl", "plan.json", "spec.ktg"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


def small() -> nn.Module:
    """A network that trains in no time, and has statistics of its own to keep."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10)
    )


SMALL = Call(name="python", arguments={"function": "tests.training.test_run:small"})


def pair(
    epochs: int = 1,
    data: dict[str, Any] | None = None,
    network: Call = SMALL,
    **train: Any,
) -> Plan:
    """Two nodes, b teaches a, five steps an epoch."""
    settings = {name: {"network": network} for name in "ab"}
    fields = {"batch": 256, **(data or {})}
    return tiny_plan("ab", EDGES, settings=settings, data=fields, epochs=epochs, **train)


def metrics(folder: Path) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = (folder / "metrics.jsonl").read_text()
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def code(error: pytest.ExceptionInfo[RunError]) -> str:
    (diagnostic,) = error.value.diagnostics
    return diagnostic.code


# What a run leaves


def test_the_files_of_a_finished_run(tmp_path: Path) -> None:
    plan = pair(epochs=2, repeats=2, seed=5)
    heard: list[Event] = []
    spec = "graph tiny { }  # é\n"
    result = run(plan, out=tmp_path / "r", device="cpu", spec=spec, listener=heard.append)

    written = {str(path.relative_to(tmp_path / "r")) for path in (tmp_path / "r").rglob("*.*")}
    code = {name for name in written if name.startswith("code/")}
    assert "code/tests/training/test_run.py" in code
    assert written - code == FILES - {"checkpoint.pt"} | {
        "result.json",
        "classes.json",
        "nodes/a.safetensors",
        "nodes/b.safetensors",
        "repeat-2/nodes/a.safetensors",
        "repeat-2/nodes/b.safetensors",
    }
    assert (tmp_path / "r/spec.ktg").read_text("utf-8") == spec
    assert Plan.from_json((tmp_path / "r/plan.json").read_text()) == plan

    environment = json.loads((tmp_path / "r/environment.json").read_text())
    assert environment["device"] == "cpu"
    assert environment["seeds"] == [5, 6]
    assert environment["threads"] == torch.get_num_threads()
    assert environment["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert environment["command"] == sys.argv

    lines = metrics(tmp_path / "r")
    assert [(line["repeat"], line["epoch"], line["node"]) for line in lines] == [
        (repeat, epoch, node) for repeat in (1, 2) for epoch in (1, 2) for node in "ab"
    ]
    assert lines[0].keys() == {
        *("repeat", "epoch", "node", "loss", "accuracy", "test_accuracy"),
        *("learning_rate", "edges"),
    }
    assert lines[0]["edges"].keys() == {"label", "b"}
    assert lines[0]["edges"]["label"]["open"] == 1.0
    assert 0 <= lines[0]["edges"]["b"]["open"] < 1

    reached = json.loads((tmp_path / "r/result.json").read_text())
    last = {
        (line["repeat"], line["node"]): line["test_accuracy"]
        for line in lines
        if line["epoch"] == 2
    }
    runs = [last[1, "a"], last[2, "a"]]
    assert reached["target"] == "a"
    assert reached["nodes"]["a"]["accuracy"] == {
        "mean": pytest.approx(sum(runs) / 2),
        "std": pytest.approx(statistics.stdev(runs)),
        "runs": runs,
    }
    assert reached["digest"] == plan.digest
    assert reached["seeds"] == [5, 6]
    assert reached["epochs"] == 2
    assert reached["seconds"] > 0
    assert result.nodes["a"].accuracy.runs == tuple(runs)
    assert result.folder == tmp_path / "r"

    assert isinstance(heard[0], RunStarted)
    assert heard[0].chosen == ()
    assert [(e.repeat, e.seed) for e in heard if isinstance(e, RepeatStarted)] == [(1, 5), (2, 6)]
    assert heard[-1] == RunFinished(plan, result)


def test_the_values_of_auto_settings_are_reported(tmp_path: Path) -> None:
    heard: list[Event] = []
    plan = pair(compile="auto", precision="auto")
    run(plan, out=tmp_path / "r", device="cpu", listener=heard.append)
    assert isinstance(heard[0], RunStarted)
    computing = json.loads((tmp_path / "r/environment.json").read_text())["computing"]
    assert heard[0].chosen == tuple(
        f"{name} = auto: {computing[name]['value']}, {computing[name]['why']}"
        for name in ("precision", "compile")
    )
    assert heard[0].chosen[1].endswith("it pays from 10,000 steps on, and these are 5")


def test_a_single_seed_has_no_deviation_and_a_frozen_node_no_loss(tmp_path: Path) -> None:
    frozen = {"t": {"frozen": "no edge enters it"}}
    edges: list[Edge | tuple[str, str]] = [("label", "s"), ("t", "s")]
    plan = tiny_plan("ts", edges, settings=frozen, targets=["s"], data={"batch": 256})
    run(plan, out=tmp_path / "r", device="cpu")
    reached = json.loads((tmp_path / "r/result.json").read_text())
    assert list(reached["nodes"]) == ["s", "t"]  # the target first
    assert reached["nodes"]["s"]["accuracy"]["std"] is None
    assert reached["nodes"]["s"].keys() == {"accuracy"}
    (pretrained,) = reached["nodes"]["t"]["pretrained"]
    # A frozen network is what it was at the end of its pre-training.
    assert pretrained == {
        "accuracy": reached["nodes"]["t"]["accuracy"]["mean"],
        "split": "test",
        "cached": False,
    }
    again = run(plan, out=tmp_path / "again", device="cpu").nodes["t"].pretrained
    assert again is not None
    assert [each.model_dump() for each in again] == [
        {**pretrained, "cached": True, "stopped": None}
    ]
    teacher, student = metrics(tmp_path / "r")
    assert (teacher["node"], teacher["loss"], teacher["learning_rate"]) == ("t", None, None)
    assert teacher["edges"] == {}
    assert student["loss"] > 0
    assert not (tmp_path / "r/spec.ktg").exists()


def test_a_held_out_split_is_reported_beside_the_test_split(tmp_path: Path) -> None:
    result = run(pair(data={"holdout": True}), out=tmp_path / "r", device="cpu")
    (validation,) = (line["validation_accuracy"] for line in metrics(tmp_path / "r")[:1])
    assert "test_accuracy" not in metrics(tmp_path / "r")[0]
    assert result.nodes["a"].validation_accuracy is not None
    assert result.nodes["a"].validation_accuracy.runs == (validation,)
    reached = json.loads((tmp_path / "r/result.json").read_text())
    assert reached["nodes"]["a"]["validation_accuracy"]["runs"] == [validation]
    # Shares of 259 and of 500 samples.
    assert (validation * 259 / 100) == pytest.approx(round(validation * 259 / 100))
    (test,) = result.nodes["a"].accuracy.runs
    assert (test * 5) == pytest.approx(round(test * 5))


def test_the_default_folder_is_named_after_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(pair(), device="cpu").folder == Path("runs/tiny")
    first = (tmp_path / "runs/tiny/result.json").read_bytes()
    assert run(pair(), device="cpu").folder == Path("runs/tiny-2")
    assert (tmp_path / "runs/tiny/result.json").read_bytes() == first


# Where a run cannot be


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="exists and is not empty") as error:
        run(pair(), out=tmp_path, device="cpu")
    assert code(error) == "E502"
    assert "--resume" not in str(error.value.diagnostics[0].help)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_with_a_run_says_how_to_resume_it(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(RunError, match="exists and is not empty") as error:
        run(pair(), out=tmp_path, device="cpu")
    assert f"ktgc run --resume {tmp_path}" in str(error.value.diagnostics[0].help)


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    assert run(pair(), out=str(tmp_path / "r"), device="cpu").folder == tmp_path / "r"


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/ktgdsl-run"])
def test_a_folder_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").write_text("mine")
    heard: list[Event] = []
    with pytest.raises(RunError) as error:
        run(pair(), out=tmp_path / out, device="cpu", listener=heard.append)
    assert code(error) == "E502"
    assert heard == []
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_that_cannot_start_leaves_no_folder(tmp_path: Path) -> None:
    settings = {"b": {"weights": {"path": "b.pt", "file": str(tmp_path / "b.pt"), "sha256": "0"}}}
    plan = tiny_plan("ab", EDGES, settings=settings, data={"batch": 256})
    with pytest.raises(RunError) as error:
        run(plan, out=tmp_path / "r", device="cpu")
    assert code(error) == "E406"
    assert not (tmp_path / "r").exists()


def test_a_device_that_does_not_exist_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        run(pair(), out=tmp_path / "r", device="cuda:99")
    assert code(error) == "E504"
    assert not (tmp_path / "r").exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_epochs_before(
    tmp_path: Path,
) -> None:
    # 5 steps an epoch; the rate rises from 1e-3 by 1e36 a step after the first epoch.
    plan = pair(
        epochs=3,
        optimizer=sgd(lr=1e-3),
        schedule=tiny_plan().train.schedule.model_copy(
            update={"name": "step", "arguments": {"every": 1, "gamma": 1e40, "warmup": 0}}
        ),
    )
    with pytest.raises(
        RunError, match=r"became (nan|inf|-inf) at epoch 2 of 3, step 7 of 15"
    ) as error:
        run(plan, out=tmp_path / "r", device="cpu")
    assert code(error) == "E503"
    assert {line["epoch"] for line in metrics(tmp_path / "r")} == {1}
    assert load_checkpoint(tmp_path / "r/checkpoint.pt", plan.digest).epoch == 1


# Going on


def train_and_die(plan: Plan, folder: Path, moment: str, count: int) -> None:
    """Run a plan in this process up to its end by SIGKILL at the `count`th such moment."""
    left = count

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def listen(event: Event) -> None:
        if moment == "epoch" and isinstance(event, EpochDone):
            tick()

    replace = Path.replace

    def ticking(path: Path, target: Path) -> Path:
        """A file is written, and not yet where it belongs."""
        if moment == target.name:
            tick()
        return replace(path, target)

    Path.replace = ticking  # type: ignore[assignment, method-assign] # of this process alone
    run(plan, out=folder, device="cpu", listener=listen, spec="graph tiny")


def kill(plan: Plan, folder: Path, moment: str, count: int) -> None:
    """Runs a plan in a process that ends by SIGKILL at the `count`th such moment."""
    output = folder.parent / "output.txt"
    code = Forked(train_and_die, plan, folder, moment, count, output=output).wait()
    assert code == -signal.SIGKILL, output.read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `long()` that nothing cut off."""
    folder = tmp_path_factory.mktemp("whole")
    run(long(), out=folder, device="cpu")
    return folder


def long() -> Plan:
    return pair(epochs=4, repeats=2)


def assert_equal_runs(one: Path, other: Path) -> None:
    """To the bit, but for how long they took."""
    networks = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert networks == sorted(path.relative_to(other) for path in other.rglob("*.safetensors"))
    assert networks
    for network in networks:
        first = safetensors.torch.load_file(one / network)
        second = safetensors.torch.load_file(other / network)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert metrics(one) == metrics(other)
    results = [json.loads((path / "result.json").read_text()) for path in (one, other)]
    for result in results:
        del result["seconds"], result["sha256"]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("moment", "count", "kept"),
    [
        ("epoch", 2, (1, 2)),
        ("epoch", 6, (2, 2)),
        ("checkpoint.pt", 1, None),  # the metrics have an epoch, and nothing else does
        ("checkpoint.pt", 2, (1, 1)),  # the metrics are an epoch ahead
        ("checkpoint.pt", 5, (1, 4)),  # the networks of the first repeat are saved
        ("result.json", 1, (3, 0)),  # all is done but for the result
    ],
)
def test_after_kill_9_a_run_resumes_bit_equal(
    tmp_path: Path, whole: Path, moment: str, count: int, kept: tuple[int, int] | None
) -> None:
    folder = tmp_path / "r"
    kill(long(), folder, moment, count)
    assert (folder / "checkpoint.pt").exists() == (kept is not None)
    heard: list[Event] = []
    result = resume(folder, listener=heard.append)
    assert isinstance(heard[0], RunStarted)
    assert (heard[0].repeat, heard[0].epoch) == (kept or (1, 0))
    assert_equal_runs(folder, whole)
    assert result == resume(folder)
    assert not (folder / "checkpoint.pt").exists()
    assert (folder / "spec.ktg").read_text() == "graph tiny"
    assert len(json.loads((folder / "environment.json").read_text())["resumed"]) == 1


def test_after_kill_9_a_resnet_resumes_bit_equal(tmp_path: Path) -> None:
    plan = pair(epochs=2, network=RESNET8)
    kill(plan, tmp_path / "r", "epoch", 1)
    resume(tmp_path / "r")
    run(plan, out=tmp_path / "whole", device="cpu")
    assert_equal_runs(tmp_path / "r", tmp_path / "whole")


def test_checkpoints_may_be_rarer_than_epochs(tmp_path: Path) -> None:
    plan = pair(epochs=5, checkpoint=2)
    with pytest.raises(RunInterrupted) as stop:
        run(plan, out=tmp_path / "r", device="cpu", listener=interrupt(after=3))
    assert stop.value.epoch == 2
    assert {line["epoch"] for line in metrics(tmp_path / "r")} == {1, 2, 3}
    resume(tmp_path / "r")
    run(plan, out=tmp_path / "whole", device="cpu")
    assert_equal_runs(tmp_path / "r", tmp_path / "whole")


def interrupt(after: int) -> Callable[[Event], None]:
    """A listener during which Ctrl-C is pressed after so many epochs."""

    def listen(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == after:
            raise KeyboardInterrupt

    return listen


@pytest.mark.parametrize("instead", [True, False])
def test_a_folder_that_vanishes_is_named(tmp_path: Path, instead: bool) -> None:
    """It is removed while the first epoch runs; something else may be in its place then."""

    def remove(event: Event) -> None:
        if isinstance(event, EpochDone):
            shutil.rmtree(tmp_path / "r")
            if instead:
                (tmp_path / "r").write_text("a file")

    with pytest.raises(RunError, match="cannot") as error:
        run(pair(epochs=2), out=tmp_path / "r", device="cpu", listener=remove)
    assert code(error) == "E502"


def test_ctrl_c_says_what_is_kept_and_how_to_resume(tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    with pytest.raises(RunInterrupted) as stop:
        run(long(), out=folder, device="cpu", listener=interrupt(after=3))
    assert isinstance(stop.value, KeyboardInterrupt)
    assert (stop.value.folder, stop.value.repeat, stop.value.epoch) == (folder, 1, 3)
    assert str(stop.value) == (
        f"interrupted; 3 of 8 epochs are kept in {folder}, go on with: ktgc run --resume '{folder}'"
    )
    assert not (folder / "result.json").exists()


def test_resuming_a_finished_run_returns_its_result(tmp_path: Path) -> None:
    result = run(pair(), out=tmp_path / "r", device="cpu")
    before = {path: path.read_bytes() for path in (tmp_path / "r").rglob("*.*")}
    heard: list[Event] = []
    assert resume(tmp_path / "r", listener=heard.append) == result
    assert heard == [RunFinished(pair(), result, already=True)]
    assert {path: path.read_bytes() for path in (tmp_path / "r").rglob("*.*")} == before


def test_a_run_resumes_with_its_own_number_of_threads(tmp_path: Path) -> None:
    """The sums of a network depend on how many threads share them."""
    threads = torch.get_num_threads()
    with pytest.raises(RunInterrupted):
        run(pair(epochs=2), out=tmp_path / "r", device="cpu", listener=interrupt(after=1))
    path = tmp_path / "r/environment.json"
    environment, _ = unsealed_json(path.read_text())
    path.write_text(sealed_json({**environment, "threads": threads + 1}))
    seen: list[int] = []
    resume(tmp_path / "r", listener=lambda event: seen.append(torch.get_num_threads()))
    assert set(seen) == {threads + 1}
    assert torch.get_num_threads() == threads


# Folders that are no runs, or damaged


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """A run that was cut off after its first epoch of two."""
    with pytest.raises(RunInterrupted):
        run(pair(epochs=2), out=tmp_path / "r", device="cpu", listener=interrupt(after=1))
    return tmp_path / "r"


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no folder") as error:
        resume(tmp_path / "nowhere")
    assert code(error) == "E502"
    with pytest.raises(RunError, match=r"is not the folder of a run: it has no plan\.json"):
        resume(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is not the folder of a run"):
        resume(tmp_path / "file")


def test_for_a_folder_of_runs_the_error_names_them(cut: Path) -> None:
    with pytest.raises(RunError) as error:
        resume(cut.parent)
    assert error.value.diagnostics[0].help == f"the runs in it are {cut}"


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 1}', b"\xff\xfe", b"[1, 2]"])
def test_a_damaged_plan_is_refused(cut: Path, content: bytes) -> None:
    (cut / "plan.json").write_bytes(content)
    with pytest.raises(RunError, match="cannot be read as a plan") as error:
        resume(cut)
    assert code(error) == "E502"


def test_a_damaged_checkpoint_is_refused(cut: Path) -> None:
    path = cut / "checkpoint.pt"
    intact = path.read_bytes()
    for content in (b"", b"no checkpoint", intact[: len(intact) // 2]):
        path.write_bytes(content)
        with pytest.raises(RunError, match="cannot be read as a checkpoint") as error:
            resume(cut)
        assert code(error) == "E502"
    torch.save({"version": 1, "digest": pair(epochs=2).digest, "repeat": 1}, path)
    with pytest.raises(RunError, match="cannot be read as a checkpoint"):
        resume(cut)
    path.unlink()
    assert resume(cut).epochs == 2  # the help says so: from the first epoch again


@pytest.mark.parametrize("name", ["checkpoint.pt", "plan.json", "environment.json", "result.json"])
def test_a_flipped_bit_is_refused(cut: Path, name: str) -> None:
    """Anywhere in the file, whether or not what is read then looks sound."""
    if name == "result.json":
        resume(cut)
    intact = (cut / name).read_bytes()
    for place in random.Random(0).sample(range(8 * len(intact)), 60):
        content = bytearray(intact)
        content[place // 8] ^= 1 << place % 8
        (cut / name).write_bytes(content)
        with pytest.raises(RunError, match=re.escape(name)) as error:
            resume(cut, listener=stop_at_once)
        assert code(error) == "E502"
    (cut / name).write_bytes(intact)
    assert resume(cut).epochs == 2


def stop_at_once(event: Event) -> None:
    raise AssertionError("what is damaged is used")


def test_names_of_classes_that_were_changed_are_refused(tmp_path: Path) -> None:
    run(pair(), out=tmp_path / "r", device="cpu")
    path = tmp_path / "r/classes.json"
    path.write_text(path.read_text().replace('"3"', '"8"'))
    with pytest.raises(RunError, match=r"classes\.json is not what was written there") as error:
        load_network(tmp_path / "r", "a")
    assert code(error) == "E502"


def test_a_resume_says_what_differs_from_before(cut: Path) -> None:
    environment, _ = unsealed_json((cut / "environment.json").read_text())
    environment["versions"]["torch"] = "2.0.0"
    (cut / "environment.json").write_text(sealed_json(environment))
    (cut / "checkpoint.pt").unlink()
    heard: list[Event] = []
    resume(cut, listener=heard.append)
    assert isinstance(heard[0], RunStarted)
    version, checkpoint = heard[0].notes
    assert version.startswith("begun with torch 2.0.0 and resumed with ")
    assert checkpoint == (
        f"there is no {cut / 'checkpoint.pt'}, which is written after each epoch: the run was cut "
        "off before that, or the file was removed; the run begins again at its first epoch"
    )


@pytest.mark.parametrize(
    ("interval", "reached", "reason"),
    [
        (2, 1, "the run was cut off before its first checkpoint, one every 2 epochs "
               "(`train.checkpoint`)"),
        (1, 2, "{} is gone"),
    ],
)  # fmt: skip
def test_a_resume_without_a_checkpoint_says_why(
    tmp_path: Path, interval: int, reached: int, reason: str
) -> None:
    plan = pair(epochs=3, checkpoint=interval)
    with pytest.raises(RunInterrupted):
        run(plan, out=tmp_path / "r", device="cpu", listener=interrupt(after=reached))
    file = tmp_path / "r/checkpoint.pt"
    file.unlink(missing_ok=True)
    heard: list[Event] = []
    resume(tmp_path / "r", listener=heard.append)
    assert isinstance(heard[0], RunStarted)
    (note,) = heard[0].notes
    assert note == f"{reason.format(file)}: the run begins again at its first epoch"


def test_a_run_of_an_older_version_is_not_resumed(cut: Path) -> None:
    """Its folder says neither what its code was nor what its files were."""
    environment, _ = unsealed_json((cut / "environment.json").read_text())
    del environment["plan"], environment["code"]
    (cut / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(RunError, match=r"was begun by ktgdsl 0\.1\.0, which did not keep") as error:
        resume(cut)
    assert code(error) == "E502"


def test_what_was_pre_trained_is_the_same_after_a_resume(tmp_path: Path) -> None:
    """The pre-training of the repeat that was cut off is one of this run."""
    frozen: dict[str, dict[str, Any]] = {
        "s": {"network": SMALL},
        "t": {"network": SMALL, "frozen": "no edge enters it"},
    }
    edges: list[Edge | tuple[str, str]] = [("label", "s"), ("t", "s")]
    plan = tiny_plan("st", edges, settings=frozen, data={"batch": 256}, epochs=2, repeats=2)
    with pytest.raises(RunInterrupted):
        run(plan, out=tmp_path / "r", device="cpu", listener=interrupt(after=2))
    pretrained = resume(tmp_path / "r").nodes["t"].pretrained
    assert pretrained is not None
    assert [each.cached for each in pretrained] == [False, False]


def test_a_checkpoint_of_another_plan_is_refused(cut: Path) -> None:
    other = pair(epochs=2, seed=9)
    (cut / "plan.json").write_text(other.to_json())
    with pytest.raises(RunError, match=r"plan\.json is not what was written there") as error:
        resume(cut)
    assert code(error) == "E502"
    (cut / "plan.json").write_text(pair(epochs=2).to_json())
    with pytest.raises(RunInterrupted):
        run(other, out=cut.parent / "other", device="cpu", listener=interrupt(after=1))
    shutil.copy(cut.parent / "other/checkpoint.pt", cut)
    with pytest.raises(RunError, match=r"is of another training than plan\.json") as error:
        resume(cut)
    assert code(error) == "E502"


def test_a_file_of_weights_that_changed_before_a_resume_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.safetensors"
    save_weights(small(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    weights = {"path": path.name, "file": str(path), "sha256": sha256}
    settings: dict[str, dict[str, Any]] = {
        "a": {"network": SMALL},
        "b": {"network": SMALL, "weights": weights},
    }
    plan = tiny_plan("ab", EDGES, settings=settings, data={"batch": 256}, epochs=2)
    with pytest.raises(RunInterrupted):
        run(plan, out=tmp_path / "r", device="cpu", listener=interrupt(after=1))
    intact = path.read_bytes()
    save_weights(small(), path)
    with pytest.raises(RunError, match=r"node `b`: the weights in .*: the file changed") as error:
        resume(tmp_path / "r")
    assert code(error) == "E406"
    path.write_bytes(intact)
    assert resume(tmp_path / "r").epochs == 2


def test_no_code_in_a_checkpoint_is_run(cut: Path, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "harm",)

    torch.save({"version": 1, "digest": Harmful()}, cut / "checkpoint.pt")
    with pytest.raises(RunError, match="cannot be read as a checkpoint"):
        resume(cut)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"target": "a"}'])
def test_a_damaged_result_is_refused(cut: Path, content: str) -> None:
    (cut / "result.json").write_text(content)
    with pytest.raises(RunError, match="cannot be read as the result") as error:
        resume(cut)
    assert code(error) == "E502"


def test_a_partly_written_line_of_metrics_is_dropped(cut: Path) -> None:
    before = (cut / "metrics.jsonl").read_text()
    (cut / "metrics.jsonl").write_text(before + '{"repeat": 1, "epoch": 2, "no')
    resume(cut)
    assert [line["epoch"] for line in metrics(cut)] == [1, 1, 2, 2]


# A full disk


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk does to a write: a part of it fits, and then it fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("spare", "at_fault"), [(100, "metrics.jsonl"), (5_000, "checkpoint.pt")])
def test_on_a_full_disk_a_run_ends_and_can_be_resumed(cut: Path, spare: int, at_fault: str) -> None:
    checkpoint, lines = (cut / "checkpoint.pt").read_bytes(), metrics(cut)
    size = (cut / "metrics.jsonl").stat().st_size
    stack = ExitStack()

    def listen(event: Event) -> None:
        if isinstance(event, RepeatStarted):
            stack.enter_context(files_no_larger_than(size + spare))

    with pytest.raises(RunError) as error, stack:
        resume(cut, listener=listen)
    assert code(error) == "E502"
    assert at_fault in error.value.diagnostics[0].message
    assert "File too large" in error.value.diagnostics[0].message
    assert (cut / "checkpoint.pt").read_bytes() == checkpoint
    assert metrics(cut)[:2] == lines
    assert (cut / "metrics.jsonl").read_text().endswith("\n")
    assert not list(cut.glob("*.tmp")) + list(cut.glob(".*"))
    assert resume(cut).epochs == 2


def test_a_disk_that_is_full_from_the_start_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error, files_no_larger_than(100):
        run(pair(), out=tmp_path / "r", device="cpu")
    assert code(error) == "E502"
    assert "cannot write" in error.value.diagnostics[0].message
    assert not (tmp_path / "r").exists()


def test_a_run_whose_folder_is_deleted_says_that_it_is_gone(tmp_path: Path) -> None:
    def delete(event: Event) -> None:
        if isinstance(event, EpochDone):
            shutil.rmtree(tmp_path / "r", ignore_errors=True)

    with pytest.raises(RunError) as error:
        run(pair(epochs=2), out=tmp_path / "r", device="cpu", listener=delete)
    assert code(error) == "E502"
    assert error.value.diagnostics[0].help == (
        f"there is no folder {tmp_path / 'r'}; was it deleted or moved?"
    )


# The networks


@pytest.mark.parametrize("augment", ["none", "standard"])
def test_a_trained_network_loads_ready_to_use(tmp_path: Path, augment: str) -> None:
    plan = pair(epochs=2, repeats=2, data={"augment": augment})
    result = run(plan, out=tmp_path / "r", device="cpu")
    test = load_splits(plan.data, 0, torch.device("cpu")).test
    before = torch.get_rng_state()
    for repeat in (1, 2):
        network = load_network(tmp_path / "r", "b", repeat)
        assert not any(module.training for module in network.modules())
        with torch.no_grad():
            # Images as they are: how a training normalises them is the network's own matter.
            image = test.image.float() / test.white
            hits = int((network(image).argmax(1) == test.label).sum())
        assert result.nodes["b"].accuracy.runs[repeat - 1] == pytest.approx(100 * hits / 500)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_that_does_not_exist(tmp_path: Path) -> None:
    plan = tiny_plan(["student"], data={"batch": 1297})
    run(plan, out=tmp_path / "r", device="cpu")
    with pytest.raises(RunError, match="has no node `studnt`") as error:
        load_network(tmp_path / "r", "studnt")
    assert code(error) == "E505"
    assert error.value.diagnostics[0].help == "did you mean `student`?"
    with pytest.raises(RunError) as error:
        load_network(tmp_path / "r", "x")
    assert error.value.diagnostics[0].help == "its nodes are student"
    with pytest.raises(RunError, match="has no repeat 2"):
        load_network(tmp_path / "r", "student", repeat=2)
    (tmp_path / "r/nodes/student.safetensors").write_bytes(b"torn")
    with pytest.raises(RunError) as error:
        load_network(tmp_path / "r", "student")
    assert code(error) == "E406"


def test_a_network_of_a_run_that_is_not_finished(cut: Path) -> None:
    with pytest.raises(RunError, match="is not finished") as error:
        load_network(cut, "a")
    assert code(error) == "E505"
    assert error.value.diagnostics[0].help == f"finish it with `ktgc run --resume {cut}`"


def test_lost_networks_of_a_finished_run_are_told(tmp_path: Path) -> None:
    run(pair(), out=tmp_path / "r", device="cpu")
    gone, damaged = (tmp_path / f"r/nodes/{name}.safetensors" for name in "ab")
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.warns(KtgWarning) as warned:
        assert resume(tmp_path / "r").epochs > 0
    said = [str(each.message) for each in warned]
    assert [text.partition("safetensors is ")[2].split()[0] for text in said] == ["gone", "damaged"]
    with pytest.raises(RunError, match=r"a\.safetensors is gone") as error:
        load_network(tmp_path / "r", "a")
    assert code(error) == "E505"


def test_two_processes_cannot_train_in_one_folder(cut: Path) -> None:
    seen: list[str] = []

    def again(event: object) -> None:
        if not seen:
            with pytest.raises(RunError) as error:
                resume(cut)
            seen.append(error.value.diagnostics[0].message)

    resume(cut, listener=again)
    assert seen == [f"another process is at work in the folder {cut}"]
    resume(cut)  # it is free again, and finished
