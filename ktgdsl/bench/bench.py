"""Benchmarks a plan on this machine: the measurements, one after the other."""

import gc
import platform
import time
from collections.abc import Callable, Mapping
from math import prod

import torch

from ktgdsl.bench import memory
from ktgdsl.bench.candidates import Training, limit, peak_precision, product, training
from ktgdsl.bench.duration import (
    Pace,
    PredictedWork,
    confirmation_work,
    pretraining_work,
    run_work,
    trials_work,
)
from ktgdsl.bench.flops import one_thread, operations
from ktgdsl.bench.result import Bench, Machine, Memory
from ktgdsl.bench.timing import Candidate, Stopwatch, time_interleaved
from ktgdsl.bench.workload import Workload, choose_workload
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.device import choose_device
from ktgdsl.training.execution import Execution

SECONDS = 10.0
"""How long to time the candidates unless the caller says otherwise."""

WARM_UP = 2
"""Steps before the peak of memory is read."""

PRETRAINING_SHARE = 0.2
"""The share of the seconds for each network that is pre-trained."""

Progress = Callable[[str], object]


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
            damaged (E508), a network does not fit the data (E505), or the plan has what is not
            supported yet (E901).
    """
    if plan.phases:
        message = "a training in phases cannot be measured yet"
        raise RunError.single("E901", message, help="measure a spec of one of its phases")
    chosen = choose_device(device)
    progress("looking at the spec")
    workload = choose_workload(complete(plan))
    plan = workload.plan
    watch = Stopwatch(chosen)
    before = memory.start(chosen)
    progress("making the networks")
    ours, start = _started(plan, watch, chosen, progress)
    peak = _memory(plan, chosen, before)
    progress("counting operations")
    with one_thread():
        count = operations(training(plan, chosen, compiled=False).take_uncaptured)
    gc.collect()  # graphs refer to themselves, and the next needs their memory
    multiply, product_operations, product_what = product(chosen, peak_precision(plan, chosen))
    evaluations, images = _evaluations(ours)
    candidates = [
        Candidate("step", ours.take),
        limit(plan, chosen, ours.image, ours.label),
        multiply,
        Candidate("batch and metrics", ours.batch_and_metrics(), warmed=False),
        *evaluations.values(),
    ]
    times = time_interleaved(
        candidates, watch, seconds, lambda share: progress(f"measuring, {share:.0%}")
    )
    image = {name: times[each.name].median / images for name, each in evaluations.items()}
    besides = times["batch and metrics"].median
    pretrainings = []
    for nodes, alone in workload.pretrainings:
        progress(f"measuring the pre-training of {nodes}")
        pace = _pretraining_pace(alone, chosen, watch, besides, PRETRAINING_SHARE * seconds)
        pretrainings.append(PredictedWork(pretraining_work(alone, nodes, plan.train.repeats), pace))
        gc.collect()
    return Bench(
        plan=plan,
        subject=workload.description,
        machine=_machine(chosen, ours.step.execution, watch),
        batch=len(ours.label),
        step=times["step"],
        limit=times["limit"],
        besides=times["batch and metrics"],
        evaluation=sum(image.values()),
        operations=count,
        product=times["product"],
        product_operations=product_operations,
        product_what=product_what,
        memory=peak,
        parts=(*pretrainings, *_trainings(workload, start, times["step"].median + besides, image)),
        expected=workload.search,
    )


def _started(
    plan: Plan, watch: Stopwatch, device: torch.device, progress: Progress
) -> tuple[Training, float]:
    """A training that has reached its peak of memory, and the seconds before its first step.

    Compilation is part of these seconds.
    """
    began = time.monotonic()
    made = training(plan, device)
    start = time.monotonic() - began
    progress("warming up")
    taken = [watch.time(made.take) for _ in range(WARM_UP)]
    for name in made.step.networks:
        made.evaluation(name)[0]()
    if made.step.execution.compile.value == "on":
        start += max(0.0, taken[0] - taken[-1])
    return made, start


def _memory(plan: Plan, device: torch.device, before: int) -> Memory:
    facts = plan.data.known
    samples = facts.train_samples + facts.test_samples
    return Memory(memory.kind(device), before, memory.peak(device), samples * prod(plan.data.shape))


def _evaluations(ours: Training) -> tuple[dict[str, Candidate], int]:
    """The evaluation of each node, by its name, and of how many images."""
    candidates, images = {}, 0
    for name in ours.step.networks:
        call, images = ours.evaluation(name)
        candidates[name] = Candidate(f"evaluating {name}", call, samples=1, warmed=False)
    return candidates, images


def _pretraining_pace(
    plan: Plan, device: torch.device, watch: Stopwatch, besides: float, seconds: float
) -> Pace:
    """The pace of a pre-training, by its plan; `besides` are the seconds of batch and metrics."""
    began = time.monotonic()
    made = training(plan, device)
    start = time.monotonic() - began
    evaluations, images = _evaluations(made)
    (evaluation,) = evaluations.values()
    times = time_interleaved([Candidate("step", made.take), evaluation], watch, seconds)
    return Pace(start, times["step"].median + besides, times[evaluation.name].median / images)


def _trainings(
    workload: Workload, start: float, step: float, image: Mapping[str, float]
) -> tuple[PredictedWork, ...]:
    """What a run or a search does with the whole graph, at the pace that was measured.

    Args:
        workload: that was measured.
        start: seconds of making the networks.
        step: seconds of a step with its batch and metrics.
        image: seconds of evaluating an image, by node.
    """
    plan, search = workload.plan, workload.search
    if search is None:
        return (PredictedWork(run_work(plan), Pace(start, step, sum(image.values()))),)
    assert plan.search is not None
    # A search evaluates its objective's node, and no other.
    pace = Pace(start, step, image[plan.search.node])
    trials, confirmation = trials_work(plan, search), confirmation_work(plan, search)
    return PredictedWork(trials, pace), PredictedWork(confirmation, pace)


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
