"""What published codes of mutual learning and distillation get wrong, each ruled out end to end."""

import math
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import ktgdsl
from ktgdsl.training.events import EpochDone
from ktgdsl.training.step import Stepper
from tests.trained import train_plan

CPU = torch.device("cpu")
PEERS = "node a, b = resnet8 target a, b edge label -> * edge a <-> b : kl"
TAUGHT = "node a = resnet8 node t = wrn10_1 { frozen = true } target a edge label, t -> a"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


class Seen(NamedTuple):
    """What there is after an epoch and its evaluation: tensors and learning rates by node."""

    tensors: dict[str, dict[str, Tensor]]
    rates: dict[str, float]


def plan(graph: str, settings: str = "") -> ktgdsl.Plan:
    """Three epochs of three steps each, evaluated on what is left of the digits."""
    data = "data digits { batch = 32  validation = 1200  holdout = true }"
    made: ktgdsl.Plan = ktgdsl.loads(
        f"graph g {{ {graph} }} {data} train {{ epochs = 3 {settings} }}"
    )
    return made


def trained(graph: str, settings: str) -> list[Seen]:
    """What is seen after each epoch of a training."""
    seen: list[Seen] = []

    def keep(done: EpochDone, step: Stepper) -> None:
        tensors = {name: copied(network) for name, network in step.networks.items()}
        groups = [
            g for each in step.state_dict()["optimizers"].values() for g in each["param_groups"]
        ]
        seen.append(Seen(tensors, {group["node"]: group["lr"] for group in groups}))

    train_plan(plan(graph, settings), on_epoch=keep)
    return seen


def copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
def test_a_teachers_statistics_do_not_drift(update: str) -> None:
    """Three systems leave the frozen teacher in train mode."""
    first, *_, last = trained(TAUGHT, f"update = {update}")
    assert any(name.endswith("running_mean") for name in first.tensors["t"])
    for name, tensor in first.tensors["t"].items():
        assert torch.equal(tensor, last.tensors["t"][name]), name


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
def test_a_peers_loss_does_not_teach_the_one_it_learns_from(update: str) -> None:
    """Without a detach the gradient of KL(p_a ‖ p_b) reaches a as well."""
    alone = "node a, b = resnet8 target a, b edge label -> *"
    with_edge, without = (
        trained(graph, f"update = {update}")[-1].tensors
        for graph in (f"{alone} edge a -> b : kl", alone)
    )
    assert all(torch.equal(with_edge["a"][name], without["a"][name]) for name in without["a"])
    assert not torch.equal(with_edge["b"]["logits.weight"], without["b"]["logits.weight"])


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
def test_statistics_go_on_moving_after_the_first_evaluation(update: str) -> None:
    """One code calls `eval()` to evaluate and never `train()` again."""
    seen = [each.tensors for each in trained(PEERS, f"update = {update}")]
    for name in "ab":
        batches = [int(tensors[name]["stem.1.num_batches_tracked"]) for tensors in seen]
        assert batches == [3, 6, 9]
        first, second, third = (tensors[name]["stem.1.running_mean"] for tensors in seen)
        assert not torch.equal(first, second)
        assert not torch.equal(second, third)


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
def test_every_nodes_learning_rate_follows_its_schedule(update: str) -> None:
    """One code steps the scheduler of the last model alone."""
    nodes = f"node c = resnet8 {{ optimizer = adamw }} {PEERS} target c"
    seen = trained(nodes, f"update = {update} schedule = step(every=1, gamma=0.5)")
    assert [each.rates for each in seen] == [
        {"a": 0.1 * drop, "b": 0.1 * drop, "c": 1e-3 * drop} for drop in (1, 0.5, 0.25)
    ]


def test_kl_is_summed_over_the_classes_and_averaged_over_the_batch() -> None:
    """`kl_div` with its default reduction divides by the classes as well."""

    class Says(nn.Module):
        def __init__(self, *p: float) -> None:
            super().__init__()
            self.z = nn.Parameter(torch.tensor(p + (1e-12,) * 8, dtype=torch.float64).log())

        def forward(self, image: Tensor) -> Tensor:
            return self.z.expand(len(image), 10)

    networks = {"a": Says(0.5, 0.5), "b": Says(0.25, 0.75)}
    graph = ktgdsl.build(plan(PEERS), networks=networks)
    out = graph(torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64), 1.0)
    # KL((1/2, 1/2) ‖ (1/4, 3/4)) = log(4 / 3) / 2 + ... = (log 2 + log (2/3)) / 2
    want = (math.log(2) + math.log(2 / 3)) / 2
    assert out.edges["a", "b"].item() == pytest.approx(want, rel=1e-6)


def test_a_frozen_network_has_nothing_that_trains() -> None:
    """One code sets `require_grad`, which Python takes without a word, and trains its teacher."""
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    before = copied(teacher)
    step = ktgdsl.stepper(plan(TAUGHT), "cpu", networks={"t": teacher})
    step(torch.rand(4, 1, 8, 8), torch.arange(4))
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in copied(teacher).items())


@pytest.mark.parametrize(
    "written", ["freezed = true", "frozen = 1", "frozen = yes", "Frozen = true"]
)
def test_a_misspelt_frozen_is_an_error(written: str) -> None:
    with pytest.raises(ktgdsl.SpecError) as caught:
        plan(TAUGHT.replace("frozen = true", written))
    assert all(diagnostic.code.startswith("E") for diagnostic in caught.value.diagnostics)
