"""Shared layers in training: against networks with several heads that are written by hand."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from ktgdsl.backend.networks import StagedNetwork, make
from ktgdsl.plan.model import Plan
from ktgdsl.training.metrics import evaluate
from ktgdsl.training.prepare import stepper
from tests.specs import of

CPU = torch.device("cpu")
STAGES = StagedNetwork.stages
Batch = tuple[Tensor, Tensor]
PLAIN = "optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=5e-4)"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))


def two(share: str, more: str = "", train: str = "") -> Plan:
    """Two heads that teach each other, on the smallest images."""
    body = f"node a, b = resnet(8, width=4) target a edge label -> * edge a <-> b {more}"
    return of(f"{body} {share}", f"train {{ {PLAIN} schedule = constant {train} }}")


def doubles(*names: str) -> dict[str, nn.Module]:
    """A network of each name, in float64."""
    made: dict[str, nn.Module] = {}
    for number, name in enumerate(names):
        torch.manual_seed(number)
        made[name] = make("resnet", {"depth": 8, "width": 4}, 1, 10).double()
    return made


def given(steps: int, count: int = 8) -> list[Batch]:
    torch.manual_seed(7)
    return [
        (torch.rand(count, 1, 8, 8, dtype=torch.float64), torch.randint(10, (count,)))
        for _ in range(steps)
    ]


def stages(network: nn.Module, names: tuple[str, ...]) -> nn.Sequential:
    return nn.Sequential(*(network.get_submodule(name) for name in names))


def kl(source: Tensor, destination: Tensor) -> Tensor:
    p = source.detach().log_softmax(1)
    return kl_div(destination.log_softmax(1), p, log_target=True, reduction="batchmean")


def loss(logits: dict[str, Tensor], name: str, label: Tensor) -> Tensor:
    """What node `name` learns from the label and all others."""
    others = [kl(logits[each], logits[name]) for each in logits if each != name]
    return cross_entropy(logits[name], label) + sum(others, torch.zeros(()))


def sgd(parameters: Any, lr: float = 0.1) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4)


def assert_near(one: nn.Module, other: nn.Module) -> None:
    for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


# Closed forms


@pytest.mark.parametrize("grad", ["sum", "mean"])
def test_a_trunk_with_two_heads_is_trained_as_one_written_by_hand(grad: str) -> None:
    networks = doubles("a", "b")
    trunk = copy.deepcopy(stages(networks["a"], STAGES[:3]))
    heads = {name: copy.deepcopy(stages(networks[name], STAGES[3:])) for name in "ab"}
    plan = two(f"share a, b {{ layers = [stem, stage1, stage2] grad = {grad} }}")
    step = stepper(plan, CPU, networks=networks)
    optimizer = sgd([each for part in (trunk, *heads.values()) for each in part.parameters()])
    for image, label in given(5):
        output = step(image, label)
        x = trunk(image)
        logits = {name: head(x) for name, head in heads.items()}
        losses = {name: loss(logits, name, label) for name in heads}
        optimizer.zero_grad()
        torch.autograd.backward([*losses.values()])
        if grad == "mean":
            for each in trunk.parameters():
                assert each.grad is not None
                each.grad /= 2
        optimizer.step()
        for name, value in losses.items():
            torch.testing.assert_close(output.losses[name], value.detach(), rtol=1e-12, atol=1e-12)
    for name, network in step.networks.items():
        assert_near(stages(network, STAGES[:3]), trunk)
        assert_near(stages(network, STAGES[3:]), heads[name])
    assert step.networks["a"].get_submodule("stage2") is step.networks["b"].get_submodule("stage2")


@pytest.mark.parametrize("grad", ["sum", "mean"])
def test_a_trunk_on_a_trunk(grad: str) -> None:
    """a, b and c share the stem, a and b more; each layer adds or averages its own sharers'."""
    networks = doubles("a", "b", "c")
    parts = {
        "stem": copy.deepcopy(stages(networks["a"], STAGES[:1])),
        "more": copy.deepcopy(stages(networks["a"], STAGES[1:3])),
        "a": copy.deepcopy(stages(networks["a"], STAGES[3:])),
        "b": copy.deepcopy(stages(networks["b"], STAGES[3:])),
        "c": copy.deepcopy(stages(networks["c"], STAGES[1:])),
    }
    plan = of(
        "node a, b, c = resnet(8, width=4) target a edge label -> * edge * -> *\n"
        f"share a, b {{ layers = [stem, stage1, stage2] grad = {grad} }}\n"
        f"share a, c {{ layers = [stem] grad = {grad} }}",
        f"train {{ {PLAIN} schedule = constant }}",
    )
    step = stepper(plan, CPU, networks=networks)
    optimizer = sgd([each for part in parts.values() for each in part.parameters()])
    for image, label in given(3):
        output = step(image, label)
        stem = parts["stem"](image)
        more = parts["more"](stem)
        logits = {"a": parts["a"](more), "b": parts["b"](more), "c": parts["c"](stem)}
        losses = {name: loss(logits, name, label) for name in logits}
        optimizer.zero_grad()
        torch.autograd.backward([*losses.values()])
        for name, sharers in ("stem", 3), ("more", 2):
            for each in parts[name].parameters():
                assert each.grad is not None
                each.grad /= sharers if grad == "mean" else 1
        optimizer.step()
        for name, value in losses.items():
            torch.testing.assert_close(output.losses[name], value.detach(), rtol=1e-12, atol=1e-12)
    assert_near(stages(step.networks["c"], STAGES[:1]), parts["stem"])
    assert_near(stages(step.networks["b"], STAGES[1:3]), parts["more"])
    for name in "ab":
        assert_near(stages(step.networks[name], STAGES[3:]), parts[name])
    assert_near(stages(step.networks["c"], STAGES[1:]), parts["c"])


