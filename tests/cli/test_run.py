"""`ktgc run`: what it prints, what it leaves, and how it goes on."""

import json
import signal
import time
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from tests.cli.specs import DML3, UGLY
from tests.forked import Forked

FEW = ["--set", "data.samples=128"]
"""Samples for a test in which it does not matter what is learned."""


def test_a_run_and_what_it_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", DML3, "--set", "node.c=resnet14", "--epochs", "1", "--seed", "3", *FEW]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "runs" / "dml3"
    assert "runs/dml3" in out
    result = json.loads((folder / "result.json").read_text())
    assert result["target"] == "a"
    assert result["seeds"] == [3]
    assert set(result["nodes"]) == {"a", "b", "c"}
    # The saved spec says what was run: its plan is the plan of the run.
    saved = ktgdsl.load(folder / "spec.ktg")
    assert saved.digest == result["digest"]
    assert saved.graph.node("c").network.arguments == {"depth": 14, "stride": 1}


def test_the_spec_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "v.ktg").write_text(
        "# mine\ngraph v { node a = resnet8 target a edge label -> a } train { epochs = 1 }\n"
    )
    assert cli.main(["run", "v.ktg", "--out", "here", "--quiet"]) == 0
    assert Path("here", "spec.ktg").read_text() == Path("v.ktg").read_text()


def test_quiet_prints_the_result_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", DML3, "--epochs", "1", "--quiet", *FEW]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "epoch 1" not in out
    assert "resnet8" in out


def test_a_folder_in_use_is_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert cli.main(["run", DML3, "--out", "full"]) == 1
    assert "E502" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_an_unknown_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", DML3, "--device", "abacus"]) == 1
    assert "E504" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "\ninterrupted; "), (signal.SIGTERM, 143, "\nSIGTERM: interrupted; ")],
)
def test_a_run_that_is_stopped_says_what_is_kept_and_how_to_go_on(
    tmp_path: Path, number: int, code: int, said: str
) -> None:
    output = tmp_path / "output.txt"
    process = Forked(cli.main, ["run", DML3, "--epochs", "200", *FEW], output=output)
    metrics = tmp_path / "runs" / "dml3" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=60) == code
    err = output.read_text()
    assert "Traceback" not in err
    assert said in err
    assert "of 200 epochs are kept in runs/dml3" in err
    assert "ktgc run --resume runs/dml3" in err
    kept = len((tmp_path / "runs" / "dml3" / "metrics.jsonl").read_text().splitlines())
    assert kept >= 3


def test_resume_takes_no_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--resume", "here", "--epochs", "3", "--set", "a=b"]) == 2
    assert "without --set and --epochs" in capsys.readouterr().err


def test_a_run_keeps_a_spec_that_uses_others_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "base.ktg").write_text("train { epochs = 1 }")
    (tmp_path / "v.ktg").write_text('use "base.ktg"\n' + UGLY)
    assert cli.main(["run", "v.ktg", "--out", "here", "--quiet"]) == 0
    saved = Path("here", "spec.ktg").read_text()
    assert "use" not in saved
    assert ktgdsl.loads(saved).digest == ktgdsl.load("v.ktg").digest


def test_a_saved_spec_with_own_code_runs_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "flat_networks.py").write_text(
        "from torch import nn\n"
        "def flat():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    (tmp_path / "mine" / "v.ktg").write_text(
        'graph v { node a = python("flat_networks:flat") target a edge label -> a }'
    )
    assert cli.main(["run", "mine/v.ktg", "--epochs", "1", "--quiet"]) == 0
    first = json.loads(Path("runs/v/result.json").read_text())
    monkeypatch.chdir("runs/v")
    assert cli.main(["run", "spec.ktg", "--out", "../again", "--quiet"]) == 0
    again = json.loads(Path("../again/result.json").read_text())
    assert again["nodes"] == first["nodes"]
