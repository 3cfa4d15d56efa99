"""Optimisers against their formulas in NumPy, and schedules against rates by hand."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from ktgdsl.plan.model import Call, Node
from ktgdsl.training.optim import learning_rate, make_optimizers
from tests.plans import CONSTANT, RESNET8, adamw, sgd
from tests.test_front_end import in_a_fresh_process

CPU = torch.device("cpu")
Vector = NDArray[np.float64]
GRADIENTS = [np.array([1.0, -2.0, 0.5]), np.array([0.25, 1.0, -3.0]), np.array([-1.0, 0.0, 2.0])]
START = np.array([0.3, -0.7, 1.1])


class Free(nn.Module):
    """One parameter and no forward: gradients are given by hand."""

    def __init__(self, start: Vector = START) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start))


def node(name: str, optimizer: Call) -> Node:
    return Node(name=name, network=RESNET8, optimizer=optimizer, schedule=CONSTANT)


def trained(optimizer: Call) -> Vector:
    module = Free()
    (made,) = make_optimizers([node("a", optimizer)], {"a": module}, CPU).values()
    for gradient in GRADIENTS:
        module.w.grad = torch.tensor(gradient)
        made.step()
    return module.w.detach().numpy()


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_is_its_formula(momentum: float, nesterov: bool) -> None:
    w, v = START.copy(), np.zeros(3)
    for gradient in GRADIENTS:
        g = gradient + 5e-4 * w
        v = momentum * v + g
        w = w - 0.1 * (g + momentum * v if nesterov else v)
    given = trained(sgd(lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=5e-4))
    np.testing.assert_allclose(given, w, rtol=1e-12)


def test_adamw_is_its_formula() -> None:
    lr, beta1, beta2, eps, decay = 1e-3, 0.9, 0.999, 1e-8, 0.01
    w, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for t, g in enumerate(GRADIENTS, start=1):
        w = w - lr * decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    np.testing.assert_allclose(trained(adamw(lr)), w, rtol=1e-12)


@pytest.mark.parametrize("optimizer", [sgd(lr=0.1, momentum=0.9), adamw()], ids=str)
def test_updates_and_states_are_torchs_to_the_bit(optimizer: Call) -> None:
    """And a state goes over to torch's own optimiser and back."""
    theirs = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[optimizer.name]
    settings: dict[str, Any] = {**optimizer.arguments, "fused": True}
    settings |= {"betas": tuple(settings["betas"])} if "betas" in settings else {}
    ours, other = Free(), Free()
    (own,) = make_optimizers([node("a", optimizer)], {"a": ours}, CPU).values()
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


def test_a_step_does_not_import_the_compiler() -> None:
    """`torch._dynamo` takes nearly as long to import as torch: nothing that starts needs it."""
    found = in_a_fresh_process(
        "import ktgdsl, torch\n"
        "plan = ktgdsl.load('specs/dml3.ktg')\n"
        "step = ktgdsl.stepper(plan, steps=2)\n"
        "step(torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64))\n"
        "step.load_state_dict(step.state_dict())\n"
        "found['compiler'] = 'torch._dynamo' in sys.modules\n"
    )
    assert found == {"compiler": False}


def test_one_optimiser_a_kind_and_one_group_a_node() -> None:
    nodes = [node("a", sgd(lr=0.1)), node("b", adamw()), node("c", sgd(lr=0.2, momentum=0.5))]
    networks = {each.name: Free() for each in nodes}
    made = make_optimizers(nodes, networks, CPU)
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
    (made,) = make_optimizers([node("a", settings)], {"a": module}, CPU).values()
    for early, late in ((1.0, None), (1.0, 1.0)):
        module.early.grad = torch.tensor([early])
        module.late.grad = None if late is None else torch.tensor([late])
        made.step()
    assert module.early.item() == -1 - 1.5
    assert module.late.item() == -1


# Schedules: 10 steps an epoch, 100 in all, unless said otherwise


def rates(
    schedule: str, arguments: Mapping[str, Any], *, base: float = 1.0, steps: int = 100
) -> list[float]:
    call = Call(name=schedule, arguments={"warmup": 0.0, **arguments})
    return [learning_rate(call, base, k, 10, steps) for k in range(1, steps + 1)]


