"""Measures the phases of a training one after the other, the candidates of each interleaved."""

import gc
import time
from collections.abc import Callable
from functools import partial

import torch

from ktgdsl.bench.candidates import Training, limit, training
from ktgdsl.bench.flops import one_thread
from ktgdsl.bench.result import PhaseBench
from ktgdsl.bench.timing import Candidate, Stopwatch, time_interleaved
from ktgdsl.plan.model import Plan
from ktgdsl.training.costs import operations

WARM_UP = 2
"""Steps of each phase before the peak of memory is read."""

Progress = Callable[[str], object]


def started(
    plan: Plan, watch: Stopwatch, device: torch.device, progress: Progress
) -> tuple[Training, float]:
    """A training that has reached its peak of memory, and the seconds before its first step.

    It has been through all its phases. Compilation is part of these seconds.
    """
    began = time.monotonic()
    made = training(plan, device)
    start = time.monotonic() - began
    progress("warming up")
    for number in range(len(made.step.program.phases)):
        if number:
            made.step.end_phase()
        taken = [watch.time(made.take) for _ in range(WARM_UP)]
        if made.step.execution.compile.value == "on":
            start += max(0.0, taken[0] - taken[-1])
    for name in made.step.networks:
        made.evaluation(name)[0]()
    return made, start


def measure_phases(
    made: Training, watch: Stopwatch, multiply: Candidate, seconds: float, progress: Progress
) -> tuple[PhaseBench, ...]:
    """The numbers of each phase of a training that is in its last one.

    Args:
        made: the training.
        watch: of its device.
        multiply: a matrix product, which is timed in the same rounds.
        seconds: about how long to time all phases together.
        progress: is called with what is being done, between measurements.
    """
    plan, device = made.plan, made.step.device
    phases = made.step.program.phases
    found = []
    for number, phase in enumerate(phases):
        what = "" if phase.name is None else f" phase {phase.name}"
        progress(f"counting operations{what and ' of' + what}")
        with one_thread():
            counted = training(plan, device, phase=number, compiled=False)
            counted.take()  # the outputs that are kept are there from the second step on
            count = operations(counted.take_uncaptured)
        gc.collect()  # graphs refer to themselves, and the next needs their memory
        ours = made if number == len(phases) - 1 else training(plan, device, phase=number)
        evaluations, images = _evaluations(ours, _evaluated(ours))
        candidates = [
            Candidate("step", ours.take),
            limit(ours),
            multiply,
            Candidate("batch and metrics", ours.batch_and_metrics(), warmed=False),
            *evaluations.values(),
        ]
        times = time_interleaved(
            candidates,
            watch,
            seconds / len(phases),
            partial(_share, progress, what),
        )
        found.append(
            PhaseBench(
                name=phase.name,
                step=times["step"],
                limit=times["limit"],
                besides=times["batch and metrics"],
                product=times[multiply.name],
                image={n: times[each.name].median / images for n, each in evaluations.items()},
                operations=count,
            )
        )
        del ours
    return tuple(found)


def _share(progress: Progress, what: str, share: float) -> None:
    progress(f"measuring{what}, {share:.0%}")


def measure_pretraining(
    plan: Plan, device: torch.device, watch: Stopwatch, seconds: float
) -> tuple[float, float, float]:
    """Seconds of making the network, of a step and of evaluating an image of a pre-training."""
    began = time.monotonic()
    made = training(plan, device)
    start = time.monotonic() - began
    evaluations, images = _evaluations(made, list(made.step.networks))
    candidates = [Candidate("step", made.take), *evaluations.values()]
    times = time_interleaved(candidates, watch, seconds)
    evaluation = sum(times[each.name].median for each in evaluations.values())
    return start, times["step"].median, evaluation / images


def _evaluated(ours: Training) -> list[str]:
    """The nodes that are evaluated after an epoch of the phase, and a search's objective."""
    names = [*ours.step.phase.nodes, *ours.step.judged]
    if ours.plan.search is not None:
        names.append(ours.plan.search.node)
    return list(dict.fromkeys(names))


def _evaluations(ours: Training, names: list[str]) -> tuple[dict[str, Candidate], int]:
    """The evaluation of each node, by its name, and of how many images."""
    candidates, images = {}, 0
    for name in names:
        call, images = ours.evaluation(name)
        candidates[name] = Candidate(f"evaluating {name}", call, samples=1, warmed=False)
    return candidates, images
