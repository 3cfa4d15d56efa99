"""Runs of the example with a label for each pixel: accuracy, mIoU, resume, networks."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.plan.model import Plan
from ktgdsl.report.page.answers_section import answers_section
from ktgdsl.report.page.blocks import Folded, Table
from ktgdsl.training.events import EpochDone, Event
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.training.result import RunResult
from tests.paths import ROOT

KD, PEERS = (ROOT / "specs" / "masks" / f"{name}.ktg" for name in ("kd", "peers"))
SMALL = [
    'data=python("shapes:images", size=12, count=36)',
    "data.batch=8",
    "train.epochs=2",
]
FEW = [*SMALL, "data.labeled=12", "train.repeats=1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("masks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KTGDSL_CACHE", str(folder / "cache"))
        return ktgdsl.run(ktgdsl.load(KD, FEW), out=folder / "run", device="cpu")


@pytest.fixture
def cache(trained: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(trained.folder.parent / "cache"))


def shapes(split: str) -> tuple[Any, Any]:
    """What the module of the example gives, without the package."""
    spec = importlib.util.spec_from_file_location("shapes_again", KD.parent / "shapes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: tuple[Any, Any] = module.images(split, size=12, count=36)
    return found


def miou(result: RunResult, node: str) -> float:
    metrics = result.nodes[node].metrics
    assert metrics is not None
    return metrics["miou"].mean


def test_accuracy_and_iou_are_those_of_the_labeled_pixels(trained: RunResult) -> None:
    image, mask = shapes("test")
    for name, node in trained.nodes.items():
        network = ktgdsl.load_network(trained.folder, name)
        with torch.no_grad():
            logits = network(torch.from_numpy(image) / 255)
        assert logits.shape == (9, 3, 12, 12)
        answer, labeled = logits.argmax(1).numpy(), mask >= 0
        assert 0 < labeled.mean() < 1
        right = (answer == mask)[labeled].mean()
        assert node.accuracy.mean == pytest.approx(100 * right, abs=1e-9)
        shares = []
        for number in range(3):
            of_label, of_answer = (mask == number) & labeled, (answer == number) & labeled
            if (of_label | of_answer).any():
                shares.append((of_label & of_answer).sum() / (of_label | of_answer).sum())
        assert miou(trained, name) == pytest.approx(100 * np.mean(shares), abs=1e-9)
    *_, last = map(json.loads, (trained.folder / "metrics.jsonl").read_text().splitlines())
    assert last["test_miou"] == miou(trained, last["node"])


def test_the_same_is_evaluated_later(
    trained: RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["eval", str(trained.folder), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    for name, node in trained.nodes.items():
        assert facts["nodes"][name]["accuracy"]["mean"] == node.accuracy.mean
        assert facts["nodes"][name]["miou"]["mean"] == miou(trained, name)
    assert facts["samples"] == int((shapes("test")[1] >= 0).sum())
    assert cli.main(["eval", str(trained.folder)]) == 0
    text = capsys.readouterr().out
    assert f"{facts['samples']:,} pixels, seed 0" in text
    assert "samples" not in text
    *_, folded = answers_section(ktgdsl.evaluate(trained.folder)).blocks
    assert isinstance(folded, Folded)
    by_class = folded.blocks[0]
    assert isinstance(by_class, Table)
    assert by_class.head == ("class", "pixels", "accuracy, %", "precision, %", "F1, %", "IoU, %")
    assert len(by_class.rows[0]) == 6


@pytest.mark.usefixtures("cache")
def test_a_run_resumes_to_equal_bits(trained: RunResult, tmp_path: Path) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(RunInterrupted):
        ktgdsl.run(ktgdsl.load(KD, FEW), out=tmp_path / "r", device="cpu", listener=interrupt)
    result = ktgdsl.resume(tmp_path / "r")
    for name, node in result.nodes.items():
        assert node.accuracy == trained.nodes[name].accuracy
        assert node.metrics == trained.nodes[name].metrics
    for path in sorted((trained.folder / "nodes").iterdir()):
        one, other = load_file(path), load_file(tmp_path / "r" / "nodes" / path.name)
        assert all(torch.equal(each, other[name]) for name, each in one.items())


def test_networks_of_one_answer_an_image_are_refused() -> None:
    plan = ktgdsl.load(KD, [*FEW, "node.student=resnet8"])
    with pytest.raises(ktgdsl.RunError, match=r"gives \(2, 3\) of .* logits .* \(2, 3, 12, 12\)"):
        ktgdsl.stepper(plan, "cpu")


def test_a_gate_of_pixels_on_a_loss_of_samples_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PEERS.parent)
    edge = 'edge b."bottom" -> a."bottom" : hint via correct'
    plan = ktgdsl.loads(PEERS.read_text().replace("edge both  -> a : kl via linear", edge), SMALL)
    with pytest.raises(ktgdsl.RunError, match=r"the gate of edge b\.bottom -> a\.bottom does not"):
        ktgdsl.stepper(plan, "cpu")


def test_peers_learn_from_each_other_and_their_ensemble(tmp_path: Path) -> None:
    plan: Plan = ktgdsl.load(PEERS, SMALL)
    result = ktgdsl.run(plan, out=tmp_path / "r", device="cpu")
    assert all(node.metrics for node in result.nodes.values())
    both = ktgdsl.load_network(tmp_path / "r", "both")
    image = torch.rand(2, 1, 12, 12)
    a, b = (ktgdsl.load_network(tmp_path / "r", name) for name in "ab")
    with torch.no_grad():
        torch.testing.assert_close(both(image), (a(image) + b(image)) / 2)


def test_it_is_measured_and_planned(capsys: pytest.CaptureFixture[str]) -> None:
    settings = [part for each in FEW for part in ("--set", each)]
    assert cli.main(["plan", str(KD), *settings]) == 0
    assert "kl(T=2, scale=4) via correct" in capsys.readouterr().out
    assert cli.main(["bench", str(KD), *settings, "--seconds", "0.01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["graph"]
