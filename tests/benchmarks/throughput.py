"""Trial-epochs an hour of a search, against one reference process a trial:
`python -m tests.benchmarks.throughput [--quick]`.

A block is a search by `ktgc search`, from the start of the command to its end, and then the
reference on what that search has trained: the same graphs, the two baselines that judge the
result among them, each for as many epochs as it lived there, on as many images. The reference
is a fresh process for each (`tests.benchmarks.reference_trial`): it imports torch, loads the
digits by a DataLoader with two workers, and trains by `tests.benchmarks.reference`, which evaluates
every node after an epoch where a search evaluates the target. As many of them run at a time as the
search has workers. Blocks with one and with two workers take turns.

Every process computes with one thread, in fp32. A search is held to as many cores as it has
workers, while the workers of the reference's DataLoaders may use all there are. CPU seconds
are those of all processes together; where other work disturbs, they are what to look at. The
labels teach every node here, since that is all that the reference can do. Linux only, as it
alone tells and holds cores.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ktgdsl.plan.model import Constant, Gate, GateCall, Plan
from ktgdsl.searching.checks import baselines, leaders
from ktgdsl.searching.study.study import Study, values_of
from ktgdsl.searching.study.trial_plans import trial_plan
from tests.benchmarks.output import Row, options, show
from tests.benchmarks.reference_trial import Job
from tests.specs import sound

NAME = "space"
SPACE = """\
let each gate = through | cutoff | linear | correct
graph {name} {{
    node m1     = resnet8
    node m2, m3 = resnet8 | resnet14 | wrn10_2
    target m1
    edge label -> * : ce
    edge *     -> * : kl via gate
}}
data digits {{ batch = 64  augment = none }}
train {{ epochs = {epochs}  precision = fp32  compile = off }}
search {{ trials = {trials}  sampler = random(seed={seed})  pruner = asha(min=1, reduction=2) }}
"""
SINGLE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Block:
    """What a search and the reference have spent on the same trainings."""

    workers: int
    trainings: int
    epochs: int
    search: tuple[float, float]
    """Wall and CPU seconds."""
    reference: tuple[float, float]


def job(plan: Plan, epochs: int) -> Job:
    """The graph of a plan for the reference, which knows the paper's gates, and labels that
    teach every node. Raises ValueError where there is something else."""
    supervised = {str(e.destination) for e in plan.graph.edges if e.from_label}
    if supervised != {node.name for node in plan.graph.nodes}:
        raise ValueError("the labels have to teach every node")
    return Job(
        networks={n.name: (n.network.name, dict(n.network.arguments)) for n in plan.graph.nodes},
        transfers=[
            (str(edge.source), str(edge.destination), _gate(edge.terms[0].gate))
            for edge in plan.graph.edges
            if not edge.from_label
        ],
        batch=plan.data.batch,
        learned=plan.data.trained_samples,
        held=plan.data.held_out_samples,
        steps=plan.steps,
        epochs=epochs,
    )


def _gate(gate: Gate) -> str:
    match gate:
        case Constant(value=1.0):
            return "through"
        case GateCall(gate=call) if call.name in ("linear", "correct"):
            return call.name
    raise ValueError(f"the reference has no gate {gate}")


def trained(folder: Path, plan: Plan) -> list[Job]:
    """What a search has trained, in the order of its beginning."""
    assert plan.search is not None
    trials = Study(folder / "study.journal", NAME).trials
    jobs = []
    for trial in trials:
        lived = max(values_of(trial), default=0)
        if lived and (found := trial_plan(plan, trial.params)) is not None:
            jobs.append(job(found, lived))
    against = baselines(plan, leaders(trials)[0]).values()
    return [*jobs, *(job(each, plan.search.epochs) for each in against)]


def measured(workers: int, spec: str, folder: Path) -> Block:
    """One search, and the reference on what it has trained."""
    (folder / "space.ktg").write_text(spec)
    out = folder / "found"
    how = ["--device", "cpu", "--workers", str(workers), "--out", str(out), "--quiet"]

    def search() -> None:
        with held_to(workers):
            run(["ktgdsl", "search", str(folder / "space.ktg"), *how])

    def reference() -> None:
        with ThreadPoolExecutor(workers) as slots:
            list(slots.map(alone, jobs))

    spent = seconds(search)
    jobs = trained(out, sound(spec))
    return Block(workers, len(jobs), sum(each.epochs for each in jobs), spent, seconds(reference))


def alone(given: Job) -> None:
    """Trains by the reference, in a process of its own."""
    run(["tests.benchmarks.reference_trial"], json.dumps(asdict(given)))


def run(module: Sequence[str], told: str = "") -> None:
    """Runs a module with arguments to its end, each of its processes with a single thread."""
    command = [sys.executable, "-m", *module]
    environment = {**os.environ, **SINGLE}
    subprocess.run(
        command, input=told, text=True, check=True, stdout=subprocess.DEVNULL, env=environment
    )


@contextmanager
def held_to(count: int) -> Iterator[None]:
    """What is started in here has so many cores, and a search's workers as many threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """The wall seconds of work done by other processes, and their CPU seconds, all together."""
    began, spent = time.perf_counter(), _of_children()
    work()
    return time.perf_counter() - began, _of_children() - spent


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def row(blocks: Sequence[Block], name: str) -> Row:
    """Blocks of as many workers, together."""
    epochs = sum(block.epochs for block in blocks)
    wall, work = (sum(block.search[i] for block in blocks) for i in (0, 1))
    slow, hard = (sum(block.reference[i] for block in blocks) for i in (0, 1))
    return {
        "workers": blocks[0].workers,
        "block": name,
        "trainings": sum(block.trainings for block in blocks),
        "epochs": epochs,
        "search s": wall,
        "CPU s": work,
        "reference s": slow,
        "its CPU s": hard,
        "epochs/h": 3600 * epochs / wall,
        "reference epochs/h": 3600 * epochs / slow,
        "times": slow / wall,
        "times by CPU": hard / work,
    }


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--trials", type=int, default=12, help="of each search")
    parser.add_argument("--epochs", type=int, default=8, help="of a trial that is not ended")
    parser.add_argument("--blocks", type=int, default=1, help="searches by each number of workers")
    parser.add_argument("--quick", action="store_true", help="one short search of each")
    given = parser.parse_args()
    trials, epochs, count = given.trials, given.epochs, given.blocks
    if given.quick:
        trials, epochs, count = 1, 2, 1
    blocks: dict[int, list[Block]] = {1: [], 2: []}
    for seed in range(count):
        for workers, done in blocks.items():
            spec = SPACE.format(name=NAME, trials=trials, epochs=epochs, seed=seed)
            with tempfile.TemporaryDirectory() as folder:
                done.append(measured(workers, spec, Path(folder)))
    rows = [row([b], str(i)) for done in blocks.values() for i, b in enumerate(done)]
    rows += [row(done, "all") for done in blocks.values()]
    how = f"searches of {trials} trials of at most {epochs} epochs, three nodes on the digits"
    show(rows, how, given.json)


if __name__ == "__main__":
    main()
