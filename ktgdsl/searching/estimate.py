"""The expected cost of a search, by simulation of its pruner. No torch, no Optuna."""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from statistics import fmean

from ktgdsl.plan.heads import classes_answered
from ktgdsl.plan.model import Draw, Plan, SearchPlan
from ktgdsl.plan.parameters import parameter_count
from ktgdsl.searching.rungs import Rungs
from ktgdsl.searching.trial_plans import for_trial
from ktgdsl.space.space import plan_at
from ktgdsl.space.substitutions import Point

SIMULATIONS = 20
"""How many searches are simulated."""

SAMPLED = 64
"""How many points are drawn to see which nodes need pre-training."""

MAX_COMBINATIONS = 16
"""Combinations of draws of the edges into a node that are tried to find where it is frozen."""

MAX_NODES = 16
"""How many different nodes that is tried for: in a larger graph others are like those."""

MAX_DRAWN = 65_536
"""How many draws all points together have of which plans are made, but for the first few."""

MIN_POINTS = 4
"""How many points are drawn of a space, however large it is."""

_OF_EDGE = re.compile(r"edge\.(?P<source>.+)->(?P<destination>.+)\.(?:gate|loss)(?:\.\d+)?")
"""The name of a draw of an edge."""

FINALISTS = 3
"""How many finalists are trained again with other seeds."""


@dataclass(frozen=True)
class Estimate:
    """The expected cost of a search.

    Of `trials` trials `complete` are trained to the end; all together take `epochs` epochs.
    Besides, `pretrainings` networks are trained, each for `pretraining_epochs`, and `checks`
    trainings judge the result, each for `full` epochs, the length of a full trial.
    `pretrainings_at_most` says that some of the networks are needed at some points only. `trained`
    says of each epoch how many trials are expected to train it.
    """

    trials: int
    complete: float
    epochs: float
    pretrainings: int
    checks: int
    full: int
    pretraining_epochs: int
    pretrainings_at_most: bool = False
    trained: tuple[float, ...] = ()

    @property
    def all_epochs(self) -> float:
        """The epochs of trials, pre-trainings and checks together."""
        pretraining = self.pretrainings * self.pretraining_epochs
        return self.epochs + pretraining + self.checks * self.full


def estimate(plan: Plan, distinct: int | None = None) -> Estimate:
    """Estimate the cost of searching a space of `distinct` graphs, if that is known.

    The ranking of trials is assumed to stay the same over the epochs. Raises ValueError when
    the plan has no open values.
    """
    search = plan.search
    if plan.space is None or search is None:
        raise ValueError("this plan leaves nothing open")
    trials = search.trials
    if distinct is not None and search.dedupe:
        trials = min(trials, distinct)
    runs = [_simulated(search, trials, random.Random(seed)) for seed in range(SIMULATIONS)]
    seeds = max(1, search.confirm)
    pretrainings, at_most = _pretrainings(plan, trials)
    return Estimate(
        trials=trials,
        complete=fmean(run.count(search.epochs) for run in runs),
        epochs=fmean(map(sum, runs)),
        pretrainings=pretrainings,
        checks=2 * seeds + min(FINALISTS, trials) * search.confirm,
        full=search.epochs,
        pretraining_epochs=_pretraining_epochs(plan, search),
        pretrainings_at_most=at_most,
        trained=_trained(runs, search.epochs),
    )


def _pretraining_epochs(plan: Plan, search: SearchPlan) -> int:
    if plan.pretrain is not None:
        return plan.pretrain.epochs
    if not plan.phases:
        return search.epochs
    return for_trial(plan_at(plan, {}) or plan).pretraining_epochs


def _simulated(search: SearchPlan, trials: int, generator: random.Random) -> list[int]:
    """After how many epochs each trial of a simulated search ends."""
    rungs = Rungs(search)
    lengths = []
    for _ in range(trials):
        quality = generator.random()
        ends = (epoch for epoch in rungs.epochs if not rungs.goes_on(epoch, quality))
        lengths.append(next(ends, search.epochs))
    return lengths


def _trained(runs: Sequence[Sequence[int]], epochs: int) -> tuple[float, ...]:
    """How many trials train each of so many epochs, in the mean of simulated searches."""
    ending = Counter(length for run in runs for length in run)
    left, trained = ending.total(), []
    for epoch in range(1, epochs + 1):
        trained.append(left / len(runs))
        left -= ending[epoch]
    return tuple(trained)


def network_bytes(plan: Plan) -> int | None:
    """The size of the files with a trial's trained networks, the largest of some points.

    Four bytes a parameter. None where there are networks whose parameters nobody can count
    without making them.
    """
    sizes = [_parameters(each) for each in sampled(plan, SAMPLED)]
    known = [size for size in sizes if size is not None]
    return 4 * max(known) if known and len(known) == len(sizes) else None


def _parameters(plan: Plan) -> int | None:
    graph, data = plan.graph, plan.data
    counts = [
        parameter_count(node.network, classes_answered(graph, data, name), data.shape[0])
        for name, node in graph.networks.items()
    ]
    return None if None in counts else sum(count or 0 for count in counts)


