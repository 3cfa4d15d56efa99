"""The size of a space and the cost of its search, for people and as plain data."""

from typing import Any

from ktgdsl.plan.model import Plan
from ktgdsl.report.describe import section
from ktgdsl.searching.estimate import Estimate, estimate
from ktgdsl.space.size import Size, size


def cost(plan: Plan, *, measure: bool = False) -> tuple[str, dict[str, Any]]:
    """How large a space is and what its search will take, as text and as JSON data.

    With `measure` some steps are trained on this machine to tell the hours.
    """
    counted = size(plan)
    expected = estimate(plan, counted.distinct)
    facts: dict[str, Any] = {
        "raw": counted.raw,
        "invalid": counted.invalid,
        "distinct": counted.distinct,
        "bound": counted.bound,
        "estimate": {
            "trials": expected.trials,
            "complete": round(expected.complete, 1),
            "epochs": round(expected.epochs),
            "pretrainings": expected.pretrainings,
            "checks": expected.checks,
            "all_epochs": round(expected.all_epochs),
        },
    }
    rows = [("points", _points(counted)), ("graphs", _graphs(counted)), *_rows(plan, expected)]
    if measure:
        from ktgdsl.searching.measure import epoch_seconds

        seconds = epoch_seconds(plan)
        hours = seconds * expected.all_epochs / 3600
        facts["estimate"] |= {"epoch_seconds": round(seconds, 3), "hours": round(hours, 2)}
        rows.append(("time", f"about {_duration(hours)} with one worker, {seconds:.2g} s an epoch"))
    return section("size of the space, and cost of its search", rows) + "\n", facts


def _points(counted: Size) -> str:
    if counted.raw is None:
        return "no end of them: a range of numbers is open"
    invalid = "" if counted.invalid is None else f", {counted.invalid:,} of them invalid"
    return f"{counted.raw:,}{invalid}"


def _graphs(counted: Size) -> str:
    if counted.distinct is not None:
        return f"{counted.distinct:,} distinct"
    bound = "" if counted.bound is None else f": at most {counted.bound:,}"
    return f"too many to count{bound}"


def _rows(plan: Plan, expected: Estimate) -> list[tuple[str, str]]:
    without = expected.trials * expected.full
    all_there_are = plan.search is not None and expected.trials < plan.search.trials
    fewer = ", as that is all there are" if all_there_are else ""
    before = _count(expected.pretrainings, "pre-training")
    after = _count(expected.checks, "training")
    return [
        ("trials", f"{expected.trials:,}{fewer}, about {expected.complete:.0f} trained to the end"),
        ("epochs", f"about {expected.epochs:,.0f} of {without:,}, by simulation of the pruner"),
        ("besides", f"{before}, and {after} to judge the result, of {expected.full:,} epochs each"),
    ]


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' * (number != 1)}"


def _duration(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} seconds"
    return f"{hours * 60:.0f} minutes" if hours < 2 else f"{hours:.1f} hours"
