"""`ktgc eval`: what it prints of a run, and how it refuses."""

import json
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli

SPEC = """
graph small {
    node a, b = resnet(depth=8, width=4)
    target a
    edge label -> *
    edge b -> a
}
data digits { batch = 64  samples = 64  validation = 16 }
train { epochs = 1 }
"""


@pytest.fixture
def trained(tmp_path: Path) -> str:
    plan = ktgdsl.loads(SPEC)
    return str(ktgdsl.run(plan, out=tmp_path / "r", device="cpu").folder)


def test_eval_measures_all_nodes_or_one(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", trained, "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "small on the test split of digits: 500 samples, seed 0; in percent"
    assert [line.split()[:2] for line in lines[3:5]] == [["a", "target"], ["b", "auxiliary"]]
    assert "a by class" in lines
    assert "b by class" not in lines
    assert cli.main(["eval", trained, "--node", "b", "--json", "--device", "cpu"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [*facts["nodes"]] == ["b"]
    result = json.loads(Path(trained, "result.json").read_text())
    assert facts["nodes"]["b"]["accuracy"] == result["nodes"]["b"]["accuracy"]


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_what_is_no_run_is_refused(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", folder]) == 1
    assert "E502" in capsys.readouterr().err


def test_a_path_is_a_folder_of_images(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", trained, "--data", "./photos", "--device", "cpu"]) == 1
    assert "E508" in capsys.readouterr().err
