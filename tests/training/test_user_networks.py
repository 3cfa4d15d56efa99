"""Networks of the user's code in a run: checked before training, imported from anywhere."""

from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli

NETS = """\
import torch
from torch import nn

def of(classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = of()
    def forward(self, image):
        return self.net(image), image

class Greedy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = of()
    def forward(self, image):
        torch.empty(2**46 if len(image) > 2 else 1)
        return self.net(image)

def larger():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))
"""
SPEC = """\
graph own {{ node a = python("{module}:{name}"{more}) target a edge label -> a }}
train {{ epochs = 1 }}
"""


def write(folder: Path, module: str, name: str, more: str = "") -> Path:
    # A module name of its own for each test: Python imports a name once.
    (folder / f"{module}.py").write_text(NETS)
    path = folder / "own.ktg"
    path.write_text(SPEC.format(module=module, name=name, more=more))
    return path


@pytest.mark.parametrize(
    ("module", "name", "more", "problem"),
    [
        ("nets_seven", "of", ", classes=7", "gives (2, 7) of torch.float32, and logits of these"),
        ("nets_pair", "Pair", "", "gives a tuple, not a tensor of logits"),
        ("nets_larger", "larger", "", "fails on images (2, 1, 8, 8): RuntimeError: "),
    ],
)
def test_a_network_that_does_not_fit_the_data(
    tmp_path: Path, module: str, name: str, more: str, problem: str
) -> None:
    plan = ktgdsl.load(write(tmp_path, module, name, more))
    with pytest.raises(ktgdsl.RunError) as error:
        ktgdsl.run(plan, out=tmp_path / "r", device="cpu")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E505"
    assert diagnostic.message.startswith(f"the network of node `a` {problem}")
    assert not (tmp_path / "r").exists()


def test_networks_of_a_run_load_from_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "specs", "nets_found", "of")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "specs/own.ktg", "--out", "r", "--quiet"]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    network = ktgdsl.load_network("../r", "a")
    assert not network.training


def test_a_module_that_is_not_there_names_the_node_and_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "own.ktg"
    path.write_text(SPEC.format(module="nets_nowhere", name="of", more=""))
    with pytest.raises(ktgdsl.RunError) as error:
        ktgdsl.build(ktgdsl.load(path))
    (diagnostic,) = error.value.diagnostics
    assert "of node `a` cannot be imported" in diagnostic.message
    assert diagnostic.help is not None
    assert str(tmp_path) in diagnostic.help


def test_out_of_memory_is_an_error_with_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "nets_greedy", "Greedy")
    assert cli.main(["run", str(path), "--out", str(tmp_path / "r"), "--device", "cpu"]) == 1
    output = capsys.readouterr().err
    assert "error[E504]: the memory of cpu is too small for this training: " in output
    assert "you tried to allocate 281474976710656 bytes" in output
    assert "`batch`" in output
