"""How long the paper's search takes on one machine: `python -m tests.benchmarks.night`.

Simulated from measured times: 1,500 trials of specs/paper/space_3.ktg, 200 epochs of 40,000
images each, the target evaluated on 10,000 after every epoch, ended by asynchronous successive
halving (Minami et al., ACCV 2020, Sec. 3.5 and 4.2). `--measure 1 2` measures this machine,
with one and with two trials at a time; `--table FILE` keeps what was measured, or reads what
was on another machine. Anything else is `not measured`. `needed ms` is what a step of the mean
graph may take, for each of so many trials at a time, if all is to be done within `--goal`
hours, and `needed TFLOP/s` the rate then; of a table only the costs' relations matter to it.
`+-` is the standard deviation over simulations: whoever is early and lucky costs much.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import fmean, harmonic_mean, pstdev

import ktgdsl
from ktgdsl.plan.model import Node, Plan, SearchPlan
from ktgdsl.searching.estimate import estimate, sample_plans
from ktgdsl.searching.rungs import SimulatedHalving, rungs
from ktgdsl.searching.study.trial_plans import for_trial
from tests.benchmarks.output import Row, machine, options, show
from tests.benchmarks.simulated import (
    Keep,
    Outcome,
    Training,
    everybody,
    halves,
    judged,
    simulate,
)
from tests.benchmarks.step_costs import (
    WORDS,
    Costs,
    Rates,
    Table,
    chosen,
    flops,
    measure,
    plan_of,
    read,
)

SPACE = Path(__file__).parents[2] / "specs/paper/space_3.ktg"
NOTHING = "not measured"
ONE_TERA = 1e-12
"""Seconds of a FLOP to begin with where nothing is measured; any will do."""

Make = Callable[[], Keep]
"""Makes the rule of one simulation, which remembers what it has seen."""


@dataclass(frozen=True)
class Mix:
    """The networks of a graph, by their words: those that learn, and those that are frozen."""

    learning: tuple[str, ...]
    frozen: tuple[str, ...]
    target: str

    def step(self, costs: Costs, batch: int) -> float:
        """What a step costs: the sum over the nodes; of a frozen one it is a forward."""
        learning = sum(costs[each].step for each in self.learning)
        return learning + sum(batch * costs[each].image for each in self.frozen)


def mix(plan: Plan) -> Mix:
    """The networks of a plan."""
    nodes = plan.graph.nodes
    return Mix(
        tuple(word(node) for node in nodes if node.learns),
        tuple(word(node) for node in nodes if not node.learns),
        word(plan.graph.node(plan.graph.targets[0])),
    )


def word(node: Node) -> str:
    """What a node's network is called in the paper's spaces."""
    return words()[str(node.network)]


@cache
def words() -> dict[str, str]:
    """The words of the paper's networks by what they stand for."""
    return {str(plan_of([each]).graph.nodes[0].network): each for each in WORDS}


