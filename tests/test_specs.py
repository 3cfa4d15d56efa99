"""Every shipped spec is checked, built and trained for two steps."""

from pathlib import Path

import pytest
import torch

import ktgdsl
from ktgdsl.plan.data import Facts
from ktgdsl.syntax.format import format_file
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.read import read
from tests.paths import ROOT
from tests.pretended import load_training_data

FOLDER = ROOT / "specs"
SPECS = sorted(path for path in FOLDER.glob("**/*.ktg") if path.parent.name != "recipes")
METHODS = FOLDER / "methods"  # which test_methods.py trains
TRAINED = [path for path in SPECS if path.parent.name not in ("methods", "heads")]
IMAGES = Facts(classes=10, shape=(1, 28, 28), train_samples=1_000, test_samples=1_000)
"""For those of functions in Python."""
MASKS = IMAGES.model_copy(update={"classes": 3, "masks": True})

OFFERED = {"dml3", "vanilla", "kd", "gates"}


def test_the_promised_specs_are_there() -> None:
    assert {path.stem for path in SPECS} >= OFFERED


each_spec = pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all specs, many of which have the same pre-trained teachers."""
    return tmp_path_factory.mktemp("cache")


class TestSpec:
    @each_spec
    def test_has_nothing_to_complain_about(self, path: Path) -> None:
        assert ktgdsl.check(path) == ()

    @pytest.mark.parametrize("path", TRAINED, ids=lambda path: path.stem)
    def test_trains_two_steps(
        self, path: Path, teachers: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KTGDSL_CACHE", str(teachers))
        plan = ktgdsl.load(path, ["train.epochs=1"])
        if plan.search is not None:
            plan = plan.model_copy(update={"space": None, "search": None})  # at its first point
        # Images of the right shape stand for data that are not here.
        monkeypatch.setattr("ktgdsl.training.pretrain.load_training_data", load_training_data)
        monkeypatch.setattr("ktgdsl.training.pretrain.content_facts", lambda *_: {})
        facts = plan.data.facts or (MASKS if path.parent.name == "masks" else IMAGES)
        plan = plan.model_copy(update={"data": plan.data.model_copy(update={"facts": facts})})
        held = plan.data.train_samples - 8
        data = {"augment": "none", "batch": 8, "validation": held}
        data |= {"labeled": None, "labeled_batch": None}
        plan = plan.model_copy(
            update={"data": plan.data.model_copy(update={**data, "holdout": True})}
        )
        assert plan.data.trained_samples == 8  # so that pre-training is short as well
        step = ktgdsl.stepper(plan, "cpu", steps=2)
        before = {name: weights(net) for name, net in step.networks.items()}
        for _ in range(2):
            image, other = torch.rand(2, 4, *plan.data.shape)
            label = (torch.arange(4) % plan.data.classes).view(4, *[1] * len(plan.data.label_shape))
            label = label.expand(4, *plan.data.label_shape)
            out = step(image, label, second_view=other if plan.data.views > 1 else None)
        assert all(loss.isfinite() for loss in out.losses.values())
        for node in plan.graph.nodes:
            moved = not torch.equal(before[node.name], weights(step.networks[node.name]))
            assert moved == node.learns

    @each_spec
    def test_formats_to_the_same_tree(self, path: Path) -> None:
        source, _ = read(path)
        assert source is not None
        tree, _ = parse(source)
        assert tree is not None
        again, diagnostics = parse(type(source)("again", format_file(tree)))
        assert (again, diagnostics) == (tree, ())


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().clone().flatten() for p in network.parameters()])


def test_gates_has_all_four_gates_and_a_product() -> None:
    plan = ktgdsl.load(Path(SPECS[0].parent, "gates.ktg"))
    gates = {edge.key: str(edge.terms[0].gate) for edge in plan.graph.edges}
    assert gates == {
        ("label", "a"): "through",
        ("label", "b"): "through",
        ("label", "c"): "through",
        ("b", "a"): "correct",
        ("c", "a"): "linear(start=0, stop=1)",
        ("a", "b"): "0.5 * correct * linear(start=0, stop=1)",
        ("c", "b"): "0.5 * correct * linear(start=0, stop=1)",
    }
    assert [d.name for d in plan.graph.dropped] == ["b -> c"]


def test_the_teacher_of_kd_is_frozen() -> None:
    plan = ktgdsl.load(Path(SPECS[0].parent, "kd.ktg"))
    assert plan.graph.node("teacher").pretrained
    assert plan.graph.node("student").learns
