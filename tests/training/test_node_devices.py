"""Nodes on devices of their own: the same results, what passes between, and devices not here."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ktgdsl
from ktgdsl.cli.main import main
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.program.pretraining import pretraining_plan
from ktgdsl.training import node_devices as devices
from ktgdsl.training.execution import choose_execution
from ktgdsl.training.step import Stepper
from tests.training.test_step import assert_equal, through_a_file, weights

SPEC = """
    graph g {
        node a = resnet(depth=8, width=4)
        node b = wrn10_1 SETTINGS
        target a
        edge label -> *
        edge b <-> a : kl via correct
        edge b.stage2.pre -> a.stage2.pre : 1e-3 * overhaul
        edge a.stage1 -> b.stage1 : hint
    }
    train { precision = fp32  clip = 1 }
"""


def plan(settings: str = "") -> Plan:
    loaded: Plan = ktgdsl.loads(SPEC.replace("SETTINGS", settings))
    return loaded


def batch(k: int) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(k)
    return torch.rand(4, 1, 8, 8, generator=stream), torch.randint(10, (4,), generator=stream)


def trained(step: Stepper, steps: range) -> Stepper:
    for k in steps:
        step(*batch(k))
    return step


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Have the device `cpu:1` be another one, and keep what passes between it and the run's."""
    found: list[Any] = []
    move = devices._moved

    def moving(value: Any, device: torch.device) -> Any:
        found.append((type(value).__name__, str(device)))
        return move(value, torch.device("cpu"))

    monkeypatch.setattr(devices, "_moved", moving)
    monkeypatch.setattr(devices, "choose_device", torch.device)
    to = torch.nn.Module.to
    monkeypatch.setattr(
        torch.nn.Module,
        "to",
        lambda self, *a, **k: self if a[:1] == (OTHER,) else to(self, *a, **k),
    )
    return found


OTHER = torch.device("cpu:1")


def test_a_node_elsewhere_learns_the_same(moved: list[Any]) -> None:
    here = trained(ktgdsl.stepper(plan(), "cpu", steps=4), range(4))
    assert moved == []
    there = plan('{ device = "cpu:1" }')
    whole = trained(ktgdsl.stepper(there, "cpu", steps=4), range(4))
    for name in "ab":
        assert_equal(weights(here, name), weights(whole, name))
    assert set(moved) == {("tuple", "cpu:1"), ("Tensor", "cpu")}
    first = trained(ktgdsl.stepper(there, "cpu", steps=4), range(2))
    second = ktgdsl.stepper(there, "cpu", steps=4)
    second.load_state_dict(through_a_file(first.state_dict()))
    trained(second, range(2, 4))
    for name in "ab":
        assert_equal(weights(second, name), weights(whole, name))


def test_steps_are_plain_where_there_are_several_devices(moved: list[Any]) -> None:
    chosen = choose_execution(plan('{ device = "cpu:1" }'), torch.device("cpu"))
    for choice in (chosen.launches, chosen.networks, chosen.compile):
        assert choice.value in ("each", "one by one", "off")
    compiled = plan('{ device = "cpu:1" }')
    train = compiled.train.model_copy(update={"compile": "on"})
    with pytest.raises(RunError, match="where nodes are on several devices"):
        choose_execution(compiled.model_copy(update={"train": train}), torch.device("cpu"))


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_the_device_of_the_run_costs_nothing(name: str) -> None:
    own = plan(f'{{ device = "{name}" }}')
    assert devices.node_devices(own, torch.device("cpu")) == {}
    step = ktgdsl.stepper(own, "cpu", steps=1)
    assert not step.networks["b"]._forward_pre_hooks


def test_sharers_are_on_the_device_of_the_run(moved: list[Any]) -> None:
    shared: Plan = ktgdsl.loads(
        'graph g { node a, b = resnet8 { device = "cpu:1" } target a edge label -> * '
        "share a, b { layers = [stem] } }"
    )
    with pytest.raises(RunError, match="`a` shares layers, and has to be on the run's device"):
        devices.node_devices(shared, torch.device("cpu"))


def test_pre_training_does_not_depend_on_it() -> None:
    one, other = (
        ktgdsl.loads(f"graph g {{ node a = resnet8 node t = resnet8 {{ frozen = true {more} }} "
                     "target a edge label, t -> a }")
        for more in ("", 'device = "cpu"')
    )  # fmt: skip
    plans = [pretraining_plan(each, each.graph.node("t"), 0) for each in (one, other)]
    assert plans[0].digest == plans[1].digest


def test_a_device_that_is_not_here_is_told_at_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.ktg"
    spec.write_text(SPEC.replace("SETTINGS", '{ device = "cuda:99" }'))
    assert main(["run", str(spec), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert "error[E504]: node `b`: there is no device `cuda:99` here" in said
    assert "spec.ktg:4:28" in said
    assert not (tmp_path / "run").exists()
