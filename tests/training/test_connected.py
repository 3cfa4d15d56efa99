"""Connectors learn with their destination, are in its checkpoint, and are made from shapes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.training.step import Stepper
from tests.training.test_step import assert_equal, through_a_file, weights

HINTS = """
    graph hints {
        node s = resnet8
        node t = wrn10_2 { frozen = true }
        target s
        edge label -> s
        edge t.stage2 -> s.stage2 : hint(connector=norm)
        edge t.stage1 -> s.stage1 : 0.1 * hint
        edge t.stage2.pre -> s.stage2.pre : 1e-3 * overhaul
    }
    train { optimizer = sgd(lr=0.01)  clip = 1 }
"""
NAMES = ["connector_norm_t_stage2_to_s_stage2", "connector_conv_t_stage1_to_s_stage1",
         "connector_overhaul_t_stage2_pre_to_s_stage2_pre"]  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))


def plan(text: str = HINTS) -> Plan:
    loaded: Plan = ktgdsl.loads(text)
    return loaded


def hints(seed: int = 0) -> Stepper:
    teacher = ktgdsl.build(plan(), seed=5).networks["t"]
    return ktgdsl.stepper(plan(), "cpu", networks={"t": teacher}, steps=4, seed=seed)


def batch(k: int) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(k)
    return torch.rand(8, 1, 8, 8, generator=stream), torch.randint(10, (8,), generator=stream)


def connectors(step: Stepper) -> dict[str, nn.Module]:
    return {name: step.graph.get_submodule(name) for name in NAMES}


def copied(step: Stepper) -> list[Tensor]:
    """Their weights; a bias before a batch norm has no gradient."""
    found = [p for each in connectors(step).values() for p in each.parameters()]
    return [each.detach().clone() for each in found if each.ndim > 1]


def test_they_learn_with_the_destination_and_are_no_part_of_its_network() -> None:
    step = hints()
    before = copied(step)
    teacher = weights(step, "t")
    step(*batch(0))
    assert all(not torch.equal(old, new) for old, new in zip(before, copied(step), strict=True))
    assert_equal(weights(step, "t"), teacher)
    assert set(step.networks) == {"s", "t"}
    assert not any("connector" in key for key in step.networks["s"].state_dict())


def test_their_weights_depend_on_the_seed_and_the_edge_alone() -> None:
    one, other = copied(hints()), copied(hints(seed=1))
    assert all(torch.equal(a, b) for a, b in zip(one, copied(hints()), strict=True))
    assert not torch.equal(one[0], other[0])
    more = HINTS.replace("edge label -> s", "edge label -> s edge t.stage3 -> s.stage3 : hint")
    teacher = ktgdsl.build(plan(), seed=5).networks["t"]
    wider = ktgdsl.stepper(plan(more), "cpu", networks={"t": teacher}, steps=4)
    assert all(torch.equal(a, b) for a, b in zip(one, copied(wider), strict=True))
    assert_equal(weights(wider, "s"), weights(hints(), "s"))


def test_a_resumed_training_has_them_to_equal_bits() -> None:
    whole, first, second = hints(), hints(), hints()
    for k in range(4):
        whole(*batch(k))
    for k in range(2):
        first(*batch(k))
    second.load_state_dict(through_a_file(first.state_dict()))
    for k in range(2, 4):
        second(*batch(k))
    assert all(torch.equal(a, b) for a, b in zip(copied(whole), copied(second), strict=True))
    assert_equal(weights(whole, "s"), weights(second, "s"))


def test_edges_with_similar_names_have_connectors_of_their_own() -> None:
    text = """
        graph g {
            node p_0, p[1], t = resnet8
            target p_0, p[0]
            edge label -> *
            edge t.stage1 -> p_0.stage1, p[0].stage1 : hint
        }
    """
    graph = ktgdsl.build(plan(text))
    names = [name for name, _ in graph.named_children() if name.startswith("connector")]
    assert len(names) == 2
