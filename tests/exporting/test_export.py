"""Exported networks: they compute what the trained ones do, and say what a user has to know."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.errors import RunError
from ktgdsl.exporting import formats
from ktgdsl.exporting.export import export
from ktgdsl.exporting.trained_node import TrainedNode, trained_node
from ktgdsl.report.model_card import model_card

SPEC = """
graph g {
    node a, b = resnet(8, width=4)
    node both = ensemble(a, b, combine=concat)
    node own  = python("odd:Odd")
    target a, both, own
    edge label -> *, both
}
data digits { batch = 100  samples = 300 }
train { epochs = 1  optimizer = sgd(lr=0.1)  repeats = 2 }
"""
ODD = """
from torch import nn


class Odd(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 10))

    def forward(self, image):
        out = super().forward(image)
        return out if out[0, 0].item() > 0 else 2 * out
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    (place / "g.ktg").write_text(SPEC)
    (place / "odd.py").write_text(ODD)
    return ktgdsl.run(ktgdsl.load(place / "g.ktg"), out=place / "out").folder


def images(count: int) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(9))


def check_facts(facts: dict[str, str], node: str, accuracy: float) -> None:
    assert json.loads(facts["class_names"]) == [str(digit) for digit in range(10)]
    assert json.loads(facts["image_shape"]) == [1, 8, 8]
    assert facts["node"] == node
    assert float(facts["test_accuracy"]) == pytest.approx(accuracy, abs=1e-4)


@pytest.mark.parametrize("node", ["a", "both"])
def test_torch_export(folder: Path, tmp_path: Path, node: str) -> None:
    path = tmp_path / "x.pt2"
    exported = export(folder, path, node, repeat=2)
    extra = {"facts.json": ""}
    loaded = torch.export.load(path, extra_files=extra).module()
    network = ktgdsl.load_network(folder, node, repeat=2)
    with torch.no_grad():
        for count in (1, 7):
            torch.testing.assert_close(loaded(images(count)), network(images(count)))
    check_facts(json.loads(extra["facts.json"]), node, exported.result.nodes[node].accuracy.runs[1])


def test_onnx(folder: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "x.onnx"
    exported = export(folder, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    network = ktgdsl.load_network(folder, "a")
    for count in (1, 7):
        (got,) = session.run(None, {"image": images(count).numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.tensor(got), network(images(count)), atol=1e-5, rtol=0)
    facts = session.get_modelmeta().custom_metadata_map
    check_facts(facts, "a", exported.accuracy)
    assert [each.name for each in session.get_outputs()] == ["logits"]


def test_weights(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    exported = export(folder, path, "b")
    tensors = safetensors.torch.load_file(path)
    network: Any = ktgdsl.load_network(folder, "b")
    assert tensors.keys() == network.state_dict().keys()
    assert all(torch.equal(tensor, tensors[k]) for k, tensor in network.state_dict().items())
    with safetensors.safe_open(path, "pt") as file:
        facts = file.metadata()
    check_facts(facts, "b", exported.accuracy)
    assert (json.loads(facts["mean"]), json.loads(facts["std"])) == ([0.0], [1.0])


def test_weights_of_an_ensemble_are_those_of_all_members(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    export(folder, path, "both")
    tensors = safetensors.torch.load_file(path)
    expected = ktgdsl.load_network(folder, "both").state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in expected.items())


def test_a_network_that_cannot_be_traced(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        export(folder, tmp_path / "x.pt2", "own")
    (problem,) = caught.value.diagnostics
    assert problem.code == "E505"
    assert problem.message.startswith("torch.export cannot take the network of node `own`: ")
    assert problem.help == "export its weights alone, as .safetensors"
    assert not [*tmp_path.iterdir()]
    assert export(folder, tmp_path / "x.safetensors", "own").name == "own"


def test_what_computes_something_else_is_not_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.export.load

    def damaged(file: Any) -> Any:
        program = real(file)
        next(iter(program.state_dict.values())).add_(0.1)
        return program

    monkeypatch.setattr(torch.export, "load", damaged)
    with pytest.raises(RunError, match="the exported network of node `a` computes something else"):
        export(folder, tmp_path / "x.pt2")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.tflite"], "names no format: it ends in .onnx, .pt2 or .safetensors"),
        (["x.pt2", "c"], "has no node `c`"),
        (["x.pt2", "a", 3], "has no repeat 3"),
        (["none/x.safetensors"], "No such file or directory"),
    ],
)
def test_wrong_arguments(folder: Path, tmp_path: Path, arguments: list[Any], message: str) -> None:
    with pytest.raises(RunError, match=message):
        export(folder, tmp_path / arguments[0], *arguments[1:])


def test_without_the_packages(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    needed = "needs onnx, onnxscript and onnxruntime, which are not all installed: .*onnxruntime"
    with pytest.raises(RunError, match=needed) as caught:
        export(folder, tmp_path / "x.onnx")
    assert caught.value.diagnostics[0].code == "E504"


@pytest.fixture(scope="module")
def written(folder: Path) -> Path:
    assert cli.main(["export", str(folder), "-o", str(folder.parent / "m.safetensors")]) == 0
    return folder.parent


class TestCard:
    def test_metadata(self, written: Path, folder: Path) -> None:
        card = (written / "m.safetensors.card.md").read_text()
        _, head, body = card.split("---\n", 2)
        assert 'name: "g-a"' in head
        runs = trained_node(folder, None, 1).result.nodes["a"].accuracy.runs
        assert f'"value": {runs[0]}' in head
        assert body.startswith("\n# a of the knowledge transfer graph g\n")

    def test_the_graph_and_how_it_was_trained(self, written: Path) -> None:
        card = (written / "m.safetensors.card.md").read_text()
        assert "(<m.safetensors.graph.svg>)" in card
        assert (written / "m.safetensors.graph.svg").read_text().startswith("<svg")
        assert "= ensemble(a, b, combine=concat)" in card
        assert f"torch {torch.__version__.partition('+')[0]}" in card

    @pytest.mark.parametrize(
        ("masks", "task", "outputs"),
        [(False, "classification", "(B, 10)."), (True, "segmentation", "(B, 10, 8, 8).")],
    )
    def test_what_the_network_does(
        self, folder: Path, masks: bool, task: str, outputs: str
    ) -> None:
        node = trained_node(folder, None, 1)
        facts = node.plan.data.known_facts.model_copy(update={"masks": masks})
        data = node.plan.data.model_copy(update={"facts": facts})
        plan = node.plan.model_copy(update={"data": data})
        card = model_card(node._replace(plan=plan), "m.pt2", None)
        assert f"pipeline_tag: image-{task}\n" in card
        assert f"task: {{type: image-{task}}}\n" in card
        assert f"gives logits {outputs}\n" in card

    def test_names_stay_within_fences(self, folder: Path) -> None:
        node = trained_node(folder, None, 1)
        names = tuple(f"<script>{digit}\n```\n# x" for digit in range(10))

        class Named(TrainedNode):
            class_names = names

        card = model_card(Named(*node), "m.pt2", None)
        inside = False
        for line in card.splitlines():
            inside ^= line.startswith("```")
            assert inside or "<script>" not in line
        assert not inside
        assert formats.FORMATS.keys() == {".onnx", ".pt2", ".safetensors"}
