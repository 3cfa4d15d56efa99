"""Every loss that can be trained, on every kind of network, for two steps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import ktgdsl
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.registry import entries
from tests.specs import graph, sound
from tests.words import reads_margins, variants

OWN = """
from torch import nn
def convolutions(width=4):
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10),
    )
"""
NETWORKS = {
    "resnet8": ("stage1", "stage2", "stage1.pre"),
    "wrn10_1": ("stage1", "stage2", "stage1.pre"),
    'python("ownnets:convolutions")': ('"0"', '"1"', '"0.pre"'),
    'torchvision("mobilenet_v3_small")': ('"features.0"', '"features.1"', '"features.0.1"'),
}
"""Networks with two of their layers, from the input on, and a place after a batch norm."""


def losses(first: str, second: str, normal: str) -> Iterator[tuple[str, str]]:
    """The edge that each loss needs, and how it is written."""
    for loss in (loss for entry in entries("loss").values() for loss in variants(entry)):
        assert isinstance(loss, Loss)
        if loss.word == "python":
            continue
        written = str(loss.call()).replace("stage2", second)
        for source in loss.sources - ({"label"} if loss.from_label() else set()):
            tap = normal if reads_margins(loss) else first
            inside = f"b.{tap} -> a.{tap}" if loss.at_taps else "b -> a"
            yield {"node": inside, "label": "label -> a", "nothing": "a"}[source], written


def edges(network: str) -> dict[str, list[str]]:
    """The losses, by the edges that carry them."""
    found: dict[str, list[str]] = {}
    for edge, loss in losses(*NETWORKS[network]):
        found.setdefault(edge, []).append(f"1e-3 * {loss}")
    return found


def spec(network: str, terms: dict[str, list[str]]) -> str:
    lines = [f"edge {edge} : {', '.join(each)}" for edge, each in terms.items()]
    body = f"node a, b = {network} {{ keep = true }} target a edge label -> b " + "\n".join(lines)
    if "label -> a" not in terms:
        body += " edge label -> a"
    return graph(body, "data digits { batch = 16 }")


@pytest.mark.parametrize("network", NETWORKS)
def test_two_steps(network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ownnets.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    terms = edges(network)
    assert sum(map(len, terms.values())) >= 20
    step = ktgdsl.stepper(sound(spec(network, terms)), "cpu", steps=2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        image = torch.rand(16, 1, 8, 8, generator=generator)
        out = step(image, torch.arange(16) % 10)
        assert all(loss.isfinite() for loss in (*out.edges.values(), *out.losses.values()))
    for module in step.networks.values():
        assert all(each.isfinite().all() for each in module.parameters())