def sampled(plan: Plan, count: int, seed: int = 0) -> list[Plan]:
    """Plans at `count` random points of a space, fewer of a large one, without the invalid ones."""
    assert plan.space is not None
    count = min(count, _count_of_points(plan.space.draws))
    generator = random.Random(seed)
    plans = []
    for _ in range(count):
        point = {draw.name: _drawn(draw, generator) for draw in plan.space.draws}
        if (at_point := plan_at(plan, point)) is not None:
            plans.append(at_point)
    return plans


def _count_of_points(draws: Sequence[Draw]) -> int:
    """For how many points of a space there is time."""
    return max(MIN_POINTS, MAX_DRAWN // max(1, len(draws)))


def _drawn(draw: Draw, generator: random.Random) -> int | float:
    if draw.options:
        return generator.randrange(len(draw.options))
    if isinstance(draw.low, int) and isinstance(draw.high, int):
        return generator.randint(draw.low, draw.high)
    return generator.uniform(draw.low or 0.0, draw.high or 0.0)


def _pretrainings(plan: Plan, trials: int) -> tuple[int, bool]:
    """How many different pre-trained networks trials need at most, and whether some do with fewer.

    A node is rarely frozen at a random point when all of many edges into it have to be cut off,
    and hardly ever in no trial of many, so points where it may be are gone through as well.
    """
    assert plan.space is not None
    drawn = [_pretrained(point) for point in sampled(plan, min(trials, SAMPLED))]
    idle = [_pretrained(point) for point in _with_idle_nodes(plan)]
    found = Counter(key for keys in drawn for key in keys)
    rare = {key for keys in idle for key in keys} - found.keys()
    number = len(found) + len(rare)
    if any(draw.choices is None for draw in plan.space.draws):
        # Networks that were seen once have numbers of their own, as those of other trials will.
        number += sum(times == 1 for times in found.values()) * trials // max(1, len(drawn))
    number = min(number, trials * max(map(len, [*drawn, *idle]), default=0))
    certain = not rare and all(times == len(drawn) for times in found.values())
    return number, not certain


def _pretrained(point: Plan) -> set[tuple[str, ...]]:
    """The identities of the pre-trained networks of a plan."""
    return {
        (node.network.model_dump_json(), node.optimizer.model_dump_json(), str(node.schedule))
        for node in point.graph.nodes
        if node.pretrained
    }


def _with_idle_nodes(plan: Plan) -> Iterator[Plan]:
    """Plans at points where all edges into one node take the same option, until one cuts them.

    There the node has each of its own options as well. Other draws have their first option, or
    their last.
    """
    assert plan.space is not None
    draws = [draw for draw in plan.space.draws if draw.options]
    last = {draw.name: len(draw.options) - 1 for draw in draws}
    for name, into, own in _different_nodes(plan, draws):
        for point in ({**others, **each} for others in ({}, last) for each in _together(into)):
            at_point = plan_at(plan, point)
            if at_point is not None and _is_pretrained(at_point, name):
                plans = (plan_at(plan, {**point, **each}) for each in _together(own))
                yield from (each for each in plans if each is not None)
                break


def _different_nodes(
    plan: Plan, draws: Sequence[Draw]
) -> Iterator[tuple[str, list[Draw], list[Draw]]]:
    """Nodes that may be idle, with the draws of the edges into them and their own.

    One of those that are alike, and none into which an edge leads that is always there.
    """
    into: dict[str, list[Draw]] = {}
    own: dict[str, list[Draw]] = {}
    opened = set()
    for draw in draws:
        if found := _OF_EDGE.fullmatch(draw.name):
            opened.add((found["source"], found["destination"]))
            into.setdefault(found["destination"].partition(".")[0], []).append(draw)
        elif draw.name.startswith("node."):
            own.setdefault(draw.name.split(".")[1], []).append(draw)
    cuts_any = any(draw.name.startswith("let.") for draw in draws)
    always = {e.destination.node for e in plan.graph.edges if not cuts_any and e.key not in opened}
    nodes = {node.name: node.network.model_dump_json() for node in plan.graph.nodes}
    nodes |= {each.name: each.name for each in plan.graph.dropped if each.kind == "node"}
    seen: set[tuple[object, ...]] = set()
    most = min(MAX_NODES, _count_of_points(draws))
    for name, network in nodes.items():
        options = frozenset(draw.options for draw in into.get(name, ()))
        kind = network, name in plan.graph.targets, options, *(d.options for d in own.get(name, ()))
        if options and name not in always and kind not in seen and len(seen) < most:
            seen.add(kind)
            yield name, into[name], own.get(name, [])


def _is_pretrained(plan: Plan, name: str) -> bool:
    return any(node.name == name and node.pretrained for node in plan.graph.nodes)


def _together(draws: Sequence[Draw]) -> list[Point]:
    """Points of draws where those with equal options take the same, `MAX_COMBINATIONS` at most."""
    options = list(dict.fromkeys(draw.options for draw in draws))
    points: list[Point] = []
    for chosen in islice(product(*(range(len(each)) for each in options)), MAX_COMBINATIONS):
        index = dict(zip(options, chosen, strict=True))
        points.append({draw.name: index[draw.options] for draw in draws})
    return points
