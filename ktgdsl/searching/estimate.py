"""Estimates the cost of a search by simulating its pruner. No torch, no Optuna."""

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
from ktgdsl.searching.rungs import SimulatedHalving
from ktgdsl.searching.study.trial_plans import for_trial
from ktgdsl.space.space import plan_at
from ktgdsl.space.substitutions import Point

SIMULATIONS = 20
"""The number of simulated searches."""

SAMPLED_POINTS = 64
"""The number of random points that show which nodes need pre-training."""

MAX_COMBINATIONS = 16
"""The most combinations of the draws of a node's edges tried to find one where it is frozen."""

MAX_NODES = 16
"""The most distinct nodes for which such combinations are tried; others resemble those."""

MAX_TOTAL_DRAWS = 65_536
"""The most draws (points times draws per point) that are lowered, beyond MIN_POINTS points."""

MIN_POINTS = 4
"""The least number of sampled points of a space, however many draws it has."""

_EDGE_DRAW = re.compile(r"edge\.(?P<source>.+)->(?P<destination>.+)\.(?:gate|loss)(?:\.\d+)?")
"""Matches the name of an edge's draw."""

FINALISTS = 3
"""The number of finalists that are trained again with other seeds."""


@dataclass(frozen=True)
class Estimate:
    """The expected cost of a search.

    Attributes:
        trials: the number of trials.
        complete: how many of them the pruner does not end.
        epochs: of all trials together.
        pretrainings: the number of pre-trained networks.
        checks: the number of trainings of baselines, and of finalists with other seeds.
        full_epochs: of a complete trial, and of each check.
        pretraining_epochs: of each pre-training.
        pretrainings_at_most: whether some points need fewer pre-trained networks.
        trials_per_epoch: how many trials train epoch 1, 2, ...
    """

    trials: int
    complete: float
    epochs: float
    pretrainings: int
    checks: int
    full_epochs: int
    pretraining_epochs: int
    pretrainings_at_most: bool = False
    trials_per_epoch: tuple[float, ...] = ()

    @property
    def all_epochs(self) -> float:
        """The epochs of trials, pre-trainings and checks together."""
        pretraining = self.pretrainings * self.pretraining_epochs
        return self.epochs + pretraining + self.checks * self.full_epochs


def estimate(plan: Plan, distinct: int | None = None) -> Estimate:
    """Estimate the cost of searching a space of `distinct` graphs, None if that is unknown.

    Assumes that the ranking of trials does not change over the epochs. Raises ValueError when the
    plan has no open values.
    """
    search = plan.search
    if plan.space is None or search is None:
        raise ValueError("this plan leaves nothing open")
    trials = search.trials
    if distinct is not None and search.dedupe:
        trials = min(trials, distinct)
    runs = [_simulate(search, trials, random.Random(seed)) for seed in range(SIMULATIONS)]
    seeds = max(1, search.confirm)
    pretrainings, at_most = _pretrainings(plan, trials)
    return Estimate(
        trials=trials,
        complete=fmean(run.count(search.epochs) for run in runs),
        epochs=fmean(map(sum, runs)),
        pretrainings=pretrainings,
        checks=2 * seeds + min(FINALISTS, trials) * search.confirm,
        full_epochs=search.epochs,
        pretraining_epochs=_pretraining_epochs(plan, search),
        pretrainings_at_most=at_most,
        trials_per_epoch=_trials_per_epoch(runs, search.epochs),
    )


def _pretraining_epochs(plan: Plan, search: SearchPlan) -> int:
    if plan.pretrain is not None:
        return plan.pretrain.epochs
    if not plan.phases:
        return search.epochs
    return for_trial(plan_at(plan, {}) or plan).pretraining_epochs


def _simulate(search: SearchPlan, trials: int, generator: random.Random) -> list[int]:
    """The number of epochs of each trial of a simulated search."""
    pruner = SimulatedHalving(search)
    lengths = []
    for _ in range(trials):
        quality = generator.random()
        ends = (epoch for epoch in pruner.epochs if not pruner.continues(epoch, quality))
        lengths.append(next(ends, search.epochs))
    return lengths


def _trials_per_epoch(runs: Sequence[Sequence[int]], epochs: int) -> tuple[float, ...]:
    """The mean number of trials that train epoch 1, ..., `epochs`, over simulated searches."""
    ending = Counter(length for run in runs for length in run)
    left, trained = ending.total(), []
    for epoch in range(1, epochs + 1):
        trained.append(left / len(runs))
        left -= ending[epoch]
    return tuple(trained)


def network_bytes(plan: Plan) -> int | None:
    """The bytes of a trial's trained networks: the largest of some points, 4 per parameter.

    None where a network has to be constructed to count its parameters.
    """
    sizes = [_parameters(each) for each in sample_plans(plan, SAMPLED_POINTS)]
    known = [size for size in sizes if size is not None]
    return 4 * max(known) if known and len(known) == len(sizes) else None


def _parameters(plan: Plan) -> int | None:
    graph, data = plan.graph, plan.data
    counts = [
        parameter_count(node.network, classes_answered(graph, data, name), data.shape[0])
        for name, node in graph.networks.items()
    ]
    return None if None in counts else sum(count or 0 for count in counts)


