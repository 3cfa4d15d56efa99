"""What a search will cost, before it begins: the pruner, simulated. No torch, no Optuna."""

import random
from dataclasses import dataclass
from statistics import fmean

from ktgdsl.plan.model import Draw, Plan, SearchPlan
from ktgdsl.searching.rungs import Rungs
from ktgdsl.space.space import plan_at

SIMULATIONS = 20
"""How many searches are simulated."""

SAMPLED = 64
"""How many points are drawn to see which nodes have to be pre-trained."""

CHECKED = 3
"""How many finalists are trained with further seeds."""


@dataclass(frozen=True)
class Estimate:
    """The expected cost of a search.

    `trials` are made, of which `complete` are trained to the end, in `epochs` epochs
    together. `pretrainings` networks are trained before, each for as many epochs as a full
    trial, and `checks` trainings judge the result.
    """

    trials: int
    complete: float
    epochs: float
    pretrainings: int
    checks: int
    full: int
    """Epochs of a full trial."""

    @property
    def all_epochs(self) -> float:
        """Epochs of everything together."""
        return self.epochs + (self.pretrainings + self.checks) * self.full


def estimate(plan: Plan, distinct: int | None = None) -> Estimate:
    """Estimate the cost of searching a space of `distinct` graphs, if that is known.

    Trials are taken to be of lasting quality: one that leads early leads later. Raises
    ValueError when nothing is open.
    """
    search = plan.search
    if plan.space is None or search is None:
        raise ValueError("this plan leaves nothing open")
    trials = search.trials
    if distinct is not None and search.dedupe:
        trials = min(trials, distinct)
    runs = [_simulated(search, trials, random.Random(seed)) for seed in range(SIMULATIONS)]
    seeds = max(1, search.confirm)
    return Estimate(
        trials=trials,
        complete=fmean(complete for complete, _ in runs),
        epochs=fmean(epochs for _, epochs in runs),
        pretrainings=_pretrainings(plan, trials),
        checks=2 * seeds + min(CHECKED, trials) * search.confirm,
        full=search.epochs,
    )


def _simulated(search: SearchPlan, trials: int, generator: random.Random) -> tuple[int, int]:
    """How many trials of a search are trained to the end, and all epochs."""
    rungs = Rungs(search)
    complete = epochs = 0
    for _ in range(trials):
        quality = generator.random()
        for epoch in rungs.epochs:
            if not rungs.goes_on(epoch, quality):
                epochs += epoch
                break
        else:
            complete += 1
            epochs += search.epochs
    return complete, epochs


def sampled(plan: Plan, count: int, seed: int = 0) -> list[Plan]:
    """Plans at some random points of a space, invalid ones left out."""
    assert plan.space is not None
    generator = random.Random(seed)
    found = []
    for _ in range(count):
        point = {draw.name: _drawn(draw, generator) for draw in plan.space.draws}
        if (at_point := plan_at(plan, point)) is not None:
            found.append(at_point)
    return found


def _drawn(draw: Draw, generator: random.Random) -> int | float:
    if draw.options:
        return generator.randrange(len(draw.options))
    if isinstance(draw.low, int) and isinstance(draw.high, int):
        return generator.randint(draw.low, draw.high)
    return generator.uniform(draw.low or 0.0, draw.high or 0.0)


def _pretrainings(plan: Plan, trials: int) -> int:
    """How many different networks the trials need pre-trained, as far as a sample shows."""
    needed = {
        (node.network.model_dump_json(), node.optimizer.model_dump_json(), str(node.schedule))
        for point in sampled(plan, min(trials, SAMPLED))
        for node in point.graph.nodes
        if node.pretrained
    }
    return len(needed)
