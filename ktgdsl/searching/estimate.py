"""The expected cost of a search, by simulation of its pruner. No torch, no Optuna."""

import random
from dataclasses import dataclass
from statistics import fmean

from ktgdsl.plan.model import Draw, Plan, SearchPlan
from ktgdsl.searching.rungs import Rungs
from ktgdsl.space.space import plan_at

SIMULATIONS = 20
"""How many searches are simulated."""

SAMPLED = 64
"""How many points are drawn to see which nodes need pre-training."""

FINALISTS = 3
"""How many finalists are trained again with other seeds."""


@dataclass(frozen=True)
class Estimate:
    """The expected cost of a search.

    Of `trials` trials `complete` are trained to the end; all together take `epochs` epochs.
    Besides, `pretrainings` networks are trained, each for `pretraining_epochs`, and `checks`
    trainings judge the result, each for `full` epochs, the length of a full trial.
    """

    trials: int
    complete: float
    epochs: float
    pretrainings: int
    checks: int
    full: int
    pretraining_epochs: int

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
    return Estimate(
        trials=trials,
        complete=fmean(complete for complete, _ in runs),
        epochs=fmean(epochs for _, epochs in runs),
        pretrainings=_pretrainings(plan, trials),
        checks=2 * seeds + min(FINALISTS, trials) * search.confirm,
        full=search.epochs,
        pretraining_epochs=plan.pretrain.epochs if plan.pretrain else search.epochs,
    )


def _simulated(search: SearchPlan, trials: int, generator: random.Random) -> tuple[int, int]:
    """How many trials of a simulated search are trained to the end, and the epochs of all."""
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
    """Plans at `count` random points of a space, without the invalid ones."""
    assert plan.space is not None
    generator = random.Random(seed)
    plans = []
    for _ in range(count):
        point = {draw.name: _drawn(draw, generator) for draw in plan.space.draws}
        if (at_point := plan_at(plan, point)) is not None:
            plans.append(at_point)
    return plans


def _drawn(draw: Draw, generator: random.Random) -> int | float:
    if draw.options:
        return generator.randrange(len(draw.options))
    if isinstance(draw.low, int) and isinstance(draw.high, int):
        return generator.randint(draw.low, draw.high)
    return generator.uniform(draw.low or 0.0, draw.high or 0.0)


def _pretrainings(plan: Plan, trials: int) -> int:
    """How many different pre-trained networks the trials need, as far as a sample shows."""
    needed = {
        (node.network.model_dump_json(), node.optimizer.model_dump_json(), str(node.schedule))
        for point in sampled(plan, min(trials, SAMPLED))
        for node in point.graph.nodes
        if node.pretrained
    }
    return len(needed)
