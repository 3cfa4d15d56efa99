"""Losses and gates of the user's own: what they get, what they may give, and what goes wrong."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph, build
from ktgdsl.errors import EdgeError
from ktgdsl.plan.model import Plan
from tests.specs import compiled, graph

OWN = """
import torch

def squared(source, destination, label, weight=1.0):
    assert not source.requires_grad and destination.requires_grad and label.shape == (4,)
    return weight * (source - destination).square().sum(1)

def certain(source, destination, label):
    assert source is None
    return destination.softmax(1).amax(1)

def of_labels(source, destination, label):
    return -(source * destination.log_softmax(1)).sum(1)

def late(source, destination, label, progress, start=0.5):
    if source is None or source.shape != destination.shape:
        raise ValueError("no source")
    return (destination.sum(1).sigmoid() * (progress > start)).float()

def outside(source, destination, label, progress):
    return torch.full((4,), 1.5)

def mean(source, destination, label):
    return (source - destination).square().mean()

def nothing(source, destination, label, progress=None):
    return None

def fails(source, destination, label):
    raise KeyError("bank")

def leaves(source, destination, label):
    raise SystemExit(2)

def writes(source, destination, label):
    return source.sub_(1).mean(1) + destination.mean(1)

def writes_data(source, destination, label, progress):
    destination.data.mul_(0)
    return torch.ones(4)

def relabels(source, destination, label):
    label.zero_()
    return destination.mean(1)

