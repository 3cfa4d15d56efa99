"""How a plan is computed on a device: precision, compilation, memory format, and why so."""

import ctypes
import math
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec

import torch
from torch import nn

from ktgdsl.backend.networks import make
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, Plan
from ktgdsl.training.cache import cache_root

LAYOUT_IS_OURS = frozenset({"resnet", "wrn", "torchvision", "timm"})
"""Networks that compute the same in any memory format; a foreign one may call `view`."""

_OURS = frozenset({"resnet", "wrn"})

COMPILERS = ("g++", "clang++", "c++")

_WORTH = 1.25
"""Up to this ratio of times, counted in operations, networks are side by side: cores share a
tensor with a loss of a tenth for large networks and of all their gain for small ones."""

_LONG = 10_000
"""Steps from which on compiling pays on a CPU: it takes 12 to 22 s for a network, 3 s when the
cache has it, and saves 2 to 4 ms of its part in a step."""

_SMALL = 100e6
"""Multiplications for an image up to which it does. With ResNet8 a step is 1.2 times as fast on
images of 8 x 8 and 1.1 on 28 x 28; with ResNet32 on 32 x 32 (475 million) it is not."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h of glibc
_ON_THE_HEAP = 32 << 20
"""Bytes up to which a block is on the heap, not mapped on its own: all that glibc allows."""
_NEVER = -1
"""How much may lie free at the end of the heap before it goes back to the system: anything."""


@dataclass(frozen=True)
class Choice:
    """A value, and the reason for it in words."""

    value: str
    why: str


@dataclass(frozen=True)
class Computing:
    """What was chosen: `fp32` or `bf16`, compiled `on` or `off`, a memory format, and whether
    networks are computed `side by side`, each in a thread, or `one by one`; on a GPU whether steps
    are `captured` as one launch, or each kernel is launched.
    """

    precision: Choice
    compile: Choice
    memory_format: Choice
    networks: Choice
    launches: Choice

    @property
    def told(self) -> dict[str, dict[str, str]]:
        """As `environment.json` has it."""
        return asdict(self)


def choose(plan: Plan, device: torch.device) -> Computing:
    """Resolve what the plan leaves to the machine. It depends on plan and machine alone, so
    that a training which is gone on with is computed as before.

    Raises:
        RunError: when the plan asks for what the machine does not have (E504).
    """
    compiled = _compile(plan, device)
    return Computing(
        precision=_precision(plan, device),
        compile=compiled,
        memory_format=_memory_format(device),
        networks=_networks(plan, device, compiled),
        launches=_launches(plan, device, compiled),
    )


def left_open(plan: Plan, computing: Computing) -> tuple[str, ...]:
    """A sentence for each setting that says `auto`: what it came to, and why."""
    asked = {"precision": plan.train.precision, "compile": plan.train.compile}
    chosen = {"precision": computing.precision, "compile": computing.compile}
    return tuple(
        f"{name} = auto: {chosen[name].value}, {chosen[name].why}"
        for name, value in asked.items()
        if value == "auto"
    )


def threads_each(networks: int) -> int:
    """With how many threads each of so many networks side by side is computed."""
    return max(1, torch.get_num_threads() // networks)


def lay_out(network: nn.Module, name: str, computing: Computing) -> None:
    """Bring a network of this name in the vocabulary into the memory format that was chosen.

    Weights alone: activations take the format of the first convolution's weights.
    """
    if name in LAYOUT_IS_OURS and computing.memory_format.value == "channels_last":
        network.to(memory_format=torch.channels_last)


@cache
def keep_freed_pages() -> bool:
    """Let glibc keep the memory that a step frees for the next one; whether it could be told.

    By default each large tensor is mapped anew, and the system clears its pages every time.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as musl
        return False
    settings = {
        _M_MMAP_THRESHOLD: _ON_THE_HEAP,
        _M_TRIM_THRESHOLD: _NEVER,
        # What one network has freed another may take: no heap for each of their threads.
        _M_ARENA_MAX: 1,
    }
    return all(mallopt(name, value) for name, value in settings.items())


def keep_compiled() -> None:
    """Let what torch compiles be kept with our other caches: torch's own is a temporary folder."""
    with suppress(RuntimeError):  # there may be no home
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_root() / "compiled"))


def _precision(plan: Plan, device: torch.device) -> Choice:
    asked = plan.train.precision
    if asked == "fp32":
        return Choice("fp32", "the spec says so")
    if asked == "bf16":
        if device.type not in ("cpu", "cuda"):
            raise _cannot("precision = bf16", f"on {device.type}", "leave it at fp32")
        return Choice("bf16", "the spec says so")
    fast, why = _bf16_is_fast(device)
    return Choice("bf16" if fast else "fp32", why)


