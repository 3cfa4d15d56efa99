"""Finished runs as rows: which node and metric, and what is refused or said."""

from pathlib import Path

import pytest

from ktgdsl.errors import RunError
from ktgdsl.tables.finished import finished_run, untested_alike
from tests.written_runs import SPEC, write_run


def test_the_target_by_seed_or_another_node(tmp_path: Path) -> None:
    write_run(tmp_path / "r", {"a": [70.0, 72.0], "b": [60.0, 61.0]}, first_seed=3)
    run = finished_run(f"{tmp_path}/r/")
    assert (run.label, run.node, run.by_seed) == (f"{tmp_path}/r", "a", {3: 70.0, 4: 72.0})
    assert finished_run(str(tmp_path / "r"), "b").by_seed == {3: 60.0, 4: 61.0}


def test_a_metric_that_was_measured(tmp_path: Path) -> None:
    accuracies = {"a": [70.0, 72.0], "b": [60.0, 61.0]}
    write_run(tmp_path / "r", accuracies, metrics={"f1": [50.0, 51.0]})
    assert finished_run(str(tmp_path / "r"), metric="f1").by_seed == {0: 50.0, 1: 51.0}


@pytest.mark.parametrize(
    ("node", "metric", "message", "help"),
    [
        ("student", "accuracy", "has no node `student`", "its nodes are a, b"),
        ("a", "f1", "has no metric `f1`", "it measured accuracy"),
        ("a", "acuracy", "has no metric `acuracy`", "did you mean `accuracy`?"),
    ],
)
def test_what_a_run_does_not_have(
    tmp_path: Path, node: str, metric: str, message: str, help: str
) -> None:
    write_run(tmp_path / "r", {"a": [70.0], "b": [60.0]})
    with pytest.raises(RunError, match=message) as caught:
        finished_run(str(tmp_path / "r"), node, metric)
    assert caught.value.diagnostics[0].help == help


def test_a_run_that_is_not_finished_has_no_result(tmp_path: Path) -> None:
    write_run(tmp_path / "r", None)
    with pytest.raises(RunError, match="is not finished") as caught:
        finished_run(str(tmp_path / "r"))
    assert "ktgc run --resume" in (caught.value.diagnostics[0].help or "")


def test_other_data_are_said(tmp_path: Path) -> None:
    for name, data, content in (("a", "digits", "1"), ("b", "mnist", "2"), ("c", "digits", "3")):
        text = f"{SPEC} data {data}"
        write_run(tmp_path / name, {"a": [1.0], "b": [1.0]}, spec=text, data=content)
    write_run(tmp_path / "d", {"a": [1.0], "b": [1.0]}, data="1")
    write_run(tmp_path / "e", {"a": [1.0], "b": [1.0]})
    runs = [finished_run(str(tmp_path / name)) for name in "abcde"]
    one, other = untested_alike(runs)
    assert one == f"{tmp_path}/b was tested on mnist, {tmp_path}/a on digits"
    assert other == f"the digits of {tmp_path}/c are not those of {tmp_path}/a"
