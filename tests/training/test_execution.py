"""How a plan is executed: what is chosen, and why."""

from typing import Any

import pytest
import torch
from torch import nn

from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, Edge, Plan
from ktgdsl.plan.settings import SearchPlan
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.execution import Choice, choose_execution
from ktgdsl.training.prepare import stepper
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


# What is chosen


def test_settings_of_the_spec_are_followed() -> None:
    chosen = choose_execution(pair(), CPU)
    assert (chosen.precision.value, chosen.compile.value) == ("fp32", "off")
    assert chosen.precision.why == chosen.compile.why == "the spec says so"
    assert chosen.memory_format.value == "channels_last"
    assert chosen.as_json()["precision"] == {"value": "fp32", "why": "the spec says so"}


@pytest.mark.parametrize(("able", "value"), [(True, "bf16"), (False, "fp32")])
def test_bf16_is_for_processors_with_instructions_for_it(
    able: bool, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: able)
    chosen = choose_execution(pair(precision="auto"), CPU).precision
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
    assert choose_execution(plan, CPU).compile == Choice(value, why)
    with deterministically(True):
        assert choose_execution(plan, CPU).compile.value == "off"


def test_networks_of_the_caller_are_compiled_where_the_plan_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(torch, "compile", lambda turn, **_: turn)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    for plan, value in ((long(), "off"), (pair(compile="on"), "on")):
        made = stepper(plan, "cpu", networks={"a": linear})
        assert made.execution.compile.value == value


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert choose_execution(long(), CPU).compile == Choice("off", "there is no C++ compiler here")
    with pytest.raises(RunError, match=r"`compile = on` .* without a C\+\+ compiler") as caught:
        stepper(pair(compile="on"), "cpu")
    assert caught.value.diagnostics[0].code == "E504"


# Networks side by side


def networks_of(plan: Plan, threads: int, device: torch.device = CPU) -> tuple[str, str]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        chosen = choose_execution(plan, device).networks
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
    chosen = choose_execution(plan, torch.device(device)).launches
    assert (chosen.value, why) == ("captured" if why is None else "each", why and chosen.why)
    with deterministically(True):
        assert choose_execution(plan, torch.device(device)).launches.value == "each"


def test_a_network_that_is_much_larger_than_the_others_has_all_cores() -> None:
    value, why = networks_of(tiny_plan("ab", settings={"a": {"network": TALL}}), 2)
    # 1.73 million parameters and 75 thousand: 2 x 1.73 / 1.80.
    assert (value, why[:32]) == ("one by one", "the largest would take 1.92 time")
