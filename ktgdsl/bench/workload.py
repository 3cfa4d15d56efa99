"""The plan that a benchmark measures: of a spec its own, of a space a typical point."""

from dataclasses import dataclass
from statistics import fmean

from ktgdsl.bench.flops import ImageFlops
from ktgdsl.plan.model import Plan
from ktgdsl.program.pretraining import pretraining_plan
from ktgdsl.searching.estimate import SAMPLED_POINTS, Estimate, estimate, sample_plans
from ktgdsl.searching.study.trial_plans import for_trial
from ktgdsl.space.size import size
from ktgdsl.vocabulary.networks import shorthand


@dataclass(frozen=True)
class Workload:
    """The plans to measure.

    Attributes:
        plan: to measure.
        description: of the plan, in words.
        pretrainings: the nodes, in words, and the plan of each pre-training.
        search: the estimated cost of the search, if it is one.
    """

    plan: Plan
    description: str
    pretrainings: tuple[tuple[str, Plan], ...]
    search: Estimate | None = None


def choose_workload(plan: Plan) -> Workload:
    """The workload of a plan with the facts of its data.

    Of a space it is one of some points drawn at random: the graph whose FLOPs are nearest to
    their mean, trained as a trial is, so that its epochs take about as long as those of the
    different graphs of a search do on average.
    """
    if plan.space is None:
        return Workload(plan, "the spec itself", _pretrainings([plan]))
    cost = estimate(plan, size(plan).distinct)
    drawn = [for_trial(each) for each in sample_plans(plan, SAMPLED_POINTS)]
    points = drawn or [for_trial(plan)]
    flops = ImageFlops()
    counts = [flops.of(each) for each in points]
    mean = fmean(counts)
    nearest = min(range(len(points)), key=lambda i: abs(counts[i] - mean))
    description = (
        f"of {len(points)} points drawn from the space, the graph whose arithmetic is nearest to "
        "their mean"
    )
    return Workload(points[nearest], description, _pretrainings(points[: cost.trials]), cost)


def _pretrainings(plans: list[Plan]) -> tuple[tuple[str, Plan], ...]:
    """The nodes and plan of each pre-training that the plans need, equal ones once."""
    by_digest: dict[str, tuple[Plan, list[str]]] = {}
    for plan in plans:
        for node in plan.graph.nodes:
            if node.pretrained:
                own = pretraining_plan(plan, node, plan.train.seed)
                _, names = by_digest.setdefault(own.digest, (own, []))
                if node.name not in names:
                    names.append(node.name)
    return tuple(
        (f"{', '.join(names)} ({shorthand(own.graph.nodes[0].network)})", own)
        for own, names in by_digest.values()
    )
