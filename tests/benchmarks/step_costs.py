"""The cost of a step of each of the paper's networks, with several trials at the same time."""

import json
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import fmean, median

import torch
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

import ktgdsl
from ktgdsl.backend.factories import initial_network
from ktgdsl.cli.training import prepare_to_train
from ktgdsl.plan.model import Plan
from ktgdsl.searching.workers.threads import cores
from ktgdsl.training.batches import batches, batches_in_order
from ktgdsl.training.data import Split
from ktgdsl.training.datasets.augment import Augment
from ktgdsl.training.datasets.preprocessing import Preprocessing
from ktgdsl.training.device import choose_device
from ktgdsl.training.metrics import evaluate
from ktgdsl.training.prepare import stepper
from tests.benchmarks.candidates import ENDLESS

WORDS = ("resnet32", "resnet110", "wrn28_2")
"""The networks of the paper's spaces."""

NODES = 3
PATIENCE = 600.0
"""Seconds after which a process that is not ready for the next measurement is an error."""


@dataclass(frozen=True)
class Cost:
    """The cost of a network's part in a step, and of evaluating an image. Seconds, or FLOPs."""

    step: float
    image: float

    def times(self, factor: float) -> "Cost":
        """The cost times a factor."""
        return Cost(factor * self.step, factor * self.image)


Costs = Mapping[str, Cost]
"""Costs by the networks' words."""


@dataclass(frozen=True)
class Rates:
    """The costs in seconds, as each of `at` trials sees them that run at the same time.

    `start` is that of making a graph, and `mixed` the ratio of a step of a graph of all three
    networks to the sum of their parts, which is 1 where costs add up.
    """

    at: int
    start: float
    mixed: float
    costs: Costs


@dataclass(frozen=True)
class Table:
    """The costs on a machine, in one precision."""

    machine: str
    precision: str
    rates: tuple[Rates, ...]

    def write(self, path: Path) -> None:
        """Write the table as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def read(path: Path) -> Table:
    """Read a table that `Table.write` wrote."""
    content = json.loads(path.read_text())
    rates = (
        Rates(**{**each, "costs": {word: Cost(**cost) for word, cost in each["costs"].items()}})
        for each in content["rates"]
    )
    return Table(content["machine"], content["precision"], tuple(rates))


def plan_of(words: Sequence[str], precision: str = "auto") -> Plan:
    """A graph of networks that all teach each other, with the paper's settings."""
    nodes = "\n".join(f"node n{i} = {word}" for i, word in enumerate(words))
    return ktgdsl.loads(
        f"graph measured {{\n{nodes}\ntarget n0\nedge label -> *\nedge * -> * : kl\n}}\n"
        "data cifar100 { batch = 64  augment = paper }\n"
        f"train {{ epochs = 200  precision = {precision}\n"
        "optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=5e-4) }\n"
    )


@cache
def flops() -> dict[str, Cost]:
    """The floating-point operations of matrix products and convolutions, by torch's counter."""
    found = {}
    for word in WORDS:
        plan = plan_of([word])
        network = initial_network(plan, plan.graph.nodes[0], 0)
        image, label = torch.rand(2, *plan.data.shape), torch.zeros(2, dtype=torch.int64)
        counts = []
        for learns in (True, False):
            with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(learns):
                loss = cross_entropy(network(image), label)
                if learns:
                    torch.autograd.backward(loss)
            counts.append(counter.get_total_flops() / len(label))
        found[word] = Cost(plan.data.batch * counts[0], counts[1])
    return found


def measure(at: int, device: str | None, precision: str, rounds: int, steps: int) -> Rates:
    """Measure with `at` processes that do the same at the same time.

    A network's part in a step is a third of that of a graph of three such networks, all gates
    open, batches drawn and augmented; of `rounds` times of so many `steps` the median.
    """
    prepare_to_train()
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(at)
    threads = max(1, cores() // at)  # as many as the workers of a search
    with context.Pool(at, _initialize, (barrier, threads)) as pool:
        given = [(device, precision, rounds, steps)] * at
        found = pool.starmap(_measured, given, chunksize=1)
    return Rates(
        at,
        fmean(each.start for each in found),
        fmean(each.mixed for each in found),
        {
            word: Cost(
                fmean(each.costs[word].step for each in found),
                fmean(each.costs[word].image for each in found),
            )
            for word in WORDS
        },
    )


_barrier: Barrier
"""Where this process waits for the others that measure."""


def _initialize(barrier: Barrier, threads: int) -> None:
    global _barrier
    _barrier = barrier
    torch.set_num_threads(threads)


def _measured(device: str | None, precision: str, rounds: int, steps: int) -> Rates:
    starts, costs = [], {}
    for word in WORDS:
        step, image, start = _times([word] * NODES, device, precision, rounds, steps)
        costs[word] = Cost(step / NODES, image)
        starts.append(start)
    mixed, _, _ = _times(WORDS, device, precision, rounds, steps)
    return Rates(0, fmean(starts), mixed / sum(cost.step for cost in costs.values()), costs)


def _times(
    words: Sequence[str], device: str | None, precision: str, rounds: int, steps: int
) -> tuple[float, float, float]:
    """Seconds of a step of a graph, of an image in evaluating its target, and of making it."""
    plan = plan_of(words, precision)
    _barrier.wait(PATIENCE)
    began = time.perf_counter()
    step = stepper(plan, device, seed=0, steps=ENDLESS)
    start = time.perf_counter() - began
    split = _images(plan, max(plan.data.batch * steps, 256), step.device)
    target = step.predictor(["n0"])
    learned, evaluated = [], []
    for turn in range(rounds + 1):
        _barrier.wait(PATIENCE)
        began = time.perf_counter()
        taken = 0
        for image, label in batches(split, plan.data.batch, 0, turn):
            output = step(image, label)
            if (taken := taken + 1) == steps:
                break
        float(output.losses["n0"])  # wait for the device
        learned.append((time.perf_counter() - began) / taken)
        began = time.perf_counter()
        evaluate(target, batches_in_order(split, 256))
        evaluated.append((time.perf_counter() - began) / len(split))
    return median(learned[1:]), median(evaluated[1:]), start  # the first turn warms up


def _images(plan: Plan, count: int, device: torch.device) -> Split:
    image = torch.randint(256, (count, *plan.data.shape), dtype=torch.uint8)
    label = torch.randint(plan.data.classes, (count,))
    preprocessing = Preprocessing(Augment(pad=4, flips=True, reflect=True))
    return Split(image.to(device), label.to(device), 255, preprocessing)


def chosen(device: str | None, precision: str) -> str:
    """The device and the precision that a plan of these is computed in."""
    step = stepper(plan_of(["resnet32"], precision), choose_device(device), seed=0)
    return f"{step.device}, {step.execution.precision.value}"