@dataclass(frozen=True)
class Search:
    """The trials of a search, the pre-trainings before them, and the baselines after them."""

    plan: Plan
    before: Sequence[Mix]
    trials: Sequence[Mix]
    after: Sequence[Mix]

    def epoch(self, graph: Mix, costs: Costs) -> float:
        """What an epoch and its evaluation cost."""
        data = self.plan.data
        step = graph.step(costs, data.batch)
        return data.steps_per_epoch * step + data.held_out_samples * costs[graph.target].image

    def run(
        self, keep: Keep, at: int, costs: Costs, start: float, coordinator: float
    ) -> tuple[float, Outcome]:
        """Seconds of all three, one after the other, and what became of the trials."""
        assert self.plan.search is not None
        length, stops = self.plan.search.epochs, rungs(self.plan.search)

        def phase(graphs: Sequence[Mix], keep: Keep) -> Outcome:
            different = set(graphs)
            of = {each: Training(start, self.epoch(each, costs), length) for each in different}
            return simulate([of[each] for each in graphs], stops, keep, at, coordinator)

        before, trials = phase(self.before, everybody), phase(self.trials, keep)
        after = phase(self.after, everybody)
        return before.seconds + trials.seconds + after.seconds, trials

    def operations(self, outcome: Outcome) -> float:
        """The FLOPs of all three."""
        assert self.plan.search is not None
        besides = sum(self.epoch(each, flops()) for each in [*self.before, *self.after])
        trained = zip(outcome.epochs, self.trials, strict=True)
        return sum(
            (epochs * self.epoch(graph, flops()) for epochs, graph in trained),
            besides * self.plan.search.epochs,
        )

    def mean_step(self, outcome: Outcome, costs: Costs) -> float:
        """What a step costs, in the mean over all steps of the trials."""
        batch = self.plan.data.batch
        trained = zip(outcome.epochs, self.trials, strict=True)
        whole = sum(epochs * graph.step(costs, batch) for epochs, graph in trained)
        return whole / sum(outcome.epochs)

    def needed(
        self, make: Make, at: int, costs: Costs, coordinator: float, goal: float
    ) -> float | None:
        """What a step of the mean graph may cost for all to be done in `goal` seconds.

        The relations among `costs` stay. None where the coordinator alone takes longer than that.
        """

        def taken(factor: float) -> tuple[float, Outcome]:
            changed = {word: cost.times(factor) for word, cost in costs.items()}
            return self.run(make(), at, changed, 0.0, coordinator)

        idle = taken(0.0)[0]
        if idle >= goal:
            return None
        # What trainings take is in proportion to their costs, and the coordinator's time comes on
        # top: a line through two points, of which the second is too late by that time.
        late = goal / self.run(make(), at, costs, 0.0, 0.0)[0]
        seconds, outcome = taken(late)
        factor = late * (goal - idle) / (seconds - idle)
        return factor * self.mean_step(outcome, costs)


