"""Edges between nodes with logits for each pixel: what is of a sample meets what is of a pixel.

Formulas in NumPy, to 1e-9, and their gradients. There are as many samples as columns of pixels, so
that weights of samples that were taken for those of columns would raise no error.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ktgdsl.backend.graph import build
from tests.backend.arrays import Array, C, gradient, labels, logits, one_hot, softmax
from tests.specs import sound

B, H, W = 3, 2, 3
SHAPE = (B, C, H, W)
Z = {name: logits(SHAPE, seed) for seed, name in enumerate("abc")}
Y = labels(SHAPE, unlabeled=True)
Y[0, 0] = Z["b"][0, :, 0].argmax(0)
SAMPLE = np.array([4, 1, 2])
SHARD = np.array([1.0, 0.0, 1.0])[:, None, None]  # shard(0, 2)
CORRECT = (Z["b"].argmax(1) == Y).astype(float)
K = 0.3
N = B * H * W

OWN = """
import torch

def certain(source, destination, label, progress):
    return source.softmax(1).amax((1, 2, 3))

def distance(source, destination, label):
    return (source - destination).square().mean((1, 2, 3))

def by_pixel(source, destination, label):
    return (source - destination).square().mean(1)

def of_labels(source, destination, label):
    return -(source * destination.log_softmax(1)).sum((1, 2, 3))
