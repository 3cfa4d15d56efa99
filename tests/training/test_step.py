"""Algorithm 1: what one step computes, how often, and what it does not change."""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import TorchDispatchMode

from ktgdsl.backend.networks import make
from ktgdsl.plan.model import Call, Edge, Plan, Product
from ktgdsl.training.batches import batches
from ktgdsl.training.data import load_splits
from ktgdsl.training.prepare import stepper
from ktgdsl.training.step import Stepper
from tests.plans import CORRECT, LINEAR, adamw, edge, sgd, tiny_plan, wrn10
from tests.trained import train_plan

CPU = torch.device("cpu")
Array = NDArray[np.float64]
Batch = tuple[Tensor, Tensor]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))


def digits_of(plan: Plan, steps: int) -> list[Batch]:
    """The first batches of the plan's first epoch."""
    split = load_splits(plan.data, 0, CPU).train
    return [batch for batch, _ in zip(batches(split, 16, 0, 1), range(steps), strict=False)]


def take(step: Stepper, given: Iterable[Batch]) -> Stepper:
    for image, label in given:
        step(image, label)
    return step


def weights(step: Stepper, node: str) -> dict[str, Tensor]:
    """A copy of a node's parameters and buffers."""
    network = step.networks[node]
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different


# The algorithm in closed form, on linear networks


def linear_network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 10, bias=False, dtype=torch.float64))


def matrix(network: nn.Module) -> Array:
    weight: Array = network.state_dict()["1.weight"].numpy().copy()
    return weight


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(1, keepdims=True))
    p: Array = e / e.sum(1, keepdims=True)
    return p


def random_batch(n: int = 6) -> Batch:
    torch.manual_seed(5)
    return torch.rand(n, 1, 2, 2, dtype=torch.float64), torch.randint(10, (n,))


def test_a_step_is_algorithm_1() -> None:
    """Cross-entropy on both nodes, and KL from a to b weighted by k / k_end (Eqs. 1 to 6)."""
    plain = sgd(lr=0.5, momentum=0.0, nesterov=False, weight_decay=0.0)
    plan = tiny_plan(
        ["a", "b"],
        [("label", "a"), ("label", "b"), edge("a", "b", LINEAR)],
        targets=["a", "b"],
        optimizer=plain,
    )
    networks = {"a": linear_network(0), "b": linear_network(1)}
    W_a, W_b = matrix(networks["a"]), matrix(networks["b"])
    image, label = random_batch()
    x, y = image.flatten(1).numpy(), np.eye(10)[label.numpy()]
    step = stepper(plan, "cpu", networks=networks, steps=4)
    for k in (1, 2, 3, 4):
        output = step(image, label)
        p_a, p_b = softmax(x @ W_a.T), softmax(x @ W_b.T)
        ce_b = -(y * np.log(p_b)).sum(1).mean()
        kl_ab = (p_a * np.log(p_a / p_b)).sum(1).mean()
        np.testing.assert_allclose(output.losses["b"].item(), ce_b + k / 4 * kl_ab, rtol=1e-12)
        W_b = W_b - 0.5 * ((p_b - y) + k / 4 * (p_b - p_a)).T @ x / 6
        W_a = W_a - 0.5 * (p_a - y).T @ x / 6
        np.testing.assert_allclose(matrix(networks["a"]), W_a, rtol=1e-12)
        np.testing.assert_allclose(matrix(networks["b"]), W_b, rtol=1e-12)


def test_clipping_is_by_node() -> None:
    plain = sgd(lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0)
    plan = tiny_plan(["a", "b"], targets=["a", "b"], optimizer=plain, clip=0.01)
    networks = {"a": linear_network(0), "b": linear_network(1)}
    before = {name: matrix(network) for name, network in networks.items()}
    stepper(plan, "cpu", networks=networks)(*random_batch())
    for name, network in networks.items():
        length = np.linalg.norm(matrix(network) - before[name])
        assert length == pytest.approx(0.01, rel=1e-3)  # torch divides by the norm + 1e-6


