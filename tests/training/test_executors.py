"""Executors, fast as they are, compute what the plain graph does."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import build
from ktgdsl.backend.networks import make
from ktgdsl.training.execution import Choice
from ktgdsl.training.executors import apply_memory_format
from ktgdsl.training.prepare import stepper
from ktgdsl.training.step import Stepper
from tests.training.test_execution import SIDE_BY_SIDE, pair


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


def test_compiled_code_is_in_our_cache_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(torch, "compile", lambda turn, **_: turn)
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    stepper(pair(compile="on"), "cpu")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "compiled")


def test_the_memory_format_of_modules_of_the_caller_is_left() -> None:
    given = make("resnet", {"depth": 8}, 1, 10)
    step = stepper(pair(), "cpu", networks={"b": given})
    weights = [step.networks[name].get_parameter("stage1.0.conv1.weight") for name in "ab"]
    assert [w.is_contiguous(memory_format=torch.channels_last) for w in weights] == [True, False]


def test_the_first_step_equals_the_plain_graph() -> None:
    plain = build(pair())
    image, label = batch()
    output = plain(image, label, 1 / 4)
    torch.autograd.backward(list(output.losses.values()))
    step = stepper(pair(), "cpu", steps=4)
    fast = step(image, label)
    for node, loss in output.losses.items():
        assert fast.losses[node].item() == pytest.approx(loss.item(), rel=1e-5)
    assert_close(gradients(step.networks), gradients(plain.networks), 1e-5)


def assert_close(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], bound: float) -> None:
    assert given.keys() == wanted.keys()
    for name, tensor in wanted.items():
        np.testing.assert_allclose(given[name], tensor, rtol=bound, atol=bound, err_msg=name)


def test_fifty_steps_in_float64_equal_plain_ones() -> None:
    def trained(*, fast: bool) -> dict[str, Tensor]:
        torch.manual_seed(0)
        networks = {name: make("resnet", {"depth": 8}, 1, 10).double() for name in "ab"}
        step = stepper(pair(), "cpu", networks=networks, steps=50)
        if fast:
            for network in networks.values():
                apply_memory_format(network, "resnet", step.execution)
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
    assert compiled.execution.compile.value == "on"
    assert_close(gradients(compiled.networks), gradients(plain.networks), 1e-5)


@pytest.mark.slow
def test_a_compiled_step_equals_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, plain = compiled_step("inductor", monkeypatch)
    assert_close(gradients(compiled.networks), gradients(plain.networks), 1e-5)


def test_a_step_side_by_side_equals_a_step_one_by_one() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fast = stepper(pair(), "cpu", steps=3)
        linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        given = stepper(pair(), "cpu", steps=3, networks={"a": linear})
    finally:
        torch.set_num_threads(before)
    assert fast.execution.networks == Choice("side by side", SIDE_BY_SIDE)
    assert given.execution.networks == Choice("one by one", "not all of them are ours")
    plain = stepper(pair(), "cpu", steps=3)
    outputs = fast(*batch()), plain(*batch())
    assert outputs[0].losses.keys() == outputs[1].losses.keys()
    for name, loss in outputs[0].losses.items():
        torch.testing.assert_close(loss, outputs[1].losses[name], rtol=1e-5, atol=1e-5)
    one, other = gradients(fast.networks), gradients(plain.networks)
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-4, atol=1e-5)