def sample_plans(plan: Plan, count: int, seed: int = 0) -> list[Plan]:
    """Plans at up to `count` random points of a space; invalid points are left out."""
    assert plan.space is not None
    count = min(count, _point_limit(plan.space.draws))
    generator = random.Random(seed)
    plans = []
    for _ in range(count):
        point = {draw.name: _random_value(draw, generator) for draw in plan.space.draws}
        if (at_point := plan_at(plan, point)) is not None:
            plans.append(at_point)
    return plans


def _point_limit(draws: Sequence[Draw]) -> int:
    """The most points of a space that are lowered in acceptable time."""
    return max(MIN_POINTS, MAX_TOTAL_DRAWS // max(1, len(draws)))


def _random_value(draw: Draw, generator: random.Random) -> int | float:
    if draw.options:
        return generator.randrange(len(draw.options))
    if isinstance(draw.low, int) and isinstance(draw.high, int):
        return generator.randint(draw.low, draw.high)
    return generator.uniform(draw.low or 0.0, draw.high or 0.0)


def _pretrainings(plan: Plan, trials: int) -> tuple[int, bool]:
    """The most distinct pre-trained networks that trials need, and whether some need fewer.

    Random points rarely freeze a node, as all edges into it have to be cut, yet some of many trials
    will. So points chosen to cut them are included.
    """
    assert plan.space is not None
    sampled = [_pretrained(point) for point in sample_plans(plan, min(trials, SAMPLED_POINTS))]
    chosen = [_pretrained(point) for point in _with_idle_nodes(plan)]
    counts = Counter(key for keys in sampled for key in keys)
    rare = {key for keys in chosen for key in keys} - counts.keys()
    number = len(counts) + len(rare)
    if any(draw.choices is None for draw in plan.space.draws):
        # A network seen once has its own continuous parameters, as in every other trial.
        number += sum(times == 1 for times in counts.values()) * trials // max(1, len(sampled))
    number = min(number, trials * max(map(len, [*sampled, *chosen]), default=0))
    always = not rare and all(times == len(sampled) for times in counts.values())
    return number, not always


def _pretrained(point: Plan) -> set[tuple[str, ...]]:
    """The identities of the pre-trained networks of a plan."""
    return {
        (node.network.model_dump_json(), node.optimizer.model_dump_json(), str(node.schedule))
        for node in point.graph.nodes
        if node.pretrained
    }


def _with_idle_nodes(plan: Plan) -> Iterator[Plan]:
    """Plans in which one node is frozen because all edges into it are cut.

    Finds the point by giving all draws of those edges the same option in turn, other draws their
    first or last option; yields it with each option of the node's own draws.
    """
    assert plan.space is not None
    draws = [draw for draw in plan.space.draws if draw.options]
    last = {draw.name: len(draw.options) - 1 for draw in draws}
    for name, into, own in _idle_candidates(plan, draws):
        for point in ({**others, **each} for others in ({}, last) for each in _joint_points(into)):
            at_point = plan_at(plan, point)
            if at_point is not None and _is_pretrained(at_point, name):
                plans = (plan_at(plan, {**point, **each}) for each in _joint_points(own))
                yield from (each for each in plans if each is not None)
                break


def _idle_candidates(
    plan: Plan, draws: Sequence[Draw]
) -> Iterator[tuple[str, list[Draw], list[Draw]]]:
    """Nodes whose edges may all be cut: name, draws of the edges into it, and its own draws.

    Yields one of several equal nodes, and none with an edge that is in every graph.
    """
    into: dict[str, list[Draw]] = {}
    own: dict[str, list[Draw]] = {}
    searched = set()
    for draw in draws:
        if edge := _EDGE_DRAW.fullmatch(draw.name):
            searched.add((edge["source"], edge["destination"]))
            into.setdefault(edge["destination"].partition(".")[0], []).append(draw)
        elif draw.name.startswith("node."):
            own.setdefault(draw.name.split(".")[1], []).append(draw)
    cuts_any = any(draw.name.startswith("let.") for draw in draws)
    fixed = (each for each in plan.graph.edges if not cuts_any and each.key not in searched)
    always = {each.destination.node for each in fixed}
    nodes = {node.name: node.network.model_dump_json() for node in plan.graph.nodes}
    nodes |= {each.name: each.name for each in plan.graph.dropped if each.kind == "node"}
    seen: set[tuple[object, ...]] = set()
    most = min(MAX_NODES, _point_limit(draws))
    for name, network in nodes.items():
        options = frozenset(draw.options for draw in into.get(name, ()))
        kind = network, name in plan.graph.targets, options, *(d.options for d in own.get(name, ()))
        if options and name not in always and kind not in seen and len(seen) < most:
            seen.add(kind)
            yield name, into[name], own.get(name, [])


def _is_pretrained(plan: Plan, name: str) -> bool:
    return any(node.name == name and node.pretrained for node in plan.graph.nodes)


def _joint_points(draws: Sequence[Draw]) -> list[Point]:
    """Up to `MAX_COMBINATIONS` points of draws; draws with equal options take the same option."""
    options = list(dict.fromkeys(draw.options for draw in draws))
    points: list[Point] = []
    for chosen in islice(product(*(range(len(each)) for each in options)), MAX_COMBINATIONS):
        index = dict(zip(options, chosen, strict=True))
        points.append({draw.name: index[draw.options] for draw in draws})
    return points
