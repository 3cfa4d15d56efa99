"""Every field that a run, a search or a table writes or reads is documented in specs/README.md."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import safetensors
import torch
from pydantic import BaseModel

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.report.explain import written_files
from ktgdsl.searching import search_run
from ktgdsl.searching.result import SearchResult
from ktgdsl.searching.study.pruning import PRUNED
from ktgdsl.searching.study.study import CHECK, DIGEST, GRAPH, REASON, SECONDS, SEED, STOPPED
from ktgdsl.tables.model import Table
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.training.result import RunResult
from tests.documented import documented
from tests.searching.test_search import Pretended
from tests.specs import sound

SPEC = """
graph g {
    node a = python("tests.test_run_files:small")
    node t = python("tests.test_run_files:small") { frozen = true }
    target a
    edge label, t -> a
}
data digits { batch = 512  holdout = true }
train { epochs = 2  schedule = plateau }
"""
SPACE = """
graph tiny {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl(T=1 | 4)
}
search { trials = 2  confirm = 1 }
"""
FREE = {"nodes", "edges", "versions", "code", "data", "baselines", "states"}
"""Fields with names that are not ours: of nodes, packages, files."""


def small() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))


def fields(content: Any) -> Iterator[str]:
    """The names of all fields in some JSON, but for those that users choose."""
    if isinstance(content, list):
        for each in content:
            yield from fields(each)
    elif isinstance(content, dict):
        for name, value in content.items():
            yield name
            inner = value.values() if name in FREE and isinstance(value, dict) else [value]
            for each in inner:
                yield from fields(each)


def model_fields(model: Any, seen: set[Any]) -> Iterator[str]:
    """The names of all fields of a pydantic model and of those within it."""
    if isinstance(model, type) and issubclass(model, BaseModel) and model not in seen:
        seen.add(model)
        for name, field in model.model_fields.items():
            yield name
            yield from model_fields(field.annotation, seen)
    for inner in get_args(model):
        yield from model_fields(inner, seen)


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was cut off after its first epoch and resumed."""
    folder = tmp_path_factory.mktemp("documented") / "r"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KTGDSL_CACHE", str(folder.parent / "cache"))

        def interrupt(event: object) -> None:
            if type(event).__name__ == "EpochDone" and (folder / "checkpoint.pt").exists():
                raise KeyboardInterrupt

        with pytest.raises(RunInterrupted):
            ktgdsl.run(sound(SPEC), out=folder, device="cpu", listener=interrupt)
        checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
        (folder / "checkpoint.json").write_text(json.dumps([*checkpoint, *checkpoint["state"]]))
        assert "plateaus" in checkpoint["state"]["optimizers"]
        ktgdsl.resume(folder)
    return folder


def test_the_files_of_a_run(run_folder: Path) -> None:
    assert set(fields(read(run_folder / "result.json"))) <= {
        *documented("`result.json` of a run"), "a", "t", "sha256"
    }  # fmt: skip
    assert set(fields(read(run_folder / "environment.json"))) - {"sha256"} <= documented(
        "`environment.json`"
    )
    lines = (run_folder / "metrics.jsonl").read_text().splitlines()
    assert {name for line in lines for name in fields(json.loads(line))} <= documented(
        "`metrics.jsonl`"
    ) | {"t"}
    assert "phase" in documented("`metrics.jsonl`")  # where there are some
    saved = read(run_folder / "checkpoint.json")
    assert set(saved) <= documented("`checkpoint.pt`")
    with safetensors.safe_open(run_folder / "nodes/a.safetensors", "pt") as weights:
        assert set(weights.metadata()) == {"mean", "std", "ktgdsl_sha256"}


def test_the_models_of_files() -> None:
    assert set(model_fields(Plan, set())) <= documented("`plan.json`") | settings()
    assert set(model_fields(RunResult, set())) - {"folder"} <= documented("`result.json` of a run")
    assert set(model_fields(SearchResult, set())) - {"folder"} <= (
        documented("`result.json` of a search") | documented("`result.json` of a run")
    )
    assert set(model_fields(Table, set())) <= documented("`table.toml`")


def settings() -> set[str]:
    """What `plan.json` calls as the settings of the blocks do, which have tables of their own."""
    from ktgdsl.report.explain import BLOCKS

    blocks = ("data", "train", "pretrain", "phase", "search")
    return {name for block in blocks for name in BLOCKS[block].model_fields}


def test_the_files_of_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_run, "Pool", Pretended)
    ktgdsl.search(sound(SPACE), out=tmp_path / "s", workers=1)
    environment = read(tmp_path / "s/environment.json")
    assert set(fields(environment)) - {"sha256"} <= documented("`environment.json`")
    with (tmp_path / "s/trials.csv").open(newline="") as table:
        columns = next(csv.reader(table))
    assert {*columns} - {"edge.b->a.loss.T"} <= documented("`trials.csv`")
    attributes = {GRAPH, DIGEST, SEED, REASON, PRUNED, SECONDS, STOPPED}
    assert attributes <= documented("`study.journal`")
    assert f"{CHECK} NAME / SEED" in documented("`study.journal`")


def test_every_file_is_explained(run_folder: Path) -> None:
    written = {path.name for path in run_folder.iterdir()} - {"checkpoint.json"}
    assert written <= {*written_files().by_name, "repeat-2"}
