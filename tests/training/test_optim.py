"""Optimisers are their formulas, and torch's own to the bit."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

import ktgdsl
from ktgdsl.plan.model import Call
from ktgdsl.program.model import Learner
from ktgdsl.training.optim import OPTIMIZERS, make_optimizers
from ktgdsl.vocabulary.registry import words
from tests.forked import Forked
from tests.paths import ROOT
from tests.plans import CONSTANT, adamw, sgd

CPU = torch.device("cpu")
Vector = NDArray[np.float64]
GRADIENTS = [np.array([1.0, -2.0, 0.5]), np.array([0.25, 1.0, -3.0]), np.array([-1.0, 0.0, 2.0])]
START = np.array([0.3, -0.7, 1.1])
ADAM = Call(name="adam", arguments={**adamw().arguments, "weight_decay": 0.05})


class Free(nn.Module):
    """One parameter and no forward: gradients are given by hand."""

    def __init__(self, start: Vector = START) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start))


def learner(name: str, optimizer: Call) -> Learner:
    return Learner(name, (f"node_{name}",), optimizer, CONSTANT, losses=(name,))


def trained(optimizer: Call) -> Vector:
    module = Free()
    (made,) = make_optimizers([learner("a", optimizer)], {"a": module}, CPU).values()
    for gradient in GRADIENTS:
        module.w.grad = torch.tensor(gradient)
        made.step()
    return module.w.detach().numpy()


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_follows_its_formula(momentum: float, nesterov: bool) -> None:
    w, v = START.copy(), np.zeros(3)
    for gradient in GRADIENTS:
        g = gradient + 5e-4 * w
        v = momentum * v + g
        w = w - 0.1 * (g + momentum * v if nesterov else v)
    given = trained(sgd(lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=5e-4))
    np.testing.assert_allclose(given, w, rtol=1e-12)


def test_adamw_follows_its_formula() -> None:
    lr, beta1, beta2, eps, decay = 1e-3, 0.9, 0.999, 1e-8, 0.01
    w, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for t, g in enumerate(GRADIENTS, start=1):
        w = w - lr * decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    np.testing.assert_allclose(trained(adamw(lr)), w, rtol=1e-12)


def test_adam_follows_its_formula() -> None:
    """Its weight decay is part of the gradient, as in Kingma and Ba's code and torch's."""
    lr, beta1, beta2, eps, decay = 1e-3, 0.9, 0.999, 1e-8, 0.05
    w, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for t, gradient in enumerate(GRADIENTS, start=1):
        g = gradient + decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    np.testing.assert_allclose(trained(ADAM), w, rtol=1e-12)


@pytest.mark.parametrize("optimizer", [sgd(lr=0.1, momentum=0.9), ADAM, adamw()], ids=str)
def test_updates_and_states_are_bit_equal_to_torchs(optimizer: Call) -> None:
    """And a state goes over to torch's own optimiser and back."""
    theirs = {"sgd": SGD, "adam": Adam, "adamw": AdamW}[optimizer.name]
    settings: dict[str, Any] = {**optimizer.arguments, "fused": True}
    settings |= {"betas": tuple(settings["betas"])} if "betas" in settings else {}
    ours, other = Free(), Free()
    (own,) = make_optimizers([learner("a", optimizer)], {"a": ours}, CPU).values()
    torchs: Optimizer = theirs(other.parameters(), **settings)
    for _ in range(2):
        for gradient in GRADIENTS:
            ours.w.grad, other.w.grad = torch.tensor(gradient), torch.tensor(gradient)
            own.step()
            torchs.step()
            assert torch.equal(ours.w, other.w)
        state = own.state_dict()
        own.load_state_dict(torchs.state_dict())
        torchs.load_state_dict(state)


def compiles_a_step() -> bool:
    """Whether a step and a resume in this process import `torch._dynamo`."""
    sys.modules.pop("torch._dynamo", None)  # the server of forked processes has it
    step = ktgdsl.stepper(ktgdsl.load(ROOT / "specs/dml3.ktg"), steps=2)
    step(torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64))
    step.load_state_dict(step.state_dict())
    return "torch._dynamo" in sys.modules


def test_a_step_does_not_import_the_compiler(tmp_path: Path) -> None:
    """`torch._dynamo` takes nearly as long to import as torch: nothing that starts needs it."""
    output = tmp_path / "output.txt"
    assert Forked(compiles_a_step, output=output).wait() == 0, output.read_text()


def test_learners_with_the_same_optimiser_share_it_with_a_group_each() -> None:
    learners = [
        learner("a", sgd(lr=0.1)),
        learner("b", adamw()),
        learner("c", sgd(lr=0.2, momentum=0.5)),
    ]
    networks = {each.name: Free() for each in learners}
    made = make_optimizers(learners, networks, CPU)
    groups = {
        kind: [(group["node"], group["lr"]) for group in optimizer.param_groups]
        for kind, optimizer in made.items()
    }
    assert groups == {"sgd": [("a", 0.1), ("c", 0.2)], "adamw": [("b", 1e-3)]}
    assert [group["momentum"] for group in made["sgd"].param_groups] == [0.9, 0.5]


def test_a_parameter_may_get_its_first_gradient_late() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.early = nn.Parameter(torch.zeros(1))
            self.late = nn.Parameter(torch.zeros(1))

    module = Two()
    settings = sgd(lr=1.0, momentum=0.5, nesterov=False, weight_decay=0)
    (made,) = make_optimizers([learner("a", settings)], {"a": module}, CPU).values()
    for early, late in ((1.0, None), (1.0, 1.0)):
        module.early.grad = torch.tensor([early])
        module.late.grad = None if late is None else torch.tensor([late])
        made.step()
    assert module.early.item() == -1 - 1.5
    assert module.late.item() == -1


def test_every_optimizer_of_the_language_can_be_made() -> None:
    assert sorted(OPTIMIZERS) == words("optimizer")
