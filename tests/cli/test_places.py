"""Errors of the user's own code during training: at the place in the spec, by every verb."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktgdsl.cli.main import main

OWN = """\
from torch import nn

def net(classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

class Full(nn.Module):
    def __init__(self, calls):
        super().__init__()
        self.net, self.calls = net(), calls
    def forward(self, image):
        self.calls -= 1
        if self.calls < 0:
            raise ValueError("the bank is full")
        return self.net(image)

def late(source, destination, label, progress):
    if progress > 0.5:
        raise KeyError("bank")
    return destination.sum(1) * 0 + 1

def endless(source, destination, label):
    return destination.mean(1) / 0

class InPlace(Full):
    def forward(self, image):
        self.calls -= 1
        answer = self.net(image).sigmoid()
        return answer.add_(1) if self.calls < 0 else answer

class Leaving(Full):
    def forward(self, image):
        self.calls -= 1
        return self.net(image) if self.calls >= 0 else exit(3)
"""
STEEP = """\
import torch

class Steep(torch.autograd.Function):
    left = 3
    @staticmethod
    def forward(context, x):
        return x.clone()
    @staticmethod
    def backward(context, gradient):
        Steep.left -= 1
        if Steep.left < 0:
            raise ValueError("too steep")
        return gradient

def steep(source, destination, label):
    return Steep.apply(destination).mean(1)
"""
SPEC = """\
graph own {{
    node a = python("places_own:net")
    node b = {network}
    target a
    edge label -> *
    edge b -> a : kl via {gate}
}}
data digits {{ batch = 256  samples = 256 }}
train {{ epochs = 4 }}
"""
NET = 'python("places_own:net")'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in (("places_own", OWN), ("places_steep", STEEP)):
        (tmp_path / f"{name}.py").write_text(text)
    yield tmp_path
    for name in ("places_own", "places_steep"):
        sys.modules.pop(name, None)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments, "--device", "cpu"]) == 1
    return capsys.readouterr().err


def test_a_run_that_keeps_nothing_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = 'python("places_own:net", classes=7)'
    (folder / "own.ktg").write_text(SPEC.format(network=network, gate="linear"))
    assert main(["run", "own.ktg", "--device", "cpu"]) == 1
    assert capsys.readouterr().out == ""
    network = 'python("places_own:net")'
    (folder / "own.ktg").write_text(SPEC.format(network=network, gate="linear"))
    diverging = ["--set", "train.optimizer=sgd(lr=1e38)", "--set", "data.batch=64"]
    assert main(["run", "own.ktg", "--device", "cpu", *diverging]) == 1
    out, err = capsys.readouterr()
    kept = Path("runs", "own")
    assert out.splitlines()[0].endswith(f", into {kept}")
    assert err.splitlines()[0].startswith("error[E503]")
    assert err.splitlines()[-1] == f"no epoch is done, so nothing is kept: {kept} is removed"
    assert not kept.exists()


def test_a_gate_that_fails_in_a_step(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SPEC.format(network=NET, gate='python("places_own:late")')
    (folder / "own.ktg").write_text(text)
    message = (
        "error[E505]: python(\"places_own:late\") of edge b -> a fails: KeyError: 'bank' "
        "(places_own.py:18, in late)\n"
    )
    said = refused(capsys, "run", "own.ktg", "--out", "r")
    assert message in said
    assert "--> own.ktg:6:5\n" in said
    said = refused(capsys, "run", "--resume", "r")
    assert message in said
    kept = (folder / "r" / "spec.ktg").read_text().splitlines()
    line = 1 + kept.index(text.splitlines()[5])
    assert f"--> {Path('r', 'spec.ktg')}:{line}:5\n" in said


def test_a_network_that_fails_in_a_step(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = 'python("places_own:Full", calls=20)'
    (folder / "own.ktg").write_text(SPEC.format(network=network, gate="linear"))
    said = refused(capsys, "run", "own.ktg", "--set", "train.epochs=20")
    message = "error[E505]: the network of node `b` fails: ValueError: the bank is full"
    assert f"{message} (places_own.py:13, in forward)\n" in said
    assert "--> own.ktg:3:14\n" in said


@pytest.mark.parametrize(
    ("network", "edge", "message", "place"),
    [
        (NET, ': python("places_steep:steep")', "E505]: python(\"places_steep:steep\") of edge b "
         "-> a fails in the backward pass: ValueError: too steep", "6:5"),
        ('python("places_own:InPlace", calls=20)', "", "E505]: code that is not ours fails in "
         "the backward pass: RuntimeError: one of the variables needed", ""),
        ('python("places_own:Leaving", calls=20)', "", "E505]: the network of node `b` fails: "
         "SystemExit: 3", "3:14"),
        (NET, ': python("places_own:endless")', "E503]: the loss of edge b -> a (into node a) ",
         "6:5"),
    ],
)  # fmt: skip
def test_what_fails_in_a_step(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    network: str,
    edge: str,
    message: str,
    place: str,
) -> None:
    text = SPEC.format(network=network, gate="linear")
    (folder / "own.ktg").write_text(text.replace(": kl via linear", edge))
    said = refused(capsys, "run", "own.ktg", "--set", "train.epochs=20")
    assert f"error[{message}" in said
    if place:
        assert f"--> own.ktg:{place}\n" in said
    else:
        assert "help: it may be that of node `a` or of node `b`\n" in said


def test_a_row_of_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "own.ktg").write_text(
        SPEC.format(network='python("places_own:net", classes=7)', gate="linear")
    )
    (folder / "table.toml").write_text(
        'title = "Own"\npublished_runs = 1\n[[rows]]\nlabel = "one"\nspec = "own.ktg"\n'
    )
    assert main(["table", ".", "--device", "cpu", "--quiet"]) == 1
    said = capsys.readouterr()
    assert "own.ktg:3:14" in said.out + said.err


def test_data_of_ones_own_that_fail(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "places_data.py").write_text("def boom(split):\n    raise ValueError('my own bug')\n")
    text = SPEC.format(network=NET, gate="linear")
    (folder / "own.ktg").write_text(text.replace("data digits", 'data python("places_data:boom")'))
    message = 'error[E508]: the data python("places_data:boom") fails: ValueError: my own bug'
    said = refused(capsys, "run", "own.ktg")
    assert f"{message} (places_data.py:2, in boom)\n" in said
    assert "--> own.ktg:8:6\n" in said
    (folder / "own.ktg").write_text(text)
    assert main(["run", "own.ktg", "--set", 'data=python("places_data:boom")']) == 2
    assert message in capsys.readouterr().err
