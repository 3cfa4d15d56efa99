"""Networks of torchvision and timm: made by name, fitted to the data, or refused with a way out."""

import builtins
import hashlib
import sys
import types
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ktgdsl
from ktgdsl.backend import library
from ktgdsl.backend.graph import build
from ktgdsl.backend.library import torchvision_network
from ktgdsl.backend.normalization import set_data_normalization
from ktgdsl.backend.user_code import UnusableError
from ktgdsl.cli import main as cli
from ktgdsl.plan.model import Call
from ktgdsl.training import pretrain
from ktgdsl.training.data import load_splits
from ktgdsl.training.prepare import stepper
from ktgdsl.vocabulary.torchvision_names import NAMES
from tests.plans import tiny_plan

torchvision: Any = import_module("torchvision")  # it has no types
models: Any = torchvision.models
SMALL = "squeezenet1_1"  # 0.7 million parameters, with a convolution as its classifier


def plan_of(word: str, **arguments: Any) -> ktgdsl.Plan:
    call = Call(name=word, arguments=dict(arguments))
    return tiny_plan(["a", "b"], [("label", "a"), ("a", "b")], settings={"a": {"network": call}})


def test_it_trains_as_a_node() -> None:
    plan = plan_of("torchvision", name="resnet18", weights=None)
    step = stepper(plan, "cpu")
    before = step.networks["a"].get_submodule("conv1").state_dict()["weight"].clone()
    output = step(torch.rand(4, 1, 8, 8), torch.arange(4))
    assert output.logits["a"].shape == (4, 10)
    after = step.networks["a"].get_submodule("conv1").state_dict()["weight"]
    assert not torch.equal(after, before)


def test_its_first_weights_come_from_the_nodes_own_stream() -> None:
    plan = plan_of("torchvision", name=SMALL, weights=None)
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(build(plan, seed=0).networks["a"].state_dict())
    states.append(build(plan, seed=1).networks["a"].state_dict())
    name = "features.0.weight"
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


@pytest.mark.parametrize("name", ["resnet18", SMALL, "mobilenet_v3_small", "densenet121"])
def test_it_has_as_many_outputs_as_the_data_classes(name: str) -> None:
    network = torchvision_network(name, None, 3, 7).eval()
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 7)


def test_parameters_are_those_of_the_library() -> None:
    """ResNet-18 for 1000 classes has 11,689,512 parameters; 900 classes fewer are 900 · 513."""
    network = torchvision_network("resnet18", None, 3, 100)
    assert sum(p.numel() for p in network.parameters()) == 11_689_512 - 900 * 513


def test_a_grey_image_gives_what_it_does_in_all_three_channels() -> None:
    made = []
    for channels in (3, 1):
        torch.manual_seed(0)
        made.append(torchvision_network("resnet18", None, channels, 5).eval())
    image = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(made[1](image), made[0](image.expand(2, 3, 32, 32)))
    assert made[1].get_submodule("conv1").state_dict()["weight"].shape == (64, 1, 7, 7)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Weights of 1000 classes, which torchvision itself "downloads" from a file on the disk."""
    torch.manual_seed(9)
    state: dict[str, Tensor] = models.resnet18(weights=None).state_dict()
    enum_of_weights(tmp_path, monkeypatch, state)
    return state


def enum_of_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch, state: Mapping[str, Tensor]
) -> None:
    """Let any network of torchvision have these weights alone, with ImageNet's normalisation."""
    file = folder / "weights.pth"
    torch.save(state, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    file = file.rename(folder / f"weights-{digest}.pth")  # torch.hub checks it
    api = import_module("torchvision.models._api")
    preset = import_module("torchvision.transforms._presets").ImageClassification
    weights = api.Weights(file.as_uri(), partial(preset, crop_size=224), {})
    known = api.WeightsEnum("Known", {"IMAGENET1K_V1": weights, "DEFAULT": weights})
    monkeypatch.setattr(models, "get_model_weights", lambda name: known)
    monkeypatch.setenv("TORCH_HOME", str(folder / "hub"))


@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1", "ResNet18_Weights.IMAGENET1K_V1"])
def test_weights_are_loaded_and_the_classifier_is_new(
    downloaded: dict[str, Tensor], weights: str
) -> None:
    state = torchvision_network("resnet18", weights, 3, 10).state_dict()
    assert state.keys() == downloaded.keys()
    new = {name for name in state if not torch.equal(state[name], downloaded[name])
           or state[name].shape != downloaded[name].shape}  # fmt: skip
    assert new == {"fc.weight", "fc.bias"}


def test_with_as_many_classes_the_classifier_is_kept(downloaded: dict[str, Tensor]) -> None:
    state = torchvision_network("resnet18", "DEFAULT", 3, 1000).state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in downloaded.items())


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_normalised_as_they_were_for_the_training(
    downloaded: dict[str, Tensor], channels: int
) -> None:
    """Grey ones in all three channels, and other networks get the images as they were."""
    network = torchvision_network("resnet18", "DEFAULT", channels, 1000).eval()
    plain: nn.Module = models.resnet18(weights=None).eval()
    plain.load_state_dict(downloaded)
    image = torch.rand(2, channels, 32, 32)
    before = image.clone()
    normalized = torchvision.transforms.functional.normalize(image.expand(2, 3, 32, 32), MEAN, STD)
    torch.testing.assert_close(network(image), plain(normalized))
    assert torch.equal(image, before)
    # A data set that is normalised already is not normalised twice.
    mean, std = torch.full((channels, 1, 1), 0.3), torch.full((channels, 1, 1), 0.4)
    set_data_normalization([network], mean, std)
    torch.testing.assert_close(network((image - mean) / std), plain(normalized))


