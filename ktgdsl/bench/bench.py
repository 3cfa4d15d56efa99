"""Benchmarks a plan on this machine: the measurements, one after the other."""

import gc
import platform
from collections.abc import Sequence
from dataclasses import replace
from math import prod

import torch

from ktgdsl.bench import memory
from ktgdsl.bench.candidates import peak_precision, product
from ktgdsl.bench.duration import (
    Pace,
    PredictedWork,
    Work,
    confirmation_work,
    pretraining_work,
    run_work,
    trials_work,
)
from ktgdsl.bench.phases import Progress, measure_phases, measure_pretraining, started
from ktgdsl.bench.result import Bench, Machine, Memory, PhaseBench
from ktgdsl.bench.timing import Stopwatch
from ktgdsl.bench.workload import Workload, choose_workload
from ktgdsl.plan.model import Plan
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.device import choose_device
from ktgdsl.training.execution import Execution

SECONDS = 10.0
"""How long to time the candidates unless the caller says otherwise."""

PRETRAINING_SHARE = 0.2
"""The share of the seconds for each network that is pre-trained."""


def bench(
    plan: Plan,
    *,
    device: str | torch.device | None = None,
    seconds: float = SECONDS,
    progress: Progress = lambda what: None,
) -> Bench:
    """Measure a plan, or a typical graph of a space, on this machine. No file is written.

    Steps are taken on images of noise in the shape of the data set, with random labels, so a
    data set of known shape is not read. Our step, the limit (the same networks, each alone on
    the labels), a matrix product and the parts of an epoch are timed in an interleaved way.

    Args:
        plan: what to measure.
        device: such as "cpu" or "cuda:1"; by default the GPU if there is one.
        seconds: about how long to time them. It takes longer to make the networks, to warm them
            up, and to go at least two rounds.
        progress: is called with what is being done, between measurements.

    Raises:
        RunError: when the device does not exist (E504), data of the user's own are missing or
            damaged (E508), or a network does not fit the data (E505).
    """
    chosen = choose_device(device)
    progress("looking at the spec")
    workload = choose_workload(complete(plan))
    plan = workload.plan
    watch = Stopwatch(chosen)
    before = memory.start(chosen)
    progress("making the networks")
    made, start = started(plan, watch, chosen, progress)
    peak = _memory(plan, chosen, before)
    batch, execution = len(made.label), made.step.execution
    multiply, product_operations, product_what = product(chosen, peak_precision(plan, chosen))
    phases = measure_phases(made, watch, multiply, seconds, progress)
    del made
    pretrainings = []
    for nodes, alone in workload.pretrainings:
        gc.collect()  # graphs refer to themselves, and the next needs their memory
        progress(f"measuring the pre-training of {nodes}")
        pace = _pretraining_pace(alone, chosen, watch, phases[0], PRETRAINING_SHARE * seconds)
        pretrainings.append(PredictedWork(pretraining_work(alone, nodes, plan.train.repeats), pace))
    return Bench(
        plan=plan,
        subject=workload.description,
        machine=_machine(chosen, execution, watch),
        batch=batch,
        phases=phases,
        product_operations=product_operations,
        product_what=product_what,
        memory=peak,
        parts=(*pretrainings, *_trainings(workload, start, phases)),
        expected=workload.search,
    )


def _memory(plan: Plan, device: torch.device, before: int) -> Memory:
    facts = plan.data.known_facts
    samples = facts.train_samples + facts.test_samples
    return Memory(memory.kind(device), before, memory.peak(device), samples * prod(plan.data.shape))


def _pretraining_pace(
    plan: Plan, device: torch.device, watch: Stopwatch, phase: PhaseBench, seconds: float
) -> Pace:
    """The pace of a pre-training, by its plan, with the batches and metrics of a phase."""
    start, step, image = measure_pretraining(plan, device, watch, seconds)
    return Pace(start, step + phase.besides.median, image)


def _trainings(
    workload: Workload, start: float, phases: tuple[PhaseBench, ...]
) -> tuple[PredictedWork, ...]:
    """The trainings of a run or a search, at the measured pace.

    Networks are made, in `start` seconds, before the first phase.
    """
    plan, search = workload.plan, workload.search
    if search is None:
        everything = {name: each for phase in phases for name, each in phase.image.items()}
        at_end = Pace(0.0, 0.0, sum(everything.values()))
        return _at(run_work(plan), [*(_pace(p, start, p.evaluation) for p in phases), at_end])
    assert plan.search is not None
    # A search evaluates its objective's node, and no other unless the training goes by it.
    paces = [
        _pace(p, start, p.evaluation if plan.judges_held_out else p.image[plan.search.node])
        for p in phases
    ]
    trials, confirmation = trials_work(plan, search), confirmation_work(plan, search)
    return (*_at(trials, paces), *_at(confirmation, paces))


def _pace(phase: PhaseBench, start: float, image: float) -> Pace:
    return Pace(start, phase.step.median + phase.besides.median, image)


def _at(works: Sequence[Work], paces: Sequence[Pace]) -> tuple[PredictedWork, ...]:
    """Works that follow each other, each at its pace; networks are made before the first."""
    return tuple(
        PredictedWork(work, replace(pace, start=0.0) if number else pace)
        for number, (work, pace) in enumerate(zip(works, paces, strict=False))
    )


def _machine(device: torch.device, execution: Execution, watch: Stopwatch) -> Machine:
    cuda = device.type == "cuda"
    return Machine(
        device=str(device),
        name=torch.cuda.get_device_name(device) if cuda else platform.machine(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        precision=execution.precision.value,
        compile=execution.compile.value,
        memory_format=execution.memory_format.value,
        clock=watch.clock_name,
    )