def test_a_feature_loss_in_a_trunk_reaches_it_as_the_loss_of_its_node() -> None:
    """From a frozen teacher to a place inside of the trunk: the mean over both sharers."""
    networks = doubles("a", "b", "t")
    trunk = copy.deepcopy(stages(networks["a"], STAGES[:3]))
    plan = of(
        "node a, b = resnet(8, width=4) node t = resnet(8, width=4) { frozen = true } target a\n"
        "share a, b { layers = [stem, stage1, stage2] grad = mean }\n"
        "edge label -> a, b edge t.stage1 -> a.stage1 : 10 * similarity"
    )
    step = stepper(plan, CPU, networks=networks)
    image, label = given(1)[0]
    output = step.graph(image, label, 1.0)
    transfer = output.edges["t.stage1", "a.stage1"]
    parameters = [*stages(networks["a"], STAGES[:2]).parameters()]
    found = torch.autograd.grad(transfer, parameters)

    def rows(features: Tensor) -> Tensor:
        flat = features.flatten(1)
        return nn.functional.normalize(flat @ flat.T, dim=1)

    teacher = stages(networks["t"], STAGES[:2]).eval()(image).detach()
    theirs = rows(teacher) - rows(trunk[:2](image))
    want = torch.autograd.grad(
        10 * theirs.square().sum() / len(image) ** 2, [*trunk[:2].parameters()]
    )
    for mine, other in zip(found, want, strict=True):
        torch.testing.assert_close(mine, other / 2, rtol=1e-9, atol=1e-12)


# What is computed, and what changes


def counted(network: nn.Module, names: tuple[str, ...]) -> dict[str, int]:
    """Counts the calls of submodules from here on."""
    counts = dict.fromkeys(names, 0)

    def count(name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            counts[name] += 1

        return hook

    for name in names:
        network.get_submodule(name).register_forward_hook(count(name))
    return counts


def test_a_trunk_is_called_once_a_step_and_once_a_batch_of_an_evaluation() -> None:
    plan = two("share a, b { layers = [stem, stage1] }")
    step = stepper(plan, CPU)
    counts = counted(step.networks["b"], STAGES[:3])
    image, label = given(1)[0]
    step(image.float(), label)
    assert counts == {"stem": 1, "stage1": 1, "stage2": 1}
    evaluate(step.networks, [(image.float(), label)])
    assert counts == {"stem": 2, "stage1": 2, "stage2": 2}