def test_a_node_without_an_open_sample_still_steps() -> None:
    class Wrong(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            nine = torch.tensor([9], dtype=torch.int64)
            return 9.0 * nn.functional.one_hot(nine, 10).double().expand(len(image), 10)

    plan = tiny_plan(
        ["a", "b"],
        [edge("b", "a", CORRECT)],
        settings={"b": {"frozen": "frozen = true"}},
        optimizer=sgd(lr=0.5, momentum=0.9, nesterov=True, weight_decay=0.1),
    )
    networks: dict[str, nn.Module] = {"a": linear_network(0), "b": Wrong()}
    before = matrix(networks["a"])
    image, label = random_batch()
    output = stepper(plan, "cpu", networks=networks)(image, torch.zeros_like(label))
    assert output.losses["a"] == 0
    # Weight decay alone, seen through Nesterov's first step: g + 0.9 g with g = 0.1 w.
    np.testing.assert_allclose(matrix(networks["a"]), before * (1 - 0.5 * 1.9 * 0.1), rtol=1e-12)


# How often


def busy_plan(optimizer: Call | None = None) -> Plan:
    """Three nodes with every gate, two of them learning, and clipping."""
    gated = Product(factors=(CORRECT, LINEAR))
    edges: list[Edge | tuple[str, str]] = [
        ("label", "a"),
        ("label", "b"),
        edge("b", "a", gated),
        edge("t", "b", LINEAR),
    ]
    return tiny_plan(
        ["a", "b", "t"],
        edges,
        settings={"t": {"frozen": "no edge"}},
        optimizer=optimizer or sgd(),
        clip=1.0,
    )


def busy_stepper(optimizer: Call | None = None) -> Stepper:
    plan = busy_plan(optimizer)
    return stepper(plan, "cpu", networks={"t": resnet8()})


def resnet8() -> nn.Module:
    return make("resnet", {"depth": 8}, 1, 10)


@pytest.mark.usefixtures("one_thread")
def test_one_forward_one_backward_one_update(monkeypatch: pytest.MonkeyPatch) -> None:
    step = busy_stepper()
    count: Counter[str] = Counter()

    def counted(what: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            count[what] += 1

        return hook

    for name, network in step.networks.items():
        network.register_forward_hook(counted(f"forward {name}"))
        network.get_submodule("logits").register_full_backward_hook(counted(f"backward {name}"))
    backward = torch.autograd.backward

    def counted_backward(*args: Any, **options: Any) -> None:
        count["backward"] += 1
        backward(*args, **options)

    monkeypatch.setattr(torch.autograd, "backward", counted_backward)
    updates = register_optimizer_step_post_hook(counted("update"))
    try:
        take(step, digits_of(step.plan, 3))
    finally:
        updates.remove()
    names = ["forward a", "forward b", "forward t", "backward a", "backward b"]
    assert count == dict.fromkeys([*names, "backward", "update"], 3)


WAITING = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::equal",
}
"""The operators that make the host wait for the device."""


class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Counts the operators that run, those of a backward included."""

    seen: Counter[str]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.seen[func._schema.name] += 1
        return func(*args, **(kwargs or {}))


def operators(action: Callable[[], object]) -> Counter[str]:
    mode = Operators()  # type: ignore[no-untyped-call]  # nor here
    mode.seen = Counter()
    with mode:
        action()
    return mode.seen


def test_operators_are_counted_backward_included() -> None:
    def action() -> None:
        weight = torch.ones(1, requires_grad=True)
        torch.autograd.backward((weight * weight).sum())
        assert weight.item() == 1
        assert torch.ones(1) > 0

    seen = operators(action)
    assert seen["aten::_local_scalar_dense"] == 2
    assert seen["aten::mul"] == 3


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("optimizer", [sgd(), adamw()], ids=["sgd", "adamw"])
def test_a_step_never_waits_for_the_device(optimizer: Call) -> None:
    step = busy_stepper(optimizer)
    given = digits_of(step.plan, 3)
    seen = operators(lambda: take(step, given))
    assert seen["aten::convolution"] == 3 * seen["aten::convolution_backward"] / 2 > 0
    assert not WAITING & seen.keys()


def test_a_step_calls_few_operators() -> None:
    """A bound on what a ResNet8 and an edge cost: a guard, where times would be noise."""

    def count(edges: Iterable[Edge | tuple[str, str]]) -> int:
        plan = tiny_plan(["a", "b"], [("label", "a"), ("label", "b"), *edges], targets=["a", "b"])
        step, given = stepper(plan, "cpu"), digits_of(plan, 2)
        take(step, given[:1])
        return sum(operators(lambda: take(step, given[1:])).values())

    without = count([])
    assert without <= 2 * 170
    assert count([edge("a", "b"), edge("b", "a")]) - without <= 2 * 24


def test_drawing_batches_never_waits_for_the_device() -> None:
    split = load_splits(tiny_plan().data, 0, CPU).train
    seen = operators(lambda: list(batches(split, 128, 0, 1)))
    assert seen["aten::index"] == 20
    assert not WAITING & seen.keys()


def test_progress_is_k_over_k_end_in_one_tensor() -> None:
    step = stepper(tiny_plan(["a"]), "cpu", steps=3)
    seen: list[tuple[float, torch.dtype, int]] = []

    def look(_: nn.Module, args: tuple[Tensor, Tensor, Tensor]) -> None:
        progress = args[2]
        seen.append((progress.item(), progress.dtype, progress.data_ptr()))

    step.graph.register_forward_pre_hook(look)
    take(step, digits_of(step.plan, 3))
    assert [value for value, _, _ in seen] == [1 / 3, 2 / 3, 1.0]
    assert {dtype for _, dtype, _ in seen} == {torch.float64}
    assert len({place for _, _, place in seen}) == 1


# Independence, to the bit


@pytest.mark.parametrize("optimizer", [sgd(), adamw()], ids=["sgd", "adamw"])
def test_without_transfer_each_node_trains_as_it_would_alone(optimizer: Call) -> None:
    settings = {"b": {"network": wrn10(dropout=0.3)}, "c": {"network": wrn10(dropout=0.3)}}
    names = ["a", "b", "c"]
    plan = tiny_plan(names, settings=settings, targets=names, optimizer=optimizer, clip=1.0)
    given = digits_of(plan, 6)
    together = take(stepper(plan, "cpu"), given)
    for name in names:
        own = {name: settings[name]} if name in settings else {}
        single = tiny_plan([name], settings=own, optimizer=optimizer, clip=1.0)
        alone = take(stepper(single, "cpu"), given)
        assert_equal(weights(together, name), weights(alone, name))


def test_an_unrelated_node_changes_nothing() -> None:
    edges = [edge("label", "a"), edge("label", "b"), edge("b", "a"), edge("a", "b", CORRECT)]
    with_c = tiny_plan(
        ["c", "a", "b"],
        [edge("label", "c"), *edges],
        settings={"c": {"network": wrn10(dropout=0.5), "optimizer": adamw()}},
        targets=["a", "c"],
    )
    without = tiny_plan(["a", "b"], edges)
    given = digits_of(without, 6)
    one, other = (take(stepper(plan, "cpu"), given) for plan in (with_c, without))
    for name in ("a", "b"):
        assert_equal(weights(one, name), weights(other, name))


def test_the_global_random_state_neither_matters_nor_changes() -> None:
    plan = tiny_plan(["a"], settings={"a": {"network": wrn10(dropout=0.3)}})
    given = digits_of(plan, 3)
    trained = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        trained.append(weights(take(stepper(plan, "cpu"), given), "a"))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert_equal(*trained)


def test_the_seed_is_the_plans_unless_given() -> None:
    def first(plan_seed: int, seed: int | None) -> Tensor:
        step = stepper(tiny_plan(["a"], seed=plan_seed), "cpu", seed=seed)
        return weights(step, "a")["logits.weight"]

    assert torch.equal(first(3, None), first(0, 3))
    assert not torch.equal(first(0, None), first(3, None))


def test_a_frozen_node_is_bit_equal_before_and_after() -> None:
    step = busy_stepper()
    before = weights(step, "t")
    take(step, digits_of(step.plan, 3))
    assert_equal(weights(step, "t"), before)


# Beside the user's own loop


def test_steps_in_a_loop_of_the_caller_equal_those_of_a_run() -> None:
    plan = tiny_plan(["a", "b"], [("label", "a"), ("label", "b"), ("b", "a")], data={"batch": 128})
    theirs = train_plan(plan).stepper
    mine = stepper(plan, "cpu")
    split = load_splits(plan.data, 0, CPU).train
    take(mine, batches(split, 128, 0, 1))
    assert mine.taken == mine.steps == 10
    for name in ("a", "b"):
        assert_equal(weights(mine, name), weights(theirs, name))


def test_a_step_restores_train_and_eval_modes() -> None:
    steps = [busy_stepper(), busy_stepper()]
    steps[1].networks["t"].load_state_dict(steps[0].networks["t"].state_dict())
    given = digits_of(steps[0].plan, 4)
    for step in steps:
        take(step, given[:2])
    steps[1].networks["a"].eval()
    steps[1].networks["t"].train()
    for step in steps:
        take(step, given[2:])
    for name in ("a", "b", "t"):
        assert_equal(weights(steps[0], name), weights(steps[1], name))


def test_a_module_inside_a_network_may_stay_in_eval_mode() -> None:
    step = stepper(tiny_plan(["a"]), "cpu")
    norm = step.networks["a"].get_submodule("stem.1").eval()
    before = norm.state_dict()["running_mean"].clone()
    take(step, digits_of(step.plan, 2))
    assert torch.equal(norm.state_dict()["running_mean"], before)


def test_the_output_holds_no_graph() -> None:
    step = busy_stepper()
    output = step(*digits_of(step.plan, 1)[0])
    tensors = [
        *output.losses.values(),
        *output.edges.values(),
        *output.logits.values(),
        *output.open.values(),
    ]
    assert set(output.losses) == {"a", "b"}
    assert set(output.logits) == {"a", "b", "t"}
    assert not any(tensor.requires_grad for tensor in tensors)


def test_a_step_beyond_the_last_is_an_error() -> None:
    step = stepper(tiny_plan(["a"]), "cpu", steps=2)
    (image, label), *_ = given = digits_of(step.plan, 2)
    take(step, given)
    before = weights(step, "a")
    with pytest.raises(RuntimeError, match=r"all 2 steps of this training are taken; .*`steps`"):
        step(image, label)
    assert_equal(weights(step, "a"), before)


def test_a_failed_step_does_not_count() -> None:
    step = stepper(tiny_plan(["a"]), "cpu")
    with pytest.raises(RuntimeError):
        step(torch.rand(4, 3, 8, 8), torch.zeros(4, dtype=torch.int64))
    assert step.taken == 0


def test_k_end_is_the_plans_unless_given() -> None:
    plan = tiny_plan(["a"], epochs=3)
    assert stepper(plan, "cpu").steps == 3 * (1297 // 16)
    assert stepper(plan, "cpu", steps=7).steps == 7


def test_each_node_has_its_own_rate() -> None:
    halves = {"every": {"percent": 50}, "gamma": 0.5, "warmup": 0.0}
    settings = {"b": {"optimizer": adamw(0.01), "schedule": Call(name="step", arguments=halves)}}
    step = stepper(tiny_plan(["a", "b"], settings=settings, targets=["a", "b"]), "cpu", steps=2)
    seen = []
    for image, label in digits_of(step.plan, 2):
        step(image, label)
        seen.append(dict(step.learning_rates))
    assert seen == [{"a": 0.1, "b": 0.01}, {"a": 0.1, "b": 0.005}]


# Going on


def through_a_file(state: Mapping[str, Any]) -> Any:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, map_location="cpu", weights_only=True)


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_resumed_stepper_is_bit_equal(cut: int) -> None:
    plan = tiny_plan(
        ["a", "b", "c"],
        [("label", "a"), ("label", "b"), ("label", "c"), ("b", "a"), edge("a", "b", LINEAR)],
        settings={
            "b": {"network": wrn10(dropout=0.4), "optimizer": adamw()},
            "c": {"network": wrn10(dropout=0.2)},
        },
        targets=["a", "c"],
    )
    given = digits_of(plan, 6)
    whole = take(stepper(plan, "cpu", steps=6), given)
    first = take(stepper(plan, "cpu", steps=6), given[:cut])
    state = through_a_file(first.state_dict())
    second = stepper(plan, "cpu", steps=6)
    second.load_state_dict(state)
    assert second.taken == cut
    take(second, given[cut:])
    for name in ("a", "b", "c"):
        assert_equal(weights(whole, name), weights(second, name))


def test_the_state_leaves_frozen_nodes_out() -> None:
    state = busy_stepper().state_dict()
    assert set(state["networks"]) == {"a", "b"}
    assert [group["node"] for group in state["optimizers"]["sgd"]["param_groups"]] == ["a", "b"]


def test_statistics_of_a_frozen_node_in_train_mode_are_part_of_the_state() -> None:
    settings = {"b": {"frozen": "frozen = true", "mode": "train"}}
    plan = tiny_plan(["a", "b"], [("label", "a"), ("b", "a")], settings=settings)
    given = digits_of(plan, 4)

    def start() -> Stepper:
        own = resnet8()
        own.load_state_dict(teacher.state_dict())
        return stepper(plan, "cpu", networks={"b": own}, steps=4)

    teacher = resnet8()
    whole = take(start(), given)
    state = through_a_file(take(start(), given[:2]).state_dict())
    second = start()
    second.load_state_dict(state)
    take(second, given[2:])
    for name in ("a", "b"):
        assert_equal(weights(whole, name), weights(second, name))
    moved = whole.networks["b"].state_dict()
    before = teacher.state_dict()
    assert {n.rpartition(".")[2] for n in moved if not torch.equal(moved[n], before[n])} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_the_repr_of_a_stepper_says_how_far_it_is() -> None:
    step = stepper(tiny_plan(["a"]), "cpu", steps=2)
    take(step, digits_of(step.plan, 1))
    assert repr(step) == "<Stepper tiny: 1 of 2 steps taken on cpu>"
