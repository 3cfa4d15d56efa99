"""`ktgc diff`: what differs, under the names of both files."""

from pathlib import Path
from typing import Any

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.training.result import NodeResult, RunResult, Score
from tests.cli.specs import DML3
from tests.written_runs import write_run


def test_names_both_files_and_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(DML3).read_text()
    (tmp_path / "mine.ktg").write_text("# another comment\n" + text)
    assert cli.main(["diff", DML3, "mine.ktg"]) == 0
    assert capsys.readouterr().out == "the same training\n"
    (tmp_path / "mine.ktg").write_text(text.replace("lr=0.1", "lr=0.2"))
    assert cli.main(["diff", DML3, "mine.ktg"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == [DML3, "mine.ktg"]
    assert "\ntrain.optimizer  sgd(lr=0.1" in out
    assert "train.epochs" not in out


def test_runs_are_compared_with_their_accuracies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(DML3).read_text()
    for name, spec, mean in (("one", text, 71.0), ("two", text.replace("lr=0.1", "lr=0.2"), 72.5)):
        plan = ktgdsl.loads(spec)
        score = Score.of([mean - 0.5, mean + 0.5])
        result = RunResult(
            folder=tmp_path / name, target="a", nodes={"a": NodeResult(accuracy=score)},
            digest=plan.digest, seeds=(0, 1), epochs=20, seconds=1.0,
        )  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "plan.json").write_text(plan.to_json())
        (tmp_path / name / "result.json").write_text(result.to_json())
    assert cli.main(["diff", "one", "two"]) == 0
    head, *others, accuracy = capsys.readouterr().out.splitlines()
    assert head.split() == ["one", "two"]
    assert [each.split()[0] for each in others] == ["node", "node", "node", "train.optimizer"]
    assert accuracy.split() == ["accuracy", "of", "a", "71.00", "±", "0.71", "72.50", "±", "0.71"]
    assert cli.main(["diff", "one", DML3]) == 0
    accuracy, same = capsys.readouterr().out.splitlines()[1:]
    assert accuracy.split() == ["accuracy", "of", "a", "71.00", "±", "0.71", "-"]
    assert same == "the same training"


def test_runs_are_compared_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert cli.main(["diff", "empty", DML3, "--epochs", "2"]) == 2
    assert "a run is compared as it is, without --set" in capsys.readouterr().err
    assert cli.main(["diff", "empty", DML3]) == 1
    assert "E502" in capsys.readouterr().err


def test_runs_of_equal_plans_differ_in_their_data_and_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"a": [70.0], "b": [60.0]}
    code = {"nets.py": {"path": "/x/nets.py", "sha256": "c" * 64}}
    same: dict[str, Any] = {"data": "a" * 64, "device": "cpu", "threads": 2, "code": code}
    write_run(tmp_path / "one", scores, **same)
    write_run(tmp_path / "two", scores, **same)
    write_run(tmp_path / "three", scores, **{**same, "data": "b" * 64, "threads": 1})
    assert cli.main(["diff", "one", "two"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["accuracy", "accuracy", "the"]
    assert lines[-1] == "the same training"
    assert cli.main(["diff", "one", "three"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["content", "of", "data", "a" * 12, "b" * 12]
    assert lines[2].split() == ["threads", "2", "1"]
    assert lines[-1] == "the same plan, with other data or code"
    (tmp_path / "two" / "environment.json").write_text("{")
    assert cli.main(["diff", "one", "two"]) == 1
    assert "environment.json is not what was written there" in capsys.readouterr().err
