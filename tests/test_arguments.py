"""Public functions refuse arguments of another type, and say what to write."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ktgdsl
from ktgdsl.plan.model import Plan

SPEC = "graph g { node a = resnet8 target a edge label -> a } data digits"


@pytest.mark.parametrize("name", ["build", "run", "search", "stepper"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("specs/x.ktg", 'a path is no plan; give a plan: ktgdsl.{}(ktgdsl.load("specs/x.ktg"))'),
        (Path("x.ktg"), 'a path is no plan; give a plan: ktgdsl.{}(ktgdsl.load("x.ktg"))'),
        (None, 'a NoneType is no plan; give a plan: ktgdsl.{}(ktgdsl.load("spec.ktg"))'),
    ],
)
def test_a_plan_is_asked_for(name: str, given: Any, said: str) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(ktgdsl, name)(given)
    assert str(caught.value) == said.format(name)


@pytest.mark.parametrize("name", ["load", "loads", "check"])
def test_overrides_are_a_list(name: str, tmp_path: Path) -> None:
    (tmp_path / "g.ktg").write_text(SPEC)
    take = getattr(ktgdsl, name)
    given = SPEC if name == "loads" else tmp_path / "g.ktg"
    with pytest.raises(TypeError) as caught:
        take(given, "train.epochs=5")
    assert str(caught.value) == 'overrides are a list of texts: ["train.epochs=5"]'
    assert take(given, ("train.epochs=5",)) == take(given, ["train.epochs=5"])


def pair() -> Plan:
    return ktgdsl.loads(
        "graph g { node a, b = resnet8 target a edge label -> * edge b -> a : kl }\ndata digits"
    )


def linear(classes: int, *more: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes), *more)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (linear(7), "gives (2, 7) of torch.float32, and logits of these data are (2, 10)"),
        (linear(10, nn.Unflatten(1, (5, 2))), "gives (2, 5, 2) of"),
        (nn.Linear(9, 10), "fails on images (2, 1, 8, 8): RuntimeError: "),
        (nn.LSTM(8, 10), "fails on images (2, 1, 8, 8): "),
    ],
)
def test_a_network_without_such_logits_is_told_before_the_first_step(
    network: nn.Module, said: str
) -> None:
    step = ktgdsl.stepper(pair(), "cpu", networks={"a": network})
    image, label = torch.rand(8, 1, 8, 8), torch.full((8,), 9)
    with pytest.raises(ktgdsl.RunError) as caught:
        step(image, label)
    (told,) = caught.value.diagnostics
    assert told.code == "E505"
    assert told.message.startswith(f"the network of node `a` {said}")
    assert step.taken == 0


def test_a_given_network_is_tried_once() -> None:
    """On two images, in eval mode, which is not left on."""
    calls: list[tuple[int, bool]] = []
    network = linear(10, nn.BatchNorm1d(10))
    network.register_forward_pre_hook(
        lambda module, args: calls.append((len(args[0]), module.training))
    )
    step = ktgdsl.stepper(pair(), "cpu", networks={"a": network})
    for _ in range(3):
        step(torch.rand(8, 1, 8, 8), torch.zeros(8, dtype=torch.int64))
    assert calls == [(2, False), *[(8, True)] * 3]