def test_constant() -> None:
    assert rates("constant", {}, base=0.3) == [0.3] * 100


def test_step_drops_after_full_epochs() -> None:
    # Four stairs of three epochs; the last one is cut short by the end.
    expected = [1.0] * 30 + [0.1] * 30 + [0.1**2] * 30 + [0.1**3] * 10
    assert rates("step", {"every": 3.0, "gamma": 0.1}) == expected


def test_the_papers_schedule_drops_after_60_120_and_180_epochs() -> None:
    call = Call(name="step", arguments={"every": 60.0, "gamma": 0.1, "warmup": 0.0})
    per_epoch, steps = 781, 200 * 781
    given = [
        learning_rate(call, 0.1, epoch * per_epoch + offset, per_epoch, steps)
        for epoch in (60, 120, 180)
        for offset in (0, 1)
    ]
    assert given == pytest.approx([0.1, 0.01, 0.01, 0.001, 0.001, 0.0001], rel=1e-12)


def test_a_share_of_the_steps_is_exact() -> None:
    assert rates("step", {"every": {"percent": 30}, "gamma": 0.5}, steps=420) == (
        [1.0] * 126 + [0.5] * 126 + [0.25] * 126 + [0.125] * 42
    )


@pytest.mark.parametrize(
    ("percent", "steps", "full"),
    # In floating point 7 / 100 * 100 is more than 7, and so on: the drop would come late.
    [(7, 100, 7), (14, 300, 42), (55, 420, 231), (56, 50, 28), (12.5, 1000, 125), (100, 30, 30)],
)
def test_no_share_is_rounded(percent: float, steps: int, full: int) -> None:
    given = rates("multistep", {"at": [{"percent": percent}], "gamma": 0.0}, steps=steps)
    assert given == [1.0] * full + [0.0] * (steps - full)


def test_a_share_between_two_steps_drops_at_the_next() -> None:
    # 30 % of 5 steps is 1.5: step 2 begins before it, step 3 after it.
    given = rates("step", {"every": {"percent": 30}, "gamma": 0.5}, steps=5)
    assert given == [1.0, 1.0, 0.5, 0.25, 0.25]


def test_multistep_mixes_epochs_and_shares() -> None:
    given = rates("multistep", {"at": [2.0, {"percent": 50}, 9.5], "gamma": 0.5})
    assert given == [1.0] * 20 + [0.5] * 30 + [0.25] * 45 + [0.125] * 5


def test_a_drop_is_a_power_not_a_running_product() -> None:
    given = rates("step", {"every": 0.1, "gamma": 0.7}, steps=50)
    assert given == [0.7**n for n in range(50)]


def test_cosine() -> None:
    given = rates("cosine", {"minimum": 0.2}, base=0.5)
    k = np.arange(1, 101)
    expected = 0.5 * (0.2 + 0.8 * (1 + np.cos(np.pi * (k - 1) / 100)) / 2)
    np.testing.assert_allclose(given, expected, rtol=1e-14)
    assert given[0] == 0.5
    assert given[50] == pytest.approx(0.3)


@pytest.mark.parametrize("warmup", [2.0, {"percent": 20}])
def test_warm_up_rises_to_the_full_rate(warmup: object) -> None:
    given = rates("constant", {"warmup": warmup}, base=0.5)
    assert given[:20] == [0.5 * (k / 20) for k in range(1, 21)]
    assert given[20:] == [0.5] * 80


def test_warm_up_does_not_shift_the_schedule() -> None:
    given = rates("step", {"every": 3.0, "gamma": 0.1, "warmup": 1.0})
    assert given[9:30] == [1.0] * 21
    assert given[30] == 0.1
    cosine = rates("cosine", {"minimum": 0.0, "warmup": 1.0})
    assert cosine[4] == pytest.approx(0.5 * (1 + math.cos(math.pi * 4 / 100)) / 2)
    assert cosine[10] == pytest.approx((1 + math.cos(math.pi * 10 / 100)) / 2)


def test_a_rate_is_a_plain_number() -> None:
    every: list[object] = [
        rates("constant", {"warmup": 1.0})[0],
        rates("cosine", {"minimum": 0})[1],
    ]
    assert all(type(rate) is float and not isinstance(rate, Tensor) for rate in every)