def paper(trials: int) -> Search:
    """The paper's search, on graphs that are drawn from its space."""
    plan = ktgdsl.load(SPACE)
    drawn = [for_trial(each) for each in sample_plans(plan, trials + trials // 10 + 20)][:trials]
    graphs = [mix(each) for each in drawn]
    pretrained = sorted({word(n) for each in drawn for n in each.graph.nodes if n.pretrained})
    target, largest = graphs[0].target, max(WORDS, key=lambda each: flops()[each].step)
    return Search(
        drawn[0],
        [Mix((each,), (), each) for each in pretrained],
        graphs,
        [Mix((target,), (), target), Mix((target, largest, largest), (), target)],
    )


def rule_of(search: SearchPlan, noise: float, seed: int) -> Keep:
    """The rule of a search on simulated accuracies, before the first of them."""
    return judged(SimulatedHalving(search).continues, noise, seed)


def row(
    search: Search,
    pruning: str,
    make: Sequence[Make],
    at: int,
    rates: Rates | None,
    coordinator: float,
    goal: float,
) -> Row:
    """A way of pruning, in the mean over simulations, with so many trials at a time."""
    relative = {word: each.times(ONE_TERA) for word, each in flops().items()}
    costs, start = (relative, 0.0) if rates is None else (rates.costs, rates.start)
    runs = [search.run(each(), at, costs, start, coordinator) for each in make]
    hours = fmean(seconds for seconds, _ in runs) / 3600
    operations = fmean(search.operations(outcome) for _, outcome in runs) / 1e12
    needed = [search.needed(each, at, costs, coordinator, goal) for each in make]
    epochs = [sum(outcome.epochs) for _, outcome in runs]
    last = search.plan.train.epochs
    return {
        "at a time": at,
        "pruning": pruning,
        "trial-epochs": round(fmean(epochs)),
        "+-": round(pstdev(epochs)),
        "complete": fmean(outcome.reached(last) for _, outcome in runs),
        "hours": NOTHING if rates is None else hours,
        "TFLOP/s": NOTHING if rates is None else operations / hours / 3600,
        "needed ms": "none" if None in needed else 1000 * harmonic_mean(filter(None, needed)),
        "needed TFLOP/s": operations / goal,
    }


def assumptions(search: Search, table: Table | None, coordinator: float) -> list[str]:
    """All that the hours rest on, a line each."""
    assert search.plan.search is not None
    data, length = search.plan.data, search.plan.search.epochs
    expected = estimate(ktgdsl.load(SPACE))
    counts = {each: flops()[each] for each in WORDS}
    told = ", ".join(
        f"{each} {cost.step / 1e9:.3g} a step and {cost.image / 1e9:.2g} an image evaluated"
        for each, cost in counts.items()
    )
    lines = [
        f"{len(search.trials):,} trials drawn from {SPACE.name}, up to {length} epochs of "
        f"{data.steps_per_epoch} steps of {data.batch} images, {data.held_out_samples:,} evaluated "
        "by the target after each",
        "a step costs the sum of its networks' parts, and of a frozen one a forward; GFLOP: "
        + told,
        f"before the trials {len(search.before)} networks are pre-trained, after them "
        f"{len(search.after)} baselines trained (of the second, the largest networks), all for "
        f"{length} epochs, and nothing else goes on meanwhile",
        f"the coordinator needs {1000 * coordinator:g} ms a trial, one trial after the other; the "
        "start of workers, and checkpoints on the disk, are not counted",
        "pruning, noisy: accuracies are a lasting quality N(0, 1) plus N(0, 1/e) after epoch e; "
        f"lasting: the quality alone, as `ktgc plan` takes it ({expected.epochs:,.0f} epochs); "
        "halves: exactly every second goes on, at random; nobody: each is better than all before",
        "a trial's quality does not depend on what its networks cost",
    ]
    if table is None:
        return [*lines, "no step times: costs relate as their FLOPs, and hours are not measured"]
    for each in table.rates:
        times = ", ".join(f"{name} {1000 * cost.step:.3g}" for name, cost in each.costs.items())
        lines.append(
            f"measured on {table.machine} ({table.precision}), {each.at} at a time: ms a step "
            f"{times}; all three in one graph {each.mixed:.2f} of their sum; "
            f"making a graph {each.start:.2g} s"
        )
    return lines


def measured(counts: Sequence[int], device: str | None, precision: str, *, quick: bool) -> Table:
    """This machine, with each of these numbers of trials at a time."""
    told = chosen(device, precision)
    rounds, steps = (1, 1) if quick else (5, 2)
    if told.startswith("cuda"):  # which is waited for after these steps only
        steps *= 20
    rates = [measure(at, device, precision, rounds, steps) for at in counts]
    return Table(machine(), told, tuple(rates))


def main() -> None:
    """Measure where that is wanted, simulate and print."""
    parser = options(__doc__)
    parser.add_argument("--measure", type=int, nargs="+", metavar="N", help="trials at a time")
    parser.add_argument("--table", type=Path, help="step times: read, or written by --measure")
    parser.add_argument("--device", help="to measure on")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--at", type=int, nargs="+", default=[1, 2, 4, 8, 16], metavar="N")
    parser.add_argument("--goal", type=float, default=8.0, help="hours")
    parser.add_argument("--coordinator", type=float, default=10.0, help="its milliseconds a trial")
    parser.add_argument("--quick", action="store_true", help="fewer steps and simulations")
    given = parser.parse_args()
    table = None
    if given.measure:
        table = measured(given.measure, given.device, given.precision, quick=given.quick)
        if given.table is not None:
            table.write(given.table)
    elif given.table is not None:
        table = read(given.table)
    search = paper(1500)
    assert search.plan.search is not None
    rule = partial(rule_of, search.plan.search)
    seeds = range(2 if given.quick else 20)
    prunings: dict[str, list[Make]] = {
        "noisy": [partial(rule, 1.0, seed) for seed in seeds],
        "lasting": [partial(rule, 0.0, seed) for seed in seeds],
        "halves": [halves],
        "nobody": [lambda: everybody],
    }
    known = {} if table is None else {each.at: each for each in table.rates}
    rows = [
        row(search, name, make, at, known.get(at), given.coordinator / 1000, given.goal * 3600)
        for at in given.at
        for name, make in prunings.items()
    ]
    lines = assumptions(search, table, given.coordinator / 1000)
    show(rows, "\n".join(f"- {line}" for line in lines), given.json)


if __name__ == "__main__":
    main()
