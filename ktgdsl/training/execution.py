"""How the steps of a plan are executed on a device, each choice with the reason for it."""

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import torch
from torch import nn

from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.backend.process_group import process_group
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, Plan
from ktgdsl.training.node_devices import node_devices
from ktgdsl.vocabulary.networks import Network
from ktgdsl.vocabulary.registry import entry_of

OUR_NETWORKS = frozenset({"resnet", "wrn"})

COMPILERS = ("g++", "clang++", "c++")

_SEVERAL = "nodes are on several devices"
_TOGETHER = "several processes train together"

_SIDE_BY_SIDE_UP_TO = 1.25
"""Up to this ratio of times, counted in operations, networks are side by side: cores share a
tensor with a loss of a tenth for large networks and of all their gain for small ones."""

_COMPILE_FROM_STEPS = 10_000
"""Steps from which on compiling pays on a CPU: it takes 12 to 22 s for a network, 3 s when the
cache has it, and saves 2 to 4 ms of its part in a step."""

_COMPILE_UP_TO_SIZE = 100e6
"""Multiplications for an image up to which it does. With ResNet8 a step is 1.2 times as fast on
images of 8 x 8 and 1.1 on 28 x 28; with ResNet32 on 32 x 32 (475 million) it is not."""


@dataclass(frozen=True)
class Choice:
    """A value, and the reason for it in words."""

    value: str
    why: str


