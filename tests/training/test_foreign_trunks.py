"""Shared layers of networks that are not built in: one set of weights, called by each network."""

import copy
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ktgdsl.backend.graph import build
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.training.prepare import stepper
from tests.specs import compiled, graph
from tests.trained import train_plan

NETS = """
from collections import OrderedDict
from torch import nn

def small(width=4):
    return nn.Sequential(OrderedDict(
        conv=nn.Conv2d(1, width, 3), norm=nn.BatchNorm2d(width), relu=nn.ReLU(inplace=True),
        flat=nn.Flatten(), drop=nn.Dropout(0.2), head=nn.Linear(width * 36, 10)))
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("foreign_trunks")
    (made / "foreign_trunk_nets.py").write_text(NETS)
    return made


def plan(folder: Path, share: str, more: str = "") -> Plan:
    text = graph(
        'node a, b = python("foreign_trunk_nets:small") target a edge label -> * edge b -> a\n'
        f"share a, b {{ layers = [conv, norm] {share} }}",
        f"data digits {{ samples = 64 batch = 32 }} train {{ epochs = 2 {more} }}",
    )
    found = compiled(text, folder=folder).plan
    assert found is not None
    return found


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.rand(8, 1, 8, 8), torch.arange(8)


@pytest.mark.parametrize("grad", ["sum", "mean"])
def test_gradients_of_all_sharers_reach_the_layers(folder: Path, grad: str) -> None:
    """Also in a graph that was pickled, and in another one of the same networks."""
    made = build(plan(folder, f"grad = {grad}")).eval()
    again = build(plan(folder, f"grad = {grad}"), networks=made.networks).eval()
    for each in (made, pickle.loads(pickle.dumps(made)), again):
        networks = each.networks
        apart = {name: copy.deepcopy(network) for name, network in networks.items()}
        image, label = batch()
        each.zero_grad()
        torch.autograd.backward([*each(image, label, 1.0).losses.values()])
        logits = {name: network(image) for name, network in apart.items()}
        transfer = nn.KLDivLoss(reduction="batchmean", log_target=True)
        source = logits["b"].detach().log_softmax(1)
        loss = cross_entropy(logits["a"], label) + transfer(logits["a"].log_softmax(1), source)
        torch.autograd.backward([loss, cross_entropy(logits["b"], label)])
        shared = networks["a"].get_parameter("conv.weight")
        assert shared is networks["b"].get_parameter("conv.weight")
        assert shared.grad is not None
        own = [network.get_parameter("conv.weight").grad for network in apart.values()]
        want = sum((x for x in own if x is not None), torch.zeros(())) / (1 + (grad == "mean"))
        torch.testing.assert_close(shared.grad, want, rtol=1e-5, atol=1e-6)


def test_a_training_counts_the_weights_once(folder: Path) -> None:
    trained = train_plan(plan(folder, "grad = mean", "optimizer = adamw"))
    groups = trained.stepper.state_dict()["optimizers"]["adamw"]["param_groups"]
    assert {each["node"]: len(each["params"]) for each in groups} == {"a": 2, "b": 2, "a.norm": 4}
    norms = [each.get_submodule("norm") for each in trained.stepper.networks.values()]
    assert norms[0] is norms[1]
    assert int(trained.stepper.networks["a"].get_buffer("norm.num_batches_tracked")) == 8


def test_a_layer_that_is_not_there(folder: Path) -> None:
    text = graph(
        'node a, b = python("foreign_trunk_nets:small") target a edge label -> * edge b -> a\n'
        "share a, b { layers = [conf] }"
    )
    found = compiled(text, folder=folder).plan
    assert found is not None
    with pytest.raises(RunError, match="the network of node `a` has no `conf` inside of it"):
        stepper(found, "cpu")