number = 3
"""


class Logits(nn.Module):
    """A network that gives its parameters as logits."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.z = nn.Parameter(torch.randn(4, 10, generator=torch.Generator().manual_seed(seed)))

    def forward(self, image: Tensor) -> Tensor:
        return self.z


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the module `ownloss`, which no test leaves imported."""
    (tmp_path / "ownloss.py").write_text(OWN)
    yield tmp_path
    sys.modules.pop("ownloss", None)


def planned(edges: str, folder: Path) -> Plan:
    body = f"node a, b = resnet8 {{ keep = true }} target a edge label -> * {edges}"
    result = compiled(graph(body), folder=folder)
    assert result.plan is not None, [each.message for each in result.diagnostics]
    return result.plan


def built(edges: str, folder: Path) -> TrainingGraph:
    return build(planned(edges, folder), {"a": Logits(0), "b": Logits(1)})


def inputs(progress: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    label = torch.tensor([3, -1, 2, 0])
    return torch.zeros(4, 1, 8, 8), label, torch.tensor(progress, dtype=torch.float64)


def test_a_loss_of_the_users_own(folder: Path) -> None:
    module = built('edge b -> a : 0.5 * python("ownloss:squared", weight=3)', folder)
    out = module(*inputs())
    z_a, z_b = (module.networks[name].get_parameter("z") for name in "ab")
    want = 1.5 * (z_b - z_a).square().sum(1).mean()
    torch.testing.assert_close(out.edges["b", "a"], want)
    out.edges["b", "a"].backward()
    assert z_b.grad is None
    torch.testing.assert_close(z_a.grad, 3 * (z_a - z_b).detach() / 4)


def test_a_term_of_one_node_and_one_from_the_labels(folder: Path) -> None:
    edges = 'edge a : python("ownloss:certain") edge label -> a : python("ownloss:of_labels")'
    module = built(edges, folder)
    image, label, progress = inputs()
    out = module(image, label, progress)
    z = module.networks["a"].get_parameter("z")
    torch.testing.assert_close(out.edges["", "a"], z.softmax(1).amax(1).mean())
    want = nn.functional.cross_entropy(z, label, ignore_index=-1)
    torch.testing.assert_close(out.edges["label", "a"], want)


def test_a_gate_of_the_users_own_weighs_and_carries_no_gradient(folder: Path) -> None:
    module = built('edge b -> a : mse via python("ownloss:late", start=0.25)', folder)
    z_a, z_b = (module.networks[name].get_parameter("z") for name in "ab")
    assert module(*inputs(0.2)).edges["b", "a"] == 0
    found = module(*inputs(0.3)).edges["b", "a"]
    weight = z_a.sum(1).sigmoid().detach()
    torch.testing.assert_close(found, (weight * (z_a - z_b).square().mean(1)).mean())
    found.backward()
    torch.testing.assert_close(z_a.grad, (weight[:, None] * (z_a - z_b) * 2 / 40).detach())


def test_the_printed_code_imports_it_and_gives_equal_bits(folder: Path) -> None:
    module = built('edge b -> a : python("ownloss:squared", weight=2)', folder)
    code = module.code
    assert "from ownloss import squared\n" in code
    assert "squared(full_1, full_2, label, weight = 2)" in re.sub(r"_detached", "", code)
    names: dict[str, object] = {}
    sys.path.insert(0, str(folder))
    try:
        exec(code, names)
    finally:
        sys.path.remove(str(folder))
    forward = names["forward"]
    assert callable(forward)
    printed, run = forward(module, *inputs()), module(*inputs())
    assert torch.equal(printed.edges["b", "a"], run.edges["b", "a"])


def test_a_weight_outside_of_0_to_1_makes_the_loss_nan(folder: Path) -> None:
    module = built('edge b -> a via python("ownloss:outside")', folder)
    assert module(*inputs()).edges["b", "a"].isnan()


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ('edge b -> a : python("ownloss:mean")',
         'python("ownloss:mean") ... gives the shape (), and a loss gives one value a sample, (4'),
        ('edge b -> a : python("ownloss:nothing")',
         'python("ownloss:nothing") ... gives None, and a loss gives one value a sample, (4,)'),
        ('edge b -> a via python("ownloss:nothing")',
         'python("ownloss:nothing") ... gives None, and a gate gives one weight a sample, (4,)'),
        ('edge b -> a : python("ownloss:fails")', 'python("ownloss:fails") ... fails: KeyError: '),
        ('edge b -> a : python("ownloss:leaves")', 'python("ownloss:leaves") ... fails: SystemEx'),
        ('edge b -> a : python("ownloss:writes")',
         'python("ownloss:writes") ... changes its `source` in place, which other edges read'),
        ('edge b -> a via python("ownloss:writes_data")',
         'python("ownloss:writes_data") ... changes its `destination` in place, which other'),
        ('edge b -> a : python("ownloss:relabels")',
         'python("ownloss:relabels") ... changes its `label` in place, which other edges read'),
        ('edge b -> a : python("ownloss:squared", wrong=1)',
         'python("ownloss:squared") ... cannot be called: got an unexpected keyword argument'),
        ('edge b -> a : python("ownloss:number")',
         'python("ownloss:number") ... is a int, which cannot be called'),
        ('edge b -> a : python("ownloss:absent")',
         'python("ownloss:absent") ... cannot be imported: AttributeError: '),
        ('edge b -> a : python("nowhere_at_all:f")',
         'python("nowhere_at_all:f") ... cannot be imported: ModuleNotFoundError: '),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_an_error_of_the_users_code(edges: str, said: str, folder: Path) -> None:
    with pytest.raises(EdgeError) as caught:
        built(edges, folder)(*inputs())
    assert caught.value.edge == ("b", "a")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E505"
    assert diagnostic.message.startswith(said.replace("...", "of edge b -> a"))


def test_what_cannot_be_called_is_an_error_of_its_edge(folder: Path) -> None:
    with pytest.raises(EdgeError) as caught:
        built('edge b -> a : python("ownloss:squared", wrong=1)', folder)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.help is not None
    assert diagnostic.help == (
        "it has `weight`; it is called with (source, destination, label), and its own arguments "
        "by name"
    )
    with pytest.raises(EdgeError) as caught:
        built('edge b -> a : python("ownloss:squared", wieght=1)', folder)
    assert str(caught.value.diagnostics[0].help).startswith("did you mean `weight`?")


def test_checking_and_planning_run_nothing_of_the_users(folder: Path) -> None:
    (folder / "ownloss.py").write_text("raise SystemExit('was imported')")
    plan = planned('edge b -> a : python("ownloss:f") via python("ownloss:g")', folder)
    assert "ownloss" not in sys.modules
    assert Plan.from_json(plan.to_json()) == plan
