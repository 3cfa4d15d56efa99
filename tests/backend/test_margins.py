"""The margins of `overhaul`: whose batch norm they are of, and what they do in a graph."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import ktgdsl
from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.margins import Margin, norm_before
from ktgdsl.backend.networks import make
from ktgdsl.backend.taps import UnknownTapError
from ktgdsl.errors import EdgeError
from ktgdsl.plan.model import Plan


def plan(edge: str, source: str = "resnet8") -> Plan:
    loaded: Plan = ktgdsl.loads(
        f"graph test {{ node t = {source} node s = resnet8 target s edge label -> * {edge} }}"
    )
    return loaded


OVERHAUL = "edge t.stage2.pre -> s.stage2.pre : overhaul"
IMAGE = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABEL = torch.arange(4)


# Which batch norm


def sequence(*modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 1), *modules)


def norm() -> nn.BatchNorm2d:
    return nn.BatchNorm2d(2)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet": lambda: make("resnet", {"depth": 14}, 1, 10),
    "wrn": lambda: make("wrn", {"depth": 16, "widen": 1, "dropout": 0.0}, 1, 10),
    "norm, relu": lambda: nn.Sequential(sequence(norm(), nn.Identity(), nn.ReLU())),
    "nested": lambda: nn.Sequential(sequence(norm()), nn.ReLU()),
    "act": lambda: nn.Sequential(sequence(nn.ReLU()), norm(), sequence(nn.ReLU())),
}


@pytest.mark.parametrize(
    ("network", "tap", "found"),
    [
        ("resnet", "stem.pre", "stem.1"),
        ("resnet", "stage2.pre", "stage2.1.bn2"),
        ("resnet", "stage2.0.pre", "stage2.0.bn2"),
        ("resnet", "stage3.0.bn1", "stage3.0.bn1"),
        ("resnet", "stage2", None),
        ("resnet", "stage2.0.conv1", None),
        ("wrn", "stem.pre", "stage1.0.bn1"),
        ("wrn", "stage2.pre", "stage3.0.bn1"),
        ("wrn", "stage3.pre", "features.0"),
        ("wrn", "features.pre", "features.0"),
        ("wrn", "stage2", None),
        ("norm, relu", "0.pre", "0.1"),
        ("norm, relu", "0", None),
        ("nested", "1.pre", "0.1"),
        ("nested", "0", "0.1"),
        ("act", "0.pre", None),
        ("act", "2.pre", None),
    ],
)
def test_the_norm_before_a_tap(network: str, tap: str, found: str | None) -> None:
    module = NETWORKS[network]()
    got = norm_before(module, tap)
    assert got is (None if found is None else module.get_submodule(found))


@pytest.mark.parametrize(("block", "last"), [("BasicBlock", "bn2"), ("Bottleneck", "bn3")])
def test_of_a_block_of_torchvision_not_that_of_its_shortcut(block: str, last: str) -> None:
    resnet = pytest.importorskip("torchvision.models.resnet")
    network = resnet.ResNet(getattr(resnet, block), [1, 1, 1, 1])
    assert network.layer2[0].downsample is not None
    for tap in ("layer2.pre", "layer2.0.pre", "layer2.0.relu.pre"):
        assert norm_before(network, tap) is getattr(network.layer2[0], last)


def test_a_relu_of_several_blocks_is_no_end_of_one() -> None:
    relu = nn.ReLU()
    network = nn.Sequential(sequence(norm(), relu), sequence(norm(), relu))
    with pytest.raises(UnknownTapError, match=r"`0\.2` is a ReLU elsewhere as well"):
        norm_before(network, "0.pre")


def test_a_norm_without_weights_is_standard_normal() -> None:
    margin = Margin(nn.BatchNorm2d(2, affine=False))(torch.zeros(1, 2, 1, 1))
    assert margin.tolist() == pytest.approx([-math.sqrt(2 / math.pi)] * 2)


# In a graph


def built(edge: str = OVERHAUL, source: str = "resnet8") -> TrainingGraph:
    graph = ktgdsl.build(plan(edge, source)).double()
    generator = torch.Generator().manual_seed(1)
    for module in graph.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator))
                module.bias.copy_(torch.randn(module.bias.shape, generator=generator))
    return graph


def normal_margins(network: nn.Module, path: str) -> NDArray[np.float64]:
    """μ - σ φ(μ / σ) / Φ(-μ / σ), or -3σ, channel by channel."""
    found = []
    module: Any = network.get_submodule(path)
    for weight, mu in zip(module.weight.tolist(), module.bias.tolist(), strict=True):
        sigma = abs(weight)
        below = 0.5 * math.erfc(mu / sigma / math.sqrt(2))
        density = math.exp(-((mu / sigma) ** 2) / 2) / math.sqrt(2 * math.pi)
        found.append(mu - sigma * density / below if below > 0.001 else -3 * sigma)
    return np.array(found)


@pytest.mark.parametrize(
    ("source", "path"), [("resnet8", "stage2.0.bn2"), ("wrn10_1", "stage3.0.bn1")]
)
@pytest.mark.parametrize("margin", ["norm", "batch"])
def test_value_and_gradient(source: str, path: str, margin: str) -> None:
    """Against the formula in NumPy, with the connector's outputs as the destination."""
    graph = built(f"{OVERHAUL}(margin={margin})", source)
    connector = graph.get_submodule("connector_overhaul_t_stage2_pre_to_s_stage2_pre")
    kept: dict[str, torch.Tensor] = {}

    def keep(_: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        output.retain_grad()
        kept["r"] = output

    connector.register_forward_hook(keep)
    module = graph.networks["t"].get_submodule(path)
    if source == "resnet8":
        end = graph.networks["t"].get_submodule("stage2.0.relu")
        end.register_forward_pre_hook(lambda _, inputs: kept.update(f=inputs[0].clone()))
    else:
        module.register_forward_hook(lambda _, inputs, output: kept.update(f=output.clone()))
    edge = graph(IMAGE, LABEL, 0.5).edges["t.stage2.pre", "s.stage2.pre"]
    edge.backward()

    f, r = (kept[name].detach().numpy() for name in ("f", "r"))
    negative = f < 0
    means = np.where(negative, f, 0).sum((0, 2, 3)) / np.maximum(negative.sum((0, 2, 3)), 1)
    m = normal_margins(graph.networks["t"], path) if margin == "norm" else means
    g = np.maximum(f, m[None, :, None, None])
    counts = (r > g) | (g > 0)
    assert 0.1 < counts.mean() < 0.9
    want = np.where(counts, (r - g) ** 2, 0).sum((1, 2, 3)).mean()
    assert edge.item() == pytest.approx(want, rel=1e-9)
    slope = np.where(counts, 2 * (r - g), 0) / len(f)
    assert kept["r"].grad is not None
    np.testing.assert_allclose(kept["r"].grad.numpy(), slope, rtol=1e-9, atol=1e-12)


def test_the_source_learns_nothing_and_its_margins_are_those_of_now() -> None:
    graph = built()
    edge = graph(IMAGE, LABEL, 0.5).edges["t.stage2.pre", "s.stage2.pre"]
    edge.backward()
    source, destination = graph.networks["t"], graph.networks["s"]
    assert all(each.requires_grad and each.grad is None for each in source.parameters())
    reached = {
        key.partition(".")[0]
        for key, each in destination.named_parameters()
        if each.grad is not None and each.grad.any()
    }
    assert reached == {"stem", "stage1", "stage2"}
    margin = graph.get_submodule("margin_t_stage2_pre")
    features = torch.zeros(1, 32, 1, 1)
    before = margin(features)
    with torch.no_grad():
        for each in source.get_submodule("stage2.0.bn2").parameters():
            each.mul_(2)
    torch.testing.assert_close(margin(features), 2 * before)
    assert set(graph.state_dict()) == set(built().state_dict())
    assert not any(key.startswith("margin") for key in graph.state_dict())


def test_a_place_without_a_norm_is_told_at_its_edge() -> None:
    edge = 'edge t."0.conv" -> s.stage1 : overhaul'
    net = nn.Sequential(nn.Sequential(), nn.Flatten(), nn.Linear(2 * 64, 10))
    net[0].add_module("conv", nn.Conv2d(1, 2, 1))
    with pytest.raises(EdgeError, match=r"the batch norm before `0\.conv`") as caught:
        ktgdsl.build(plan(edge, 'python("m:f")'), networks={"t": net})
    assert caught.value.edge == ('t."0.conv"', "s.stage1")
    ktgdsl.build(plan(f"{edge}(margin=batch)", 'python("m:f")'), networks={"t": net})


def test_two_steps_from_a_resnet_of_torchvision() -> None:
    pytest.importorskip("torchvision")
    spec = "edge t.layer1.pre -> s.stage2.pre : overhaul via 1e-3"
    step = ktgdsl.stepper(plan(spec, 'torchvision("resnet18")'), "cpu", steps=2)
    network = step.networks["t"]
    margin = step.graph.get_submodule("margin_t_layer1_pre")
    want = normal_margins(network, "layer1.1.bn2")
    np.testing.assert_allclose(margin(torch.zeros(1, 64, 1, 1)).numpy(), want, rtol=1e-5)
    for _ in range(2):
        out = step(IMAGE.float(), LABEL)
        assert out.edges["t.layer1.pre", "s.stage2.pre"] > 0