def _bf16_is_fast(device: torch.device) -> tuple[bool, str]:
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        what = "units for" if major >= 8 else "no units for"
        return major >= 8, f"a GPU of capability {major}.{minor} has {what} bf16"
    if device.type == "cpu":
        # torch tells no more than this in public; AMX implies AVX512_BF16.
        fast = bool(torch.cpu._is_avx512_bf16_supported())
        return fast, f"this CPU has {'' if fast else 'no '}instructions for bf16 (AVX512_BF16)"
    return False, f"bf16 is not tried on {device.type}"


def _compile(plan: Plan, device: torch.device) -> Choice:
    asked = plan.train.compile
    if asked == "off":
        return Choice("off", "the spec says so")
    if asked == "on":
        if (lacking := _lacking(device)) is not None:
            raise _cannot(
                "compile = on", f"without {lacking}", "install it, or leave `compile` off"
            )
        return Choice("on", "the spec says so")
    if device.type != "cpu":
        return Choice("off", f"no gain over plain steps has been measured on {device.type}")
    reasons = {
        "a search ends most of its trainings early": plan.search is not None,
        f"it pays from {_LONG:,} steps on, and these are {plan.steps:,}": plan.steps < _LONG,
        "deterministic algorithms are asked for": torch.are_deterministic_algorithms_enabled(),
        "not all networks are ours": any(n.network.name not in _OURS for n in plan.graph.nodes),
        "there is no C++ compiler here": _lacking(device) is not None,
    }
    for why, holds in reasons.items():
        if holds:
            return Choice("off", why)
    if (
        math.prod(plan.data.shape[-2:]) * max(_parameters(n.network) for n in plan.graph.nodes)
        > _SMALL
    ):
        return Choice("off", "networks of this size gain nothing from it")
    return Choice("on", "steps of small networks gain a tenth or more, which pays in a long run")


def _lacking(device: torch.device) -> str | None:
    """What torch.compile needs and this machine does not have."""
    if device.type == "cuda":
        return None if find_spec("triton") else "the package triton"
    named = os.environ.get("CXX")
    found = any(map(shutil.which, [named] if named else COMPILERS))
    return None if found else "a C++ compiler"


def _memory_format(device: torch.device) -> Choice:
    if device.type == "cpu":
        return Choice("channels_last", "convolutions are faster so on a CPU")
    return Choice("contiguous", f"no gain of channels_last has been measured on {device.type}")


def _networks(plan: Plan, device: torch.device, compiled: Choice) -> Choice:
    nodes, threads = plan.graph.nodes, torch.get_num_threads()
    reasons = {
        "there is one network": len(nodes) == 1,
        "only a CPU has cores to give each of them": device.type != "cpu",
        "there is one thread": threads == 1,
        "what is compiled is one program": compiled.value == "on",
        "deterministic algorithms are asked for": torch.are_deterministic_algorithms_enabled(),
        "`update = sequential` has one network learn at a time": plan.train.update == "sequential",
        # They may draw from one stream of random numbers, in an order that nobody knows.
        "not all of them are ours": any(n.network.name not in _OURS for n in nodes),
    }
    for why, holds in reasons.items():
        if holds:
            return Choice("one by one", why)
    ratio = _side_by_side(plan, threads)
    if ratio > _WORTH:
        return Choice("one by one", f"the largest would take {ratio:.2f} times as long as all do")
    return Choice(
        "side by side", "a network on a core of its own gains more than cores on a tensor"
    )


def _launches(plan: Plan, device: torch.device, compiled: Choice) -> Choice:
    reasons = {
        "a CPU has no launches to save": device.type == "cpu",
        "only CUDA has graphs of kernels": device.type not in ("cpu", "cuda"),
        "what is compiled has few": compiled.value == "on",
        "deterministic algorithms are asked for": torch.are_deterministic_algorithms_enabled(),
        # They may wait for the device, or make random numbers that a replay would repeat.
        "not all of them are ours": any(n.network.name not in _OURS for n in plan.graph.nodes),
    }
    for why, holds in reasons.items():
        if holds:
            return Choice("each", why)
    return Choice("captured", "a step of small networks is thousands of launches, and this is one")


def _side_by_side(plan: Plan, threads: int) -> float:
    """The time of a step with networks side by side over that with all threads on each.

    Backward takes twice as long as forward, begins when all forwards are done, and the work
    of our networks is nearly in proportion to their parameters.
    """
    work = {node.name: _parameters(node.network) for node in plan.graph.nodes}
    learning = [work[node.name] for node in plan.graph.nodes if node.learns]
    together = (max(work.values()) + 2 * max(learning)) / threads_each(len(work))
    return together * threads / (sum(work.values()) + 2 * sum(learning))


def _parameters(network: Call) -> int:
    with torch.device("meta"):
        made = make(network.name, network.arguments, channels=3, classes=10)
    return sum(each.numel() for each in made.parameters())


def _cannot(what: str, why: str, help: str) -> RunError:
    return RunError([Diagnostic("E504", f"`{what}` is not possible {why} here", help=help)])