"""


class Logits(nn.Module):
    """A network whose logits are its parameter, whatever it is shown."""

    def __init__(self, z: Array) -> None:
        super().__init__()
        self.z = nn.Parameter(torch.tensor(z))

    def forward(self, image: Tensor) -> Tensor:
        return self.z


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_pixels.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_pixels", None)


def kl(s: NDArray[Any], t: NDArray[Any], T: float = 1.0) -> NDArray[Any]:
    p, q = softmax(s, T), softmax(t, T)
    found: NDArray[Any] = T**2 * (p * np.log(p / q)).sum(1)
    return found


def squares(t: NDArray[Any], axes: Any) -> NDArray[Any]:
    found: NDArray[Any] = ((Z["b"] - t) * (Z["b"] - t)).mean(axes)
    return found


CERTAIN = softmax(Z["b"]).max((1, 2, 3))[:, None, None]
ACTIVE = CORRECT * SHARD
HOT = one_hot(Y)
FEWER = np.where(np.arange(B)[:, None, None] == 1, -1, Y)  # the second sample has no label at all

CASES: dict[str, tuple[str, str, Callable[[NDArray[Any]], Any]]] = {
    "through": ("kl(T=2)", "mean", lambda t: kl(Z["b"], t, 2.0).sum() / N),
    "correct": ("kl via correct", "mean", lambda t: (CORRECT * kl(Z["b"], t)).sum() / N),
    "correct, reduced by the active": (
        "kl via correct", "active", lambda t: (CORRECT * kl(Z["b"], t)).sum() / CORRECT.sum()
    ),
    "correct and linear": (
        "kl via correct * linear", "mean", lambda t: K * (CORRECT * kl(Z["b"], t)).sum() / N
    ),
    "shard": ("kl via shard(0, 2)", "mean", lambda t: (SHARD * kl(Z["b"], t)).sum() / N),
    "shard, reduced by the active": (
        "kl via shard(0, 2)", "active", lambda t: (SHARD * kl(Z["b"], t)).sum() / (2 * H * W)
    ),
    "shard, summed": (
        "kl via shard(0, 2)", "sum", lambda t: (SHARD * kl(Z["b"], t)).sum() / (H * W)
    ),
    "shard and correct": (
        "kl via correct * shard(0, 2)", "mean", lambda t: (ACTIVE * kl(Z["b"], t)).sum() / N
    ),
    "shard and correct, reduced by the active": (
        "kl via shard(0, 2) * correct", "active",
        lambda t: (ACTIVE * kl(Z["b"], t)).sum() / ACTIVE.sum(),
    ),
    "shard or correct": (
        "kl via 0.5 * shard(0, 2) + 0.25 * correct", "mean",
        lambda t: ((0.5 * SHARD + 0.25 * CORRECT) * kl(Z["b"], t)).sum() / N,
    ),
    "two terms": (
        "kl via shard(0, 2), mse via correct", "mean",
        lambda t: (SHARD * kl(Z["b"], t)).sum() / N + (CORRECT * squares(t, 1)).sum() / N,
    ),
    "an own gate of samples": (
        'kl via python("own_pixels:certain") * correct', "mean",
        lambda t: (CERTAIN * CORRECT * kl(Z["b"], t)).sum() / N,
    ),
    "an own loss of samples": (
        'kl + 2 * python("own_pixels:distance")', "mean",
        lambda t: kl(Z["b"], t).sum() / N + 2 * squares(t, (1, 2, 3)).sum() / B,
    ),
    "an own loss of pixels": (
        'kl + 2 * python("own_pixels:by_pixel") via correct', "mean",
        lambda t: (CORRECT * (kl(Z["b"], t) + 2 * squares(t, 1))).sum() / N,
    ),
}  # fmt: skip


def require(text: str, reduce: str, label: NDArray[np.int64], formula: Any, source: str) -> Any:
    """Value and gradient of the only edge into `a`."""
    plan = sound(
        f"graph g {{ node a, b, c = resnet8 {{ keep = true }} target a\n edge label -> b, c\n"
        f"edge {source} -> a : {text} }} train {{ epochs = 10 reduce = {reduce} }}"
    )
    networks: dict[str, nn.Module] = {name: Logits(z) for name, z in Z.items()}
    graph = build(plan, networks=networks)
    inputs = [torch.zeros(B, 1, H, W), torch.tensor(label), K, torch.tensor(SAMPLE)]
    reads = [node for node in graph.graph.nodes if node.op == "placeholder"]
    output = graph(*inputs[: len(reads)])
    assert output.edges[source, "a"].item() == pytest.approx(float(formula(Z["a"])), rel=1e-9)
    output.losses["a"].backward()
    (parameter,) = networks["a"].parameters()
    assert parameter.grad is not None
    slope = gradient(formula, Z["a"], np.ones(()))
    np.testing.assert_allclose(parameter.grad.numpy(), slope, rtol=1e-9, atol=1e-12)
    assert all(p.grad is None for name in "bc" for p in networks[name].parameters())
    return output


@pytest.mark.parametrize("case", CASES)
def test_an_edge_between_nodes(case: str) -> None:
    text, reduce, formula = CASES[case]
    assert ACTIVE.sum() > 0
    require(text, reduce, Y, formula, "b")


def test_the_share_that_is_open_is_of_pixels() -> None:
    open_share = require(*CASES["two terms"][:2], Y, CASES["two terms"][2], "b").open["b", "a"]
    assert open_share.item() == pytest.approx(np.maximum(SHARD, CORRECT).mean())


@pytest.mark.parametrize("label", [Y, FEWER], ids=["Y", "FEWER"])
def test_an_edge_from_the_labels(label: NDArray[np.int64]) -> None:
    hot = one_hot(label)

    def ce(t: NDArray[Any]) -> Any:
        return -(hot * np.log(softmax(t))).sum() / (label >= 0).sum()

    require("ce", "mean", label, ce, "label")
    # A value of a sample is divided by the samples of which some pixel has a label.
    samples = (label >= 0).any((1, 2)).sum()

    def own(t: NDArray[Any]) -> Any:
        return -(hot * np.log(softmax(t))).sum() / samples

    require('python("own_pixels:of_labels")', "mean", label, own, "label")


def test_labels_of_no_pixel_give_zero() -> None:
    nothing = np.full_like(Y, -1)
    require("ce", "mean", nothing, lambda t: 0 * t.sum(), "label")


@pytest.mark.parametrize("combine", ["mean", "minimum"])
@pytest.mark.parametrize("gate", ["through", "correct"])
def test_an_ensemble_is_one_of_each_pixel(combine: str, gate: str) -> None:
    plan = sound(
        "graph g { node a, b, c = resnet8 { keep = true } "
        f"node e = ensemble(b, c, combine={combine}) target a\n edge label -> b, c\n"
        f"edge e -> a : kl via {gate} }}"
    )
    networks: dict[str, nn.Module] = {name: Logits(z) for name, z in Z.items()}
    output = build(plan, networks=networks)(torch.zeros(B, 1, H, W), torch.tensor(Y), K)
    z = np.stack([Z["b"], Z["c"]])
    mixed = z.mean(0)
    if combine == "minimum":
        own = np.where(Y >= 0, Y, z.sum(0).argmax(1))[:, None]
        mixed = (z - np.take_along_axis(z, own[None], axis=2)).min(0)
    weight = (mixed.argmax(1) == Y) if gate == "correct" else np.ones(Y.shape)
    if combine == "mean":  # what is reported of the other does not know the labels
        np.testing.assert_allclose(output.logits["e"].detach().numpy(), mixed, rtol=1e-12)

    def formula(t: NDArray[Any]) -> Any:
        return (weight * kl(mixed, t)).sum() / N

    assert output.edges["e", "a"].item() == pytest.approx(float(formula(Z["a"])), rel=1e-9)
    output.losses["a"].backward()
    (parameter,) = networks["a"].parameters()
    assert parameter.grad is not None
    slope = gradient(formula, Z["a"], np.ones(()))
    np.testing.assert_allclose(parameter.grad.numpy(), slope, rtol=1e-9, atol=1e-12)
