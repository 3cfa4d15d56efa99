"""The benchmark of a plan on this machine: what is measured, in what order."""

import gc
import platform
import time
from collections.abc import Callable, Mapping
from math import prod

import torch

from ktgdsl.bench import memory
from ktgdsl.bench.candidates import Training, fastest, limit, product, training
from ktgdsl.bench.duration import (
    Pace,
    Part,
    checks_of,
    pretraining_of,
    repeats_of,
    trials_of,
)
from ktgdsl.bench.flops import one_thread, operations
from ktgdsl.bench.result import Bench, Machine, Memory
from ktgdsl.bench.timing import Contender, Stopwatch, in_turns
from ktgdsl.bench.workload import Subject, subject_of
from ktgdsl.plan.model import Plan
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.device import choose_device
from ktgdsl.training.execution import Execution

SECONDS = 10.0
"""How long contenders take turns unless somebody says otherwise."""

WARM_UP = 2
"""Steps before the peak of memory is read."""

SHARE = 0.2
"""Of the seconds, for each network that is pre-trained."""

Progress = Callable[[str], object]


def bench(
    plan: Plan,
    *,
    device: str | torch.device | None = None,
    seconds: float = SECONDS,
    progress: Progress = lambda what: None,
) -> Bench:
    """Measures a plan, or a graph of a space, on this machine. Nothing is kept.

    Steps are taken on images of noise in the shape of the data set, with random labels, so a
    data set of known shape is not read. Our step, the limit (the same networks, each alone on
    the labels), a matrix product and the parts of an epoch take turns for about `seconds`;
    making networks, warming them up and two rounds of turns are the least, whatever they take.

    Args:
        plan: what to measure.
        device: such as "cpu" or "cuda:1"; by default the GPU if there is one.
        seconds: of the turns.
        progress: is told what goes on, between measurements.

    Raises:
        RunError: when the device does not exist (E504), data of the user's own are missing or
            damaged (E508), a network does not fit the data (E505), or the plan has what is not
            supported yet (E901).
    """
    chosen = choose_device(device)
    progress("looking at the spec")
    subject = subject_of(complete(plan))
    watch = Stopwatch(chosen)
    before = memory.begin(chosen)
    progress("making the networks")
    ours, start = _made(subject.plan, watch, chosen, progress)
    held = _memory(subject.plan, chosen, before)
    progress("counting operations")
    with one_thread():
        count = operations(training(subject.plan, chosen, compiled=False).plainly)
    gc.collect()  # graphs refer to themselves, and the next needs their memory
    multiply, product_operations, told = product(chosen, fastest(subject.plan, chosen))
    evaluations, images = _evaluations(ours)
    contenders = [
        Contender("step", ours.take),
        limit(subject.plan, chosen, ours.image, ours.label),
        multiply,
        Contender("besides", ours.besides(), warmed=False),
        *evaluations.values(),
    ]
    times = in_turns(contenders, watch, seconds, lambda share: progress(f"measuring, {share:.0%}"))
    image = {name: times[each.name].median / images for name, each in evaluations.items()}
    besides = times["besides"].median
    before_it = []
    for what, own in subject.pretrainings:
        progress(f"measuring the pre-training of {what}")
        pace = _alone(own, chosen, watch, besides, SHARE * seconds)
        before_it.append(Part(pretraining_of(own, what, subject.plan.train.repeats), pace))
        gc.collect()
    return Bench(
        plan=subject.plan,
        subject=subject.told,
        machine=_machine(chosen, ours.step.execution, watch),
        batch=len(ours.label),
        step=times["step"],
        limit=times["limit"],
        besides=times["besides"],
        evaluation=sum(image.values()),
        operations=count,
        product=times["product"],
        product_operations=product_operations,
        product_what=told,
        memory=held,
        parts=(*before_it, *_trainings(subject, start, times["step"].median + besides, image)),
        expected=subject.expected,
    )


def _made(
    plan: Plan, watch: Stopwatch, device: torch.device, progress: Progress
) -> tuple[Training, float]:
    """A training whose peak of memory is reached, and the seconds before its first step.

    Those of compilation are in them.
    """
    began = time.monotonic()
    made = training(plan, device)
    start = time.monotonic() - began
    progress("warming up")
    taken = [watch.time(made.take) for _ in range(WARM_UP)]
    for name in made.step.graph.networks:
        made.evaluation(name)[0]()
    if made.step.execution.compile.value == "on":
        start += max(0.0, taken[0] - taken[-1])
    return made, start


def _memory(plan: Plan, device: torch.device, before: int) -> Memory:
    facts = plan.data.known
    samples = facts.train_samples + facts.test_samples
    return Memory(memory.what(device), before, memory.peak(device), samples * prod(facts.shape))


def _evaluations(ours: Training) -> tuple[dict[str, Contender], int]:
    """The evaluation of each node, by its name, and of how many images."""
    found, images = {}, 0
    for name in ours.step.graph.networks:
        call, images = ours.evaluation(name)
        found[name] = Contender(f"evaluating {name}", call, samples=1, warmed=False)
    return found, images


def _alone(
    plan: Plan, device: torch.device, watch: Stopwatch, besides: float, seconds: float
) -> Pace:
    """The pace of a pre-training."""
    began = time.monotonic()
    made = training(plan, device)
    start = time.monotonic() - began
    evaluations, images = _evaluations(made)
    (evaluation,) = evaluations.values()
    times = in_turns([Contender("step", made.take), evaluation], watch, seconds)
    return Pace(start, times["step"].median + besides, times[evaluation.name].median / images)


def _trainings(
    subject: Subject, start: float, step: float, image: Mapping[str, float]
) -> tuple[Part, ...]:
    """What a run or a search does with the whole graph, at the pace that was measured."""
    plan, expected = subject.plan, subject.expected
    if expected is None:
        return (Part(repeats_of(plan), Pace(start, step, sum(image.values()))),)
    assert plan.search is not None
    # A search measures the node that counts, and no other.
    pace = Pace(start, step, image[plan.search.node])
    return Part(trials_of(plan, expected), pace), Part(checks_of(plan, expected), pace)


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
        clock=watch.told,
    )
