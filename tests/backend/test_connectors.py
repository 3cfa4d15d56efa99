"""Connectors: their layers, sizes and initial weights."""

import math

import pytest
import torch
from torch import nn

from ktgdsl.backend.connectors import Connector, connector
from ktgdsl.backend.feature_losses import hint


def kinds(made: Connector) -> list[str]:
    return [type(each).__name__ for each in made.modules() if not list(each.children())]


@pytest.mark.parametrize(
    ("kind", "flat", "maps"),
    [
        ("conv", ["Linear"], ["Conv2d"]),
        ("norm", ["Linear", "BatchNorm1d", "ReLU"], ["Conv2d", "BatchNorm2d", "ReLU"]),
        ("overhaul", ["Linear", "BatchNorm1d"], ["Conv2d", "BatchNorm2d"]),
    ],
)
def test_layers(kind: str, flat: list[str], maps: list[str]) -> None:
    assert kinds(connector(kind, (8,), (4,))) == flat  # type: ignore[arg-type]  # of the cases
    made = connector(kind, (8, 4, 4), (4, 4, 4))  # type: ignore[arg-type]  # of the cases
    assert kinds(made) == maps
    first = next(each for each in made.modules() if isinstance(each, nn.Conv2d))
    assert (first.bias is not None) == (kind == "norm")
    assert first.kernel_size == (1, 1)


@pytest.mark.parametrize(
    ("source", "destination", "gives"),
    [
        ((8, 4, 4), (4, 4, 4), (8, 4, 4)),
        ((8, 2, 2), (4, 4, 4), (8, 2, 2)),
        ((8, 4, 4), (4, 2, 2), (8, 2, 2)),
        ((8,), (4,), (8,)),
        ((8,), (4, 4, 4), (8,)),
        ((8, 4, 4), (4,), (8,)),
    ],
)
@pytest.mark.parametrize("kind", ["conv", "norm", "overhaul"])
def test_shapes(
    kind: str, source: tuple[int, ...], destination: tuple[int, ...], gives: tuple[int, ...]
) -> None:
    made = connector(kind, source, destination)  # type: ignore[arg-type]  # of the cases
    found = made(torch.randn(3, *destination))
    assert found.shape == (3, *gives)
    value = hint(torch.randn(3, *source), found)
    assert value.shape == (3,)
    torch.autograd.backward(value.sum())
    assert all(each.grad is not None for each in made.parameters())


def test_a_connector_of_overhaul_is_drawn_as_in_its_code() -> None:
    torch.manual_seed(0)
    made = connector("overhaul", (200, 4, 4), (100, 4, 4))
    weight = next(made.parameters())
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 200), rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=0.003)


def test_maps_are_pooled_before_the_layers() -> None:
    """A batch norm sees what is compared, not the larger map."""
    torch.manual_seed(0)
    made = connector("norm", (2, 1, 1), (3, 2, 2)).eval()
    f = torch.randn(4, 3, 2, 2)
    assert torch.allclose(made(f), made.layers(f.mean((2, 3), keepdim=True)))