@dataclass(frozen=True)
class Execution:
    """How steps are executed; `executors` carries it out.

    Attributes:
        precision: of the networks, "fp32" or "bf16" (autocast).
        compile: "on" or "off", by `torch.compile`.
        memory_format: of the weights of convolutions, "channels_last" or "contiguous".
        networks: "side by side", each in a thread of its own, or "one by one".
        launches: on a GPU "captured", a step as one CUDA graph, or "each", kernel by kernel.
        tried: the measurements of autotuning in words, None where there were none.
    """

    precision: Choice
    compile: Choice
    memory_format: Choice
    networks: Choice
    launches: Choice
    tried: str | None = None

    def as_json(self) -> dict[str, dict[str, str] | str]:
        """The value and the reason of each choice, as `environment.json` has them."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def choose_execution(
    plan: Plan, device: torch.device, networks: Mapping[str, nn.Module] | None = None
) -> Execution:
    """Choose how the steps of a plan are executed.

    Without `networks` it depends on plan and machine alone, so that a resumed training is
    computed as before.

    Args:
        plan: what is trained.
        device: where.
        networks: the user's own modules by node, used in place of the plan's networks.

    Raises:
        RunError: when the plan asks for what the machine does not have (E504).
    """
    foreign = foreign_networks(plan, networks or {})
    compiled = _compile(plan, device, foreign)
    return Execution(
        precision=_precision(plan, device),
        compile=compiled,
        memory_format=_memory_format(device),
        networks=_networks(plan, device, compiled, foreign),
        launches=_launches(plan, device, compiled, foreign),
    )


def resolved_settings(plan: Plan, execution: Execution) -> tuple[str, ...]:
    """A sentence for each setting that is `auto` in the plan, and for what was tried."""
    settings = {"precision": plan.train.precision, "compile": plan.train.compile}
    choices = {"precision": execution.precision, "compile": execution.compile}
    sentences = [
        f"{name} = auto: {choices[name].value}, {choices[name].why}"
        for name, value in settings.items()
        if value == "auto"
    ]
    return (*sentences, *([] if execution.tried is None else [f"steps: {execution.tried}"]))


def threads_per_network(networks: int) -> int:
    """How many threads compute each of so many networks that are side by side."""
    return max(1, torch.get_num_threads() // networks)


def foreign_networks(plan: Plan, networks: Mapping[str, nn.Module]) -> bool:
    """Whether some network is not one of ours.

    Such networks may share weights or a stream of random numbers, may wait for the device, and
    may draw random numbers that a replayed CUDA graph would repeat.
    """
    if any(not isinstance(network, StagedNetwork) for network in networks.values()):
        return True
    return any(node.network.name not in OUR_NETWORKS for node in plan.graph.nodes)


def _precision(plan: Plan, device: torch.device) -> Choice:
    setting = plan.train.precision
    if setting == "fp32":
        return Choice("fp32", "the spec says so")
    if setting == "bf16":
        if device.type not in ("cpu", "cuda"):
            raise _impossible("precision = bf16", f"on {device.type}", "leave it at fp32")
        return Choice("bf16", "the spec says so")
    fast, why = _bf16_is_fast(device)
    return Choice("bf16" if fast else "fp32", why)


def _bf16_is_fast(device: torch.device) -> tuple[bool, str]:
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        units = "units for" if major >= 8 else "no units for"
        return major >= 8, f"a GPU of capability {major}.{minor} has {units} bf16"
    if device.type == "cpu":
        # torch tells no more than this in public; AMX implies AVX512_BF16.
        fast = bool(torch.cpu._is_avx512_bf16_supported())
        return fast, f"this CPU has {'' if fast else 'no '}instructions for bf16 (AVX512_BF16)"
    return False, f"bf16 is not tried on {device.type}"


def _compile(plan: Plan, device: torch.device, foreign: bool) -> Choice:
    setting = plan.train.compile
    if setting == "off":
        return Choice("off", "the spec says so")
    reasons = {
        _SEVERAL: bool(node_devices(plan, device)),
        _TOGETHER: process_group().is_distributed,
    }
    several = next((why for why, holds in reasons.items() if holds), None)
    if setting == "on":
        if several:
            raise _impossible("compile = on", f"where {several}", "leave `compile` off")
        if (missing := _missing_for_compile(device)) is not None:
            raise _impossible(
                "compile = on", f"without {missing}", "install it, or leave `compile` off"
            )
        return Choice("on", "the spec says so")
    if several:
        return Choice("off", several)
    if device.type != "cpu":
        return Choice("off", f"no gain over plain steps has been measured on {device.type}")
    first, few = _COMPILE_FROM_STEPS, plan.steps < _COMPILE_FROM_STEPS
    reasons_against = {
        "a search ends most of its trainings early": plan.search is not None,
        f"it pays from {first:,} steps on, and these are {plan.steps:,}": few,
        "deterministic algorithms are asked for": torch.are_deterministic_algorithms_enabled(),
        "not all networks are ours": foreign,
        "there is no C++ compiler here": _missing_for_compile(device) is not None,
    }
    for why, holds in reasons_against.items():
        if holds:
            return Choice("off", why)
    largest = max(_parameters(node.network) for node in plan.graph.nodes)
    if math.prod(plan.data.shape[-2:]) * largest > _COMPILE_UP_TO_SIZE:
        return Choice("off", "networks of this size gain nothing from it")
    return Choice("on", "steps of small networks gain a tenth or more, which pays in a long run")


def _missing_for_compile(device: torch.device) -> str | None:
    """The tool that torch.compile needs and this machine lacks, in words; None if it has all."""
    if device.type == "cuda":
        return None if find_spec("triton") else "the package triton"
    named = os.environ.get("CXX")
    available = any(map(shutil.which, [named] if named else COMPILERS))
    return None if available else "a C++ compiler"


def _memory_format(device: torch.device) -> Choice:
    if device.type == "cpu":
        return Choice("channels_last", "convolutions are faster so on a CPU")
    return Choice("contiguous", f"no gain of channels_last has been measured on {device.type}")


def _networks(plan: Plan, device: torch.device, compiled: Choice, foreign: bool) -> Choice:
    if (why := why_one_by_one(plan, device, compiled, foreign)) is not None:
        return Choice("one by one", why)
    ratio = _time_side_by_side(plan, torch.get_num_threads())
    if ratio > _SIDE_BY_SIDE_UP_TO:
        return Choice("one by one", f"the largest would take {ratio:.2f} times as long as all do")
    return Choice(
        "side by side", "a network on a core of its own gains more than cores on a tensor"
    )


def why_one_by_one(plan: Plan, device: torch.device, compiled: Choice, foreign: bool) -> str | None:
    """Why networks cannot be side by side; None where they can, whether that pays or not."""
    reasons_against = {
        "there is one network": len(_computed(plan)) == 1,
        "only a CPU has cores to give each of them": device.type != "cpu",
        "there is one thread": torch.get_num_threads() == 1,
        "what is compiled is one program": compiled.value == "on",
        "deterministic algorithms are asked for": torch.are_deterministic_algorithms_enabled(),
        "`update = sequential` has one network learn at a time": plan.train.update == "sequential",
        "not all of them are ours": foreign,
        "some of them share layers": bool(plan.graph.shares),
        _SEVERAL: bool(node_devices(plan, device)),
        _TOGETHER: process_group().is_distributed,
    }
    return next((why for why, holds in reasons_against.items() if holds), None)


def _launches(plan: Plan, device: torch.device, compiled: Choice, foreign: bool) -> Choice:
    reasons_against = {
        "a CPU has no launches to save": device.type == "cpu",
        "only CUDA has graphs of kernels": device.type not in ("cpu", "cuda"),
        _SEVERAL: bool(node_devices(plan, device)),
        _TOGETHER: process_group().is_distributed,
        "what is compiled has few": compiled.value == "on",
        "deterministic algorithms are asked for": torch.are_deterministic_algorithms_enabled(),
        "not all of them are ours": foreign,
    }
    for why, holds in reasons_against.items():
        if holds:
            return Choice("each", why)
    return Choice("captured", "a step of small networks is thousands of launches, and this is one")


def _time_side_by_side(plan: Plan, threads: int) -> float:
    """The time of a step with networks side by side over that with all threads on each.

    Backward takes twice as long as forward, begins when all forwards are done, and the work
    of our networks is nearly in proportion to their parameters.
    """
    work = {name: _parameters(network) for name, network in _computed(plan).items()}
    learning = [work[node.name] for node in plan.graph.nodes if node.learns]
    together = (max(work.values()) + 2 * max(learning)) / threads_per_network(len(work))
    return together * threads / (sum(work.values()) + 2 * sum(learning))


def _computed(plan: Plan) -> dict[str, Call]:
    """The networks that are computed in each step, by their nodes: not those with kept outputs."""
    kept = {node.name for node in plan.graph.nodes if node.cache == "outputs" and not node.learns}
    return {name: n.network for name, n in plan.graph.networks.items() if name not in kept}


def _parameters(network: Call) -> int:
    count = entry_of(Network, network).parameters(classes=10, channels=3)
    assert count is not None  # of one of ours
    return count


def _impossible(setting: str, why: str, help: str) -> RunError:
    return RunError.single("E504", f"`{setting}` is not possible {why} here", help=help)
