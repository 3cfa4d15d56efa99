"""Files of a run folder with wrong, huge and deeply nested values: E502 with the file, always."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ktgdsl.errors import RunError
from ktgdsl.files import parsed_json, seal, sealed_json, sha256, unsealed_json
from ktgdsl.plan.model import Call
from ktgdsl.report.pictures.run_accuracies import plan_and_accuracies
from ktgdsl.training.environment_fields import MAX_THREADS
from ktgdsl.training.events import EpochDone, Event
from ktgdsl.training.metrics_file import truncate_metrics
from ktgdsl.training.result import RunResult
from ktgdsl.training.run import resume, run
from ktgdsl.training.run_files import named_folder
from ktgdsl.training.run_folder import RunFolder
from ktgdsl.vocabulary.registry import entries
from tests.plans import tiny_plan

DEEP = b"[" * 100_000
CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "no UTF-8": b'{"repeat": 1, "epoch": 1\xff}\n' * 2,
    "deep": DEEP,
    "deep objects": b'{"a": ' * 100_000,
    "a list": b"[]",
    "a large number": b"9" * 10_000,
    "infinity": b"1e999",
}
PLAN = tiny_plan("ab", [("label", "a"), ("b", "a"), ("label", "b")], data={"batch": 512})


@pytest.fixture(scope="module")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged") / "r"
    run(PLAN, out=folder, device="cpu")
    return folder


@pytest.fixture
def folder(_finished: Path, tmp_path: Path) -> RunFolder:
    """The folder of a finished run, to be damaged."""
    return RunFolder(Path(shutil.copytree(_finished, tmp_path / "r")))


def refused(call: Callable[[], object], file: Path) -> str:
    """The message of the E502 about a file that a call raises."""
    with pytest.raises(RunError) as error:
        call()
    (found,) = error.value.diagnostics
    assert found.code == "E502"
    assert found.path == str(file)
    return found.message


@pytest.mark.parametrize("content", [*CONTENTS, "a folder"])
@pytest.mark.parametrize("name", ["plan.json", "environment.json", "result.json"])
def test_what_is_no_such_file_is_refused(folder: RunFolder, name: str, content: str) -> None:
    path = folder.path / name
    path.unlink()
    path.mkdir() if content == "a folder" else path.write_bytes(CONTENTS[content])
    at = folder.path if (name, content) == ("plan.json", "a folder") else path
    refused(lambda: resume(folder.path), at)
    if name != "environment.json" and (name, content) != ("result.json", "a folder"):
        refused(lambda: plan_and_accuracies(folder.path), at)


def test_a_plan_that_was_changed_is_no_picture_of_the_run(folder: RunFolder) -> None:
    path = folder.path / "plan.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    said = refused(lambda: plan_and_accuracies(folder.path), path)
    assert "is not what was written there" in said


@pytest.mark.parametrize("content", ["no UTF-8", "deep", "a list"])
def test_metrics_damaged_before_their_end_are_refused(folder: RunFolder, content: str) -> None:
    before = folder.metrics.read_bytes()
    folder.metrics.write_bytes(CONTENTS[content].rstrip() + b"\n" + before)
    message = refused(lambda: truncate_metrics(folder.metrics, 1, 1), folder.metrics)
    assert message == f"line 1 of {folder.metrics} is damaged"
    folder.metrics.write_bytes(before + b"\xff")  # what a kill leaves
    truncate_metrics(folder.metrics, 1, 1)
    assert folder.metrics.read_bytes() == before


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("threads", 1_000_000, "less than or equal to 1024"),
        ("threads", 0, "greater than or equal to 1"),
        ("threads", 1.5, "a valid integer"),
        ("threads", True, "a valid integer"),
        ("device", ["cpu"], "a valid string"),
        ("deterministic", "yes", "a valid boolean"),
        ("versions", 3, "a valid dictionary"),
        ("resumed", {}, "a valid list"),
        ("resumed", [1], "`resumed.0`"),
        ("workers", 10**30, "less than or equal to 1024"),
        ("devices", [], "at least 1 item"),
        ("code", {"m.py": None}, "`code.m.py`"),
    ],
)
def test_an_environment_that_cannot_be_is_refused(
    folder: RunFolder, field: str, value: object, said: str
) -> None:
    (folder.path / "result.json").unlink()
    path = folder.path / "environment.json"
    environment, _ = unsealed_json(path.read_text())
    path.write_text(sealed_json({**environment, field: value}))
    message = refused(lambda: resume(folder.path), path)
    assert f"`{field}" in message
    assert said in message
    assert MAX_THREADS == 1024


def changed(result: dict[str, Any], *path: str, to: object) -> str:
    """A result with another value somewhere, whole again."""
    place = result
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return sealed_json(result)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("seconds",), -1.0),
        (("seconds",), 1e300),
        (("target",), "c"),
        (("nodes", "a", "accuracy", "mean"), 1e9),
        (("nodes", "a", "accuracy", "runs"), []),
        (("nodes",), {"a": {"accuracy": {"mean": 1.0, "std": None, "runs": [1.0]}}}),
        (("seeds",), "x"),
        (("seeds",), [0, 1]),
    ],
)
def test_a_result_that_cannot_be_is_refused(
    folder: RunFolder, path: tuple[str, ...], value: object
) -> None:
    file = folder.path / "result.json"
    result, _ = unsealed_json(file.read_text())
    file.write_text(changed(result, *path, to=value))
    refused(lambda: resume(folder.path), file)


def test_no_result_has_a_number_that_is_none(folder: RunFolder) -> None:
    text = (folder.path / "result.json").read_text()
    for number in ("NaN", "Infinity", "1e999"):
        content = json.loads(text.replace('"std": null', f'"std": {number}'))
        del content["sha256"]
        with pytest.raises(ValueError, match="finite"):
            RunResult.from_json(json.dumps(content), folder.path)


def test_json_that_is_nested_too_deeply_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parsed_json(DEEP)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a\0b", "null byte"),
        ("b\udcffd", "is not UTF-8"),
        ("y" * 300, "name too long"),
        ("x/" * 5_000, "name too long"),
    ],
)
def test_a_path_that_no_folder_can_have_is_refused(path: str, said: str) -> None:
    with pytest.raises(RunError) as error:
        named_folder(path)
    (found,) = error.value.diagnostics
    assert found.code == "E502"
    assert said in found.message
    assert len(found.message) < 400


def test_a_working_folder_that_is_not_utf8_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "b\udcffd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(RunError, match="is not UTF-8"):
        run(PLAN, out="here", device="cpu")


@pytest.mark.parametrize("after", ["start", "epoch"])
def test_a_folder_that_vanishes_ends_the_run(tmp_path: Path, after: str) -> None:
    def remove(event: Event) -> None:
        if after == "start" or isinstance(event, EpochDone):
            shutil.rmtree(tmp_path / "r", ignore_errors=True)

    with pytest.raises(RunError) as error:
        run(PLAN, out=tmp_path / "r", device="cpu", listener=remove)
    assert [each.code for each in error.value.diagnostics] == ["E502"]
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("graph", "nodes", 0, "network", "name"), "resnt", "no network `resnt`"),
        (("graph", "nodes", 0, "network", "arguments", "depth"), "x", "`depth`"),
        (("graph", "nodes", 0, "network", "arguments"), {}, "`depth`"),
        (("graph", "nodes", 0, "optimizer", "arguments", "lr"), None, "`lr`"),
        (("graph", "nodes", 0, "schedule", "arguments"), {}, "`constant` has no `warmup`"),
        (
            ("graph", "nodes", 0, "schedule", "arguments", "warmup"),
            {"percent": 10**400},
            "a number in it is too large",
        ),
        (("graph", "nodes", 0, "name"), "b", "two nodes `b`"),
        (("graph", "targets"), ["c"], "the target is the node `c`, which there is not"),
        (("graph", "targets"), [], "no target"),
        (("graph", "edges", 1, "source", "node"), "c", "edge c -> a is the node `c`"),
        (("graph", "edges", 1, "terms"), [], "edge b -> a has no loss"),
        (("graph", "edges", 1, "terms", 0, "parts", 0, "coefficient"), 1e999, "not finite"),
        (("graph", "edges", 1, "terms", 0, "parts", 0, "loss", "arguments", "T"), {}, "`T`"),
        (("train", "epochs"), 0, "`epochs`"),
        (("train", "clip"), -1.0, "`clip`"),
        (("data", "batch"), 0, "`batch`"),
        (("data", "facts"), None, "nothing is known of the data `digits`"),
        (("data", "facts", "classes"), -1, "`facts.classes` is -1"),
        (("data", "samples"), 10**6, "1000000 of 1297 samples are used"),
    ],
)
def test_a_plan_that_no_spec_can_say_is_refused(
    folder: RunFolder, path: tuple[str | int, ...], value: object, said: str
) -> None:
    """Also where its digest is noted, as somebody does who edits both."""
    file = folder.path / "plan.json"
    plan = json.loads(file.read_text())
    place = plan
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    content = json.dumps(plan).encode()
    file.write_bytes(content)
    environment, _ = unsealed_json((folder.path / "environment.json").read_text())
    text = sealed_json({**environment, "plan": sha256(content)})
    (folder.path / "environment.json").write_text(text)
    message = refused(lambda: resume(folder.path), file)
    assert message.startswith(f"{file} says what no spec can: ")
    assert said in message


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is cut off after its first epoch."""
    folder = tmp_path_factory.mktemp("cut") / "r"
    schedule = Call(name="plateau", arguments=entries("schedule")["plateau"]().call().arguments)
    plan = tiny_plan("a", settings={"a": {"schedule": schedule}}, data={"batch": 512}, epochs=3)

    def cut(event: Event) -> None:
        if isinstance(event, EpochDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, out=folder, device="cpu", listener=cut)
    return folder


