"""`ktgc compare`: two finished runs at least."""

import json
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from tests.written_runs import write_run


def test_compares_nodes_by_a_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("one", 10.0), ("two", 12.0)):
        accuracies = {"a": [50.0, 51.0], "b": [60.0, 61.0]}
        write_run(tmp_path / name, accuracies, metrics={"f1": [value, value + 1]})
    arguments = ["compare", "one", "two", "--node", "b", "--metric", "f1", "--format", "json"]
    assert cli.main(arguments) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["metric"], facts["differences"][0]["difference"]) == ("f1", 2.0)
    assert [run["node"] for run in facts["runs"]] == ["b", "b"]


def test_one_run_alone_is_no_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "one", {"a": [50.0], "b": [50.0]})
    for again in ("one", "./one/", "../" + tmp_path.name + "/one"):
        assert cli.main(["compare", "one", again]) == 2
    assert "two different runs" in capsys.readouterr().err


def test_what_is_no_finished_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "one", None)
    assert cli.main(["compare", "one", "two"]) == 1
    assert "the run one is not finished" in capsys.readouterr().err


def test_a_baseline_need_not_be_named_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("one", 50.0), ("two", 51.0), ("three", 53.0)):
        write_run(tmp_path / name, {"a": [value], "b": [value]})
    assert cli.main(["compare", "one", "three", "--baseline", "two", "--format=json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["baseline"] == "two"
    found = {each["run"]: each["difference"] for each in facts["differences"]}
    assert found == {"one": -1.0, "three": 2.0}
    assert cli.main(["compare", "one", "--baseline", "one"]) == 2