def kd(weights: str | None = None) -> ktgdsl.Plan:
    own = f"{{ weights = {weights} }}" if weights else ""
    return ktgdsl.loads(f"""
        graph g {{
            node s = resnet8
            node t = torchvision("resnet18", weights="DEFAULT") {own}
            target s
            edge label, t -> s
        }}
        data digits {{ batch = 128  samples = 256 }}
        train {{ epochs = 1 }}
    """)


def test_a_teacher_of_the_library_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = models.resnet18(num_classes=10).state_dict()
    enum_of_weights(tmp_path, monkeypatch, state)
    monkeypatch.setattr(pretrain, "_train", None)  # nothing is trained
    plan = kd()
    step = stepper(plan, "cpu")
    for _ in range(2):
        step(torch.rand(4, 1, 8, 8), torch.arange(4))
    actual = step.graph.networks["t"].state_dict()
    assert actual.keys() == state.keys()
    assert all(torch.equal(actual[name], tensor) for name, tensor in state.items())
    assert plan.digest == kd("own").digest


def test_a_run_with_it_can_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enum_of_weights(tmp_path, monkeypatch, models.resnet18(num_classes=10).state_dict())
    result = ktgdsl.run(kd(), out=tmp_path / "run", device="cpu")
    image, label = digits_of_test()
    right = (ktgdsl.load_network(tmp_path / "run", "t")(image).argmax(1) == label).float().mean()
    assert result.nodes["t"].accuracy.mean == pytest.approx(100 * right.item())


def digits_of_test() -> tuple[Tensor, Tensor]:
    split = load_splits(kd().data, 0, torch.device("cpu")).test
    return split.batch(slice(None))


@pytest.mark.usefixtures("downloaded")
def test_a_teacher_with_another_number_of_classes_is_refused() -> None:
    message, help = refused(kd())
    assert message == (
        'the network torchvision("resnet18") of node `t` has weights for 1,000 classes, and the '
        "data have 10: its classifier would be new, and frozen as it is"
    )
    assert help is not None
    assert "in a run of its own" in help
    build(plan_of("torchvision", name="resnet18", weights="DEFAULT"))  # where it learns it may


