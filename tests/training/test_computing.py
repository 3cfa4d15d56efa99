"""How a plan is computed: what is chosen and why, and that fast and plain mean the same."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import build
from ktgdsl.backend.networks import make
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, Edge, Plan
from ktgdsl.plan.settings import SearchPlan
from ktgdsl.training.computing import Choice, choose, lay_out
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.step import Stepper, stepper
from tests.plans import CORRECT, edge, sgd, tiny_plan

CPU = torch.device("cpu")
PAIR: list[Edge | tuple[str, str]] = [
    ("label", "a"),
    ("label", "b"),
    edge("a", "b"),
    edge("b", "a", CORRECT),
]


def pair(**train: Any) -> Plan:
    return tiny_plan(["a", "b"], PAIR, targets=["a", "b"], optimizer=sgd(lr=0.01), **train)


def batch(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(16, 1, 8, 8, generator=generator, dtype=dtype)
    return image, torch.randint(10, (16,), generator=generator)


def gradients(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    found = {}
    for node, network in networks.items():
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            found[f"{node}.{name}"] = parameter.grad.clone()
    return found


# What is chosen


def test_a_plan_that_says_it_all_has_it_so() -> None:
    chosen = choose(pair(), CPU)
    assert (chosen.precision.value, chosen.compile.value) == ("fp32", "off")
    assert chosen.precision.why == chosen.compile.why == "the spec says so"
    assert chosen.memory_format.value == "channels_last"
    assert chosen.told["precision"] == {"value": "fp32", "why": "the spec says so"}


@pytest.mark.parametrize(("able", "value"), [(True, "bf16"), (False, "fp32")])
def test_bf16_is_for_processors_with_instructions_for_it(
    able: bool, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: able)
    chosen = choose(pair(precision="auto"), CPU).precision
    assert chosen.value == value
    assert ("no instructions" in chosen.why) is not able


def long(nodes: str = "ab", epochs: int = 200, **more: Any) -> Plan:
    """81 steps an epoch."""
    return tiny_plan(nodes, epochs=epochs, compile="auto", **more)


def trial() -> Plan:
    """A long trial of a search."""
    word = Call(name="random", arguments={})
    search = SearchPlan(trials=2, sampler=word, pruner=word, objective=word, epochs=200, confirm=0,
                        dedupe=True, workers=None)  # fmt: skip
    return long().model_copy(update={"search": search})


GAIN = "steps of small networks gain a tenth or more, which pays in a long run"


@pytest.mark.parametrize(
    ("plan", "value", "why"),
    [
        (long(), "on", GAIN),
        (long(epochs=100), "off", "it pays from 10,000 steps on, and these are 8,100"),
        (long(settings={"a": {"network": Call(name="python", arguments={"function": "nets:of"})}}),
         "off", "not all networks are ours"),
        # 1.73 million parameters on 64 pixels are 111 million multiplications.
        (long(settings={"a": {"network": Call(name="resnet",
                                              arguments={"depth": 110, "stride": 1})}}),
         "off", "networks of this size gain nothing from it"),
        (trial(), "off",
         "a search ends most of its trainings early"),
    ],
)  # fmt: skip
def test_a_long_run_of_small_networks_is_compiled(
    plan: Plan, value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert choose(plan, CPU).compile == Choice(value, why)
    with deterministically(True):
        assert choose(plan, CPU).compile.value == "off"


def test_networks_of_the_caller_are_compiled_where_the_plan_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(torch, "compile", lambda turn, **_: turn)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    for plan, value in ((long(), "off"), (pair(compile="on"), "on")):
        made = stepper(plan, "cpu", networks={"a": linear})
        assert made.computing.compile.value == value


def test_what_is_compiled_is_kept_with_the_other_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(torch, "compile", lambda turn, **_: turn)
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    stepper(pair(compile="on"), "cpu")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "compiled")


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert choose(long(), CPU).compile == Choice("off", "there is no C++ compiler here")
    with pytest.raises(RunError, match=r"`compile = on` .* without a C\+\+ compiler") as caught:
        stepper(pair(compile="on"), "cpu")
    assert caught.value.diagnostics[0].code == "E504"


def test_only_our_own_networks_are_laid_out() -> None:
    given = make("resnet", {"depth": 8}, 1, 10)
    step = stepper(pair(), "cpu", networks={"b": given})
    weights = [step.graph.networks[name].get_parameter("stage1.0.conv1.weight") for name in "ab"]
    assert [w.is_contiguous(memory_format=torch.channels_last) for w in weights] == [True, False]


# What equals what


def test_the_first_step_is_the_plain_one() -> None:
    plain = build(pair())
    image, label = batch()
    output = plain(image, label, 1 / 4)
    torch.autograd.backward(list(output.losses.values()))
    step = stepper(pair(), "cpu", steps=4)
    fast = step(image, label)
    for node, loss in output.losses.items():
        assert fast.losses[node].item() == pytest.approx(loss.item(), rel=1e-5)
    assert_close(gradients(step.graph.networks), gradients(plain.networks), 1e-5)


def assert_close(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], bound: float) -> None:
    assert given.keys() == wanted.keys()
    for name, tensor in wanted.items():
        np.testing.assert_allclose(given[name], tensor, rtol=bound, atol=bound, err_msg=name)


def test_in_float64_fifty_steps_are_the_plain_ones() -> None:
    def trained(*, fast: bool) -> dict[str, Tensor]:
        torch.manual_seed(0)
        networks = {name: make("resnet", {"depth": 8}, 1, 10).double() for name in "ab"}
        step = stepper(pair(), "cpu", networks=networks, steps=50)
        if fast:
            for network in networks.values():
                lay_out(network, "resnet", step.computing)
        for _ in range(50):
            step(*batch(torch.float64))
        return {
            f"{node}.{name}": tensor.detach()
            for node, network in networks.items()
            for name, tensor in network.named_parameters()
        }

    assert_close(trained(fast=True), trained(fast=False), 1e-9)


def test_bf16_is_for_the_networks_alone() -> None:
    step, full = stepper(pair(precision="bf16"), "cpu"), stepper(pair(), "cpu")
    half, plain = step(*batch()), full(*batch())
    assert {each.dtype for each in half.logits.values()} == {torch.bfloat16}
    assert {each.dtype for each in half.losses.values()} == {torch.float32}
    assert {p.dtype for p in step.graph.parameters()} == {torch.float32}
    for node, loss in plain.losses.items():
        assert half.losses[node].item() == pytest.approx(loss.item(), rel=0.05)


def compiled_step(backend: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Stepper, Stepper]:
    """A compiled and a plain stepper after a step. A graph that breaks would be an error."""
    made = partial(torch.compile, backend=backend, fullgraph=True)
    monkeypatch.setattr(torch, "compile", made)
    steppers = stepper(pair(compile="on"), "cpu"), stepper(pair(), "cpu")
    outputs = [step(*batch()) for step in steppers]
    for node, loss in outputs[1].losses.items():
        assert outputs[0].losses[node].item() == pytest.approx(loss.item(), rel=1e-5)
    return steppers


def test_the_graph_compiles_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, plain = compiled_step("eager", monkeypatch)
    assert compiled.computing.compile.value == "on"
    assert_close(gradients(compiled.graph.networks), gradients(plain.graph.networks), 1e-5)


@pytest.mark.slow
def test_a_compiled_step_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, plain = compiled_step("inductor", monkeypatch)
    assert_close(gradients(compiled.graph.networks), gradients(plain.graph.networks), 1e-5)


# Networks side by side


def networks_of(plan: Plan, threads: int, device: torch.device = CPU) -> tuple[str, str]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        chosen = choose(plan, device).networks
    finally:
        torch.set_num_threads(before)
    return chosen.value, chosen.why


SIDE_BY_SIDE = "a network on a core of its own gains more than cores on a tensor"
TALL = Call(name="resnet", arguments={"depth": 110, "stride": 1})


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_equal_networks_are_side_by_side(threads: int) -> None:
    assert networks_of(tiny_plan("abc"), threads) == ("side by side", SIDE_BY_SIDE)


@pytest.mark.parametrize(
    ("plan", "threads", "why"),
    [
        (tiny_plan("a"), 2, "there is one network"),
        (tiny_plan("abc"), 1, "there is one thread"),
        # Three threads for two cores each: (1 + 2) / 2 against (3 + 6) / 8.
        (tiny_plan("abc"), 8, "the largest would take 1.33 times as long as all do"),
        (tiny_plan("ab", update="sequential"), 2,
         "`update = sequential` has one network learn at a time"),
        # One learns while the other core waits: (1 + 2) / 1 against (2 + 2) / 2.
        (tiny_plan("at", [("label", "a"), ("t", "a")], settings={"t": {"frozen": "said"}}), 2,
         "the largest would take 1.50 times as long as all do"),
        (tiny_plan("ab", settings={"a": {"network": Call(
            name="python", arguments={"function": "nets:of"})}}), 2, "not all of them are ours"),
    ],
)  # fmt: skip
def test_networks_are_one_by_one(plan: Plan, threads: int, why: str) -> None:
    assert networks_of(plan, threads) == ("one by one", why)


@pytest.mark.parametrize(
    ("device", "settings", "why"),
    [
        ("cpu", {}, "a CPU has no launches to save"),
        ("mps", {}, "only CUDA has graphs of kernels"),
        ("cuda", {"a": {"network": Call(name="torchvision", arguments={"model": "resnet18"})}},
         "not all of them are ours"),
        ("cuda", {}, None),
    ],
)  # fmt: skip
def test_steps_of_our_networks_are_captured_on_cuda(
    device: str, settings: dict[str, Any], why: str | None
) -> None:
    plan = tiny_plan("ab", settings=settings, precision="fp32")
    chosen = choose(plan, torch.device(device)).launches
    assert (chosen.value, why) == ("captured" if why is None else "each", why and chosen.why)
    with deterministically(True):
        assert choose(plan, torch.device(device)).launches.value == "each"


def test_a_network_that_is_much_larger_than_the_others_has_all_cores() -> None:
    value, why = networks_of(tiny_plan("ab", settings={"a": {"network": TALL}}), 2)
    # 1.73 million parameters and 75 thousand: 2 x 1.73 / 1.80.
    assert (value, why[:32]) == ("one by one", "the largest would take 1.92 time")


def test_a_step_side_by_side_is_the_one_by_one_step() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fast = stepper(pair(), "cpu", steps=3)
        linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        given = stepper(pair(), "cpu", steps=3, networks={"a": linear})
    finally:
        torch.set_num_threads(before)
    assert fast.computing.networks == Choice("side by side", SIDE_BY_SIDE)
    assert given.computing.networks == Choice("one by one", "not all of them are ours")
    plain = stepper(pair(), "cpu", steps=3)
    outputs = fast(*batch()), plain(*batch())
    assert outputs[0].losses.keys() == outputs[1].losses.keys()
    for name, loss in outputs[0].losses.items():
        torch.testing.assert_close(loss, outputs[1].losses[name], rtol=1e-5, atol=1e-5)
    one, other = gradients(fast.graph.networks), gradients(plain.graph.networks)
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-4, atol=1e-5)
