"""Autotuning: times the ways to execute the steps of a long run here, and takes the fastest."""

import gc
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ktgdsl.backend.process_group import process_group
from ktgdsl.errors import RunError
from ktgdsl.files import cache_root, sealed_json, sha256, unsealed_json, write_atomic
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.training.assemble import assemble
from ktgdsl.training.execution import (
    Choice,
    Execution,
    choose_execution,
    foreign_networks,
    why_one_by_one,
)
from ktgdsl.training.random_labels import random_labels
from ktgdsl.training.versions import installed_version

LONG_RUN = 60.0
"""The shortest run, in seconds, that is autotuned; for others it would not pay."""

MAX_ROUNDS, MIN_ROUNDS = 10, 3
SHARE = 0.03
"""Timed steps of each option, and the largest share of the run's steps that all may take."""

GAIN = 0.03
"""The share by which another option has to be faster than the rule's: less may be noise."""

_TRIED = "the fastest that was tried"
_NAMES = ("networks", "memory_format", "compile")


def autotuned_execution(plan: Plan, device: torch.device) -> Execution:
    """The fastest way to execute the steps of a run, measured here; else that of the rule.

    Copies of the networks take the steps, on random images, so that nothing of the run changes. All
    options compute the same up to rounding. Nothing is measured where algorithms have to be
    deterministic, on a GPU, with networks that are not ours, with `compile = on`, in a group of
    several processes, and in a search. Measurements are cached by machine and
    computation, so that equal runs execute alike.

    Raises:
        RunError: as `choose_execution` does.
    """
    rule = choose_execution(plan, device)
    options = candidates(plan, device, rule)
    steps = plan.steps * plan.train.repeats
    is_short = len(options) * (MIN_ROUNDS + 1) > SHARE * steps
    if plan.search is not None or len(options) == 1 or is_short:
        return rule
    path = _file(plan)
    milliseconds = _load(path, options)
    if milliseconds is None:
        try:
            milliseconds = measure(plan, device, options, steps)
        except RunError:  # the run says what is wrong, and where
            milliseconds = None
        if milliseconds is None:
            return rule
        _save(path, milliseconds)
    return fastest(options, milliseconds)


def candidates(plan: Plan, device: torch.device, rule: Execution) -> tuple[Execution, ...]:
    """The ways to execute the steps of a plan, first that of the rule."""
    compiled_by_spec = plan.train.compile == "on"
    deterministic = torch.are_deterministic_algorithms_enabled()
    fixed = compiled_by_spec or deterministic or process_group().is_distributed
    if device.type != "cpu" or foreign_networks(plan, {}) or fixed:
        return (rule,)
    plain = rule if rule.compile.value == "off" else replace(rule, compile=Choice("off", _TRIED))
    found = {_values(rule): rule}
    alone = why_one_by_one(plan, device, plain.compile, foreign=False)
    for networks in ("one by one", "side by side") if alone is None else ("one by one",):
        for memory_format in ("channels_last", "contiguous"):
            option = replace(
                plain,
                memory_format=Choice(memory_format, _TRIED),
                networks=Choice(networks, alone or _TRIED),
            )
            found.setdefault(_values(option), option)
    return tuple(found.values())


def measure(
    plan: Plan,
    device: torch.device,
    options: tuple[Execution, ...],
    steps: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float] | None:
    """Milliseconds of a step by each option, medians of interleaved steps; None for a short run.

    Args:
        plan: of the run.
        device: where.
        options: those to try, first that of the rule.
        steps: of the run.
        clock: seconds.
    """
    first, *others = options
    with torch.random.fork_rng(devices=[]):
        take = {name_of(first): steps_of(plan, device, first)}

        def timed(name: str) -> float:
            start = clock()
            take[name]()
            return clock() - start

        take[name_of(first)]()
        once = timed(name_of(first))
        if once * steps < LONG_RUN:
            return None
        for option in others:
            take[name_of(option)] = steps_of(plan, device, option)
            take[name_of(option)]()
        rounds = max(MIN_ROUNDS, min(MAX_ROUNDS, int(SHARE * steps / len(options))))
        times: dict[str, list[float]] = {name: [] for name in take}
        for _ in range(rounds):
            for name, taken in times.items():
                taken.append(timed(name))
    take.clear()
    gc.collect()  # graphs refer to themselves
    return {name: round(1000 * median(taken), 3) for name, taken in times.items()}