@pytest.mark.usefixtures("downloaded")
def test_the_refusal_shows_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "kd.ktg"
    spec.write_text(KD)
    assert cli.main(["run", str(spec), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert "error[E505]: the network torchvision" in error
    assert "kd.ktg:1:46" in error
    assert not (tmp_path / "run").exists()


KD = """graph g { node s = resnet8 target s node t = torchvision("resnet18", weights="DEFAULT")
    edge label, t -> s }
"""


@pytest.mark.parametrize(
    ("name", "weights", "channels", "problem", "help"),
    [
        ("resnet81", None, 3, "none of those that torchvision has for classification",
         "did you mean `resnet18`?"),
        ("fasterrcnn_resnet50_fpn", None, 3, "for classification", "`"),
        ("googlenet", None, 3, "more than logits", "python(...)"),
        ("inception_v3", "DEFAULT", 3, "more than logits", "python(...)"),
        ("resnet18", None, 4, "those of the data have 4", "python(...)"),
        ("resnet18", "IMAGENET", 3, 'has no weights "IMAGENET"', '"IMAGENET1K_V1", "DEFAULT"'),
    ],
)  # fmt: skip
def test_what_cannot_be_made_says_why(
    name: str, weights: str | None, channels: int, problem: str, help: str
) -> None:
    with pytest.raises(UnusableError) as caught:
        torchvision_network(name, weights, channels, 10)
    assert problem in str(caught.value)
    assert caught.value.help is not None
    assert help in caught.value.help


def refused(plan: ktgdsl.Plan) -> tuple[str, str | None]:
    with pytest.raises(ktgdsl.RunError) as caught:
        build(plan)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E505"
    return diagnostic.message, diagnostic.help


def test_a_refusal_names_the_node() -> None:
    message, help = refused(plan_of("torchvision", name="resnet81", weights=None))
    assert message.startswith('the network torchvision("resnet81") of node `a` is none of those')
    assert help == "did you mean `resnet18`?"


def test_a_download_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str) -> object:
        raise OSError("the network is unreachable")

    monkeypatch.setattr(models, "get_model_weights", unreachable)
    message, _ = refused(plan_of("torchvision", name="resnet18", weights="DEFAULT"))
    assert "cannot be made: OSError: the network is unreachable" in message


def test_a_network_that_the_images_are_too_small_for_is_told(tmp_path: Path) -> None:
    text = """
        graph g { node a = torchvision("vit_b_16") target a edge label -> a }
        train { epochs = 1 }
    """
    with pytest.raises(ktgdsl.RunError, match="fails on images"):
        ktgdsl.run(ktgdsl.loads(text), out=tmp_path / "run", device="cpu")


def test_the_names_that_the_front_end_knows_are_those_of_the_library() -> None:
    assert set(models.list_models(module=models)) == NAMES


# timm, which need not be installed


def test_without_timm_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    message, help = refused(plan_of("timm", name="resnet18", pretrained=False))
    assert message.startswith('the network timm("resnet18") of node `a` cannot be made: ')
    assert "timm" in message.partition("made: ")[2]
    assert help == "pip install timm, or ktgdsl with [timm]"


def test_timm_is_told_the_classes_and_the_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def create_model(name: str, **options: Any) -> nn.Module:
        asked.append({"name": name, **options})
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, options["num_classes"]))
        network.__dict__["pretrained_cfg"] = {"num_classes": 1000, "mean": MEAN, "std": STD}
        return network

    fake = types.ModuleType("timm")
    fake.__dict__.update(create_model=create_model, list_models=lambda: ["resnet18", "vit_tiny"])
    monkeypatch.setitem(sys.modules, "timm", fake)
    build(plan_of("timm", name="resnet18.a1_in1k", pretrained=True))
    build(plan_of("timm", name="vit_tiny", pretrained=False, drop_rate=0.1))
    assert asked == [
        {"name": "resnet18.a1_in1k", "pretrained": True, "num_classes": 10, "in_chans": 3},
        {
            "name": "vit_tiny",
            "pretrained": False,
            "num_classes": 10,
            "in_chans": 1,
            "drop_rate": 0.1,
        },
    ]
    frozen = plan_of("timm", name="resnet18", pretrained=True)
    teacher = frozen.graph.nodes[0].model_copy(update={"frozen": "it is given", "weights": "own"})
    nodes = (teacher, *frozen.graph.nodes[1:])
    graph = frozen.graph.model_copy(update={"nodes": nodes, "edges": frozen.graph.edges[1:]})
    message, _ = refused(frozen.model_copy(update={"graph": graph}))
    assert "has weights for 1,000 classes, and the data have 10" in message
    _, help = refused(plan_of("timm", name="resnet81", pretrained=False))
    assert help == "did you mean `resnet18`?"


def test_our_own_networks_need_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *given: Any) -> Any:
        assert name.partition(".")[0] not in ("torchvision", "timm")
        return imported(name, *given)

    def refuse(module: str) -> Callable[..., object]:
        raise AssertionError(module)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(library, "import_module", refuse)
    build(tiny_plan(["a"]))