MISSING = object()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("version",), torch.zeros(2), "cannot be read as a checkpoint"),
        (("repeat",), "x", "cannot be read as a checkpoint"),
        (("repeat",), 9, "cannot be read as a checkpoint"),
        (("epoch",), 10**9, "cannot be read as a checkpoint"),
        (("seconds",), float("nan"), "cannot be read as a checkpoint"),
        (("finished",), [{"test": {"a": 1e9}, "validation": None}], "cannot be read"),
        (("state",), None, "cannot be read as a checkpoint"),
        (("state", "taken"), 10**9, "`taken` is not a number from 0 to 6"),
        (("state", "phase"), -1, "`phase` is not a number from 0 to 0"),
        (("state", "networks"), {}, "`networks` has other names"),
        (("state", "networks", "a", "logits.bias"), MISSING, "`networks.a` has other names"),
        (("state", "networks", "a", "logits.bias"), torch.zeros(3), "`networks.a.logits.bias` is"),
        (("state", "networks", "a", "logits.bias"), torch.zeros(10).int(), "of torch.int32"),
        (("state", "networks", "a", "logits.bias"), "x", "`networks.a.logits.bias` is a str"),
        (("state", "optimizers", "sgd"), MISSING, "'sgd'"),
        (("state", "optimizers", "sgd", "state", 0, "momentum_buffer"), torch.zeros(3), "fit"),
        (("state", "optimizers", "sgd", "param_groups", 0, "momentum"), 0.5, "`momentum`"),
        (("state", "optimizers", "plateaus", "a", "factor"), None, "`factor`"),
        (("state", "optimizers", "plateaus", "a", "waited"), -1, "`waited`"),
        (("state", "best", "epoch"), None, "`best.epoch`"),
    ],
)
def test_a_checkpoint_that_is_whole_and_nonsense_is_refused(
    cut_off: Path, tmp_path: Path, path: tuple[str | int, ...], value: object, said: str
) -> None:
    folder = RunFolder(Path(shutil.copytree(cut_off, tmp_path / "r")))
    content = torch.load(io.BytesIO(folder.checkpoint.read_bytes()), weights_only=True)
    place = content
    for name in path[:-1]:
        place = place[name]
    if value is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    buffer = io.BytesIO()
    torch.save(content, buffer)
    folder.checkpoint.write_bytes(buffer.getvalue() + seal(buffer.getvalue()))
    with pytest.raises(RunError) as error:
        resume(folder.path)
    (found,) = error.value.diagnostics
    assert found.code == "E502"
    assert said in found.message
    assert folder.checkpoint.exists()
