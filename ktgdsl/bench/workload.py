"""What is measured of a spec: the spec itself, or of a space a graph that is like its mean."""

from dataclasses import dataclass
from statistics import fmean

from ktgdsl.bench.flops import Sizes
from ktgdsl.plan.model import Plan
from ktgdsl.searching.estimate import SAMPLED, Estimate, estimate, sampled
from ktgdsl.space.size import size
from ktgdsl.training.pretrain import pretraining_plan
from ktgdsl.vocabulary.networks import shortest


@dataclass(frozen=True)
class Subject:
    """The plan to measure, in words what it is, and what is pre-trained: names and plans.

    `expected` is the cost of the search, counted, where it is one.
    """

    plan: Plan
    told: str
    pretrainings: tuple[tuple[str, Plan], ...]
    expected: Estimate | None = None


def subject_of(plan: Plan) -> Subject:
    """The subject of a plan with facts; of a space a graph of those that chance draws from it.

    It is the one whose arithmetic is nearest to their mean, trained as a trial is: so many epochs
    of it take about as long as those of as many different graphs.
    """
    if plan.space is None:
        return Subject(plan, "the spec itself", _pretrainings([plan]))
    from ktgdsl.searching.points import for_trial  # Optuna, only where something is searched

    expected = estimate(plan, size(plan).distinct)
    drawn = [for_trial(each) for each in sampled(plan, SAMPLED)]
    points = drawn or [for_trial(plan)]
    sizes = Sizes()
    counts = [sizes.of(each) for each in points]
    mean = fmean(counts)
    nearest = min(range(len(points)), key=lambda i: abs(counts[i] - mean))
    told = (
        f"of {len(points)} points drawn from the space, the graph whose arithmetic is nearest to "
        "their mean"
    )
    return Subject(points[nearest], told, _pretrainings(points[: expected.trials]), expected)


def _pretrainings(plans: list[Plan]) -> tuple[tuple[str, Plan], ...]:
    """The trainings of all frozen nodes without weights, equal ones once, by what they train."""
    found: dict[str, tuple[Plan, list[str]]] = {}
    for plan in plans:
        for node in plan.graph.nodes:
            if node.pretrained:
                own = pretraining_plan(plan, node, plan.train.seed)
                _, names = found.setdefault(own.digest, (own, []))
                if node.name not in names:
                    names.append(node.name)
    return tuple(
        (f"{', '.join(names)} ({shortest(own.graph.nodes[0].network)})", own)
        for own, names in found.values()
    )