def fastest(options: tuple[Execution, ...], milliseconds: Mapping[str, float]) -> Execution:
    """The fastest option, or the rule's unless that is clearly slower, with all measurements."""
    rule = options[0]
    best = min(options, key=lambda option: milliseconds[name_of(option)])
    if milliseconds[name_of(best)] > (1 - GAIN) * milliseconds[name_of(rule)]:
        best = rule
    others = "; ".join(
        f"{milliseconds[name_of(option)]:.1f} ms {name_of(option)}"
        for option in options
        if option is not best
    )
    text = f"{name_of(best)}, {milliseconds[name_of(best)]:.1f} ms a step when tried; {others}"
    return replace(best, tried=text)


def execution_to_resume(
    plan: Plan, device: torch.device, environment: Mapping[str, Any]
) -> Execution:
    """How a resumed run is executed: as at its start, if that was measured and is possible here.

    Args:
        plan: of the run.
        device: where it goes on.
        environment: of the run, `environment.json`.
    """
    rule = choose_execution(plan, device)
    start = environment.get("computing")
    if not isinstance(start, Mapping) or not isinstance(start.get("tried"), str):
        return rule
    choices = [start.get(name) for name in _NAMES]
    values = tuple(each.get("value") if isinstance(each, Mapping) else None for each in choices)
    same = (option for option in candidates(plan, device, rule) if _values(option) == values)
    return next((replace(option, tried=start["tried"]) for option in same), rule)


def _values(option: Execution) -> tuple[str, ...]:
    return tuple(getattr(option, name).value for name in _NAMES)


def name_of(option: Execution) -> str:
    """An option in words, such as "side by side in channels_last"."""
    networks, memory_format, compiled = _values(option)
    return f"{networks} in {memory_format}{', compiled' * (compiled == 'on')}"


def steps_of(plan: Plan, device: torch.device, option: Execution) -> Callable[[], object]:
    """A function that takes a step of the plan's longest phase by an option, on random images."""
    step = assemble(plan, device, seed=0, steps=10**9, execution=option)
    longest = max(step.program.phases, key=lambda phase: phase.epochs)
    while step.phase is not longest:
        step.end_phase()
    stream = torch.Generator().manual_seed(0)
    size, _ = plan.data.batch_sizes
    image = torch.rand(size, *plan.data.shape, generator=stream).to(device)
    label = random_labels(plan.data, size, stream).to(device)
    number = torch.arange(size, device=device)
    return lambda: step(image, label, number, image)


def _file(plan: Plan) -> Path | None:
    """The cache file for measurements of a plan's computation on this machine."""
    phases = program_of(plan, steps=1).phases
    computed = (
        [str(node.network) for node in plan.graph.networks.values()],
        [phase.updates for phase in phases],
        (plan.data.shape, plan.data.classes, plan.data.batch_sizes, *plan.data.label_shape),
        (plan.train.precision, plan.train.compile),
    )
    key = sha256(json.dumps([_machine(), repr(computed)]).encode())
    try:
        folder = cache_root() / "executions"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # there may be no home
        return None
    return folder / f"{key[:32]}.json"


def _machine() -> list[str]:
    return [
        _processor(),
        torch.backends.cpu.get_cpu_capability(),
        f"{os.cpu_count()} cores",
        f"{torch.get_num_threads()} threads",
        f"torch {torch.__version__}",
        f"ktgdsl {installed_version('ktgdsl')}",
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _load(path: Path | None, options: tuple[Execution, ...]) -> dict[str, float] | None:
    """The cached milliseconds of the options; None where some are missing."""
    if path is None:
        return None
    try:
        content, is_sealed = unsealed_json(path.read_text(encoding="utf-8"))
        if not is_sealed:
            return None
        return {name: float(content["milliseconds"][name]) for name in map(name_of, options)}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save(path: Path | None, milliseconds: Mapping[str, float]) -> None:
    if path is not None:
        text = sealed_json({"machine": _machine(), "milliseconds": dict(milliseconds)})
        try:
            write_atomic(path, text.encode())
        except OSError:  # of a cache that cannot be written, as others say
            return
