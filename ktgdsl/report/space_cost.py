"""The size of a space and the cost of its search, as text and as JSON data."""

import math
from dataclasses import asdict
from typing import Any

from ktgdsl.plan.model import Plan, SearchPlan
from ktgdsl.report.describe import section
from ktgdsl.searching.estimate import Estimate, estimate, network_bytes
from ktgdsl.space.size import Size, size

MAX_BITS = 14_000
"""Python writes and reads no integer of more than 4,300 digits, which have 14,281 bits at least."""


def space_cost(plan: Plan, *, measure: bool = False) -> tuple[str, dict[str, Any]]:
    """The size of a space and the expected cost of its search, as text and as JSON data.

    With `measure` a few steps are timed on this machine to estimate the hours.
    """
    space_size = size(plan)
    expected = estimate(plan, space_size.distinct)
    facts: dict[str, Any] = {
        **{name: _written(number) for name, number in asdict(space_size).items()},
        "estimate": {
            "trials": expected.trials,
            "complete": round(expected.complete, 1),
            "epochs": round(expected.epochs),
            "pretrainings": expected.pretrainings,
            "pretraining_epochs": expected.pretraining_epochs,
            "checks": expected.checks,
            "all_epochs": round(expected.all_epochs),
        },
    }
    rows = [
        ("points", _points(space_size)),
        ("graphs", _graphs(space_size)),
        *_search_rows(plan, expected),
    ]
    if plan.search is not None and plan.search.keep:
        size_each = None if plan.data.facts is None else network_bytes(plan)
        facts["estimate"]["kept_bytes"] = size_each and plan.search.keep * size_each
        rows.append(("disk", _disk(plan.search, size_each)))
    if measure:
        from ktgdsl.searching.epoch_time import epoch_seconds

        seconds = epoch_seconds(plan)
        hours = seconds * expected.all_epochs / 3600
        facts["estimate"] |= {"epoch_seconds": round(seconds, 3), "hours": round(hours, 2)}
        rows.append(("time", f"about {_duration(hours)} with one worker, {seconds:.2g} s an epoch"))
    return section("size of the space, and cost of its search", rows) + "\n", facts


def _points(space_size: Size) -> str:
    if space_size.raw is None:
        return "no end of them: a range of numbers is open"
    invalid = (
        "" if space_size.invalid is None else f", {_number(space_size.invalid)} of them invalid"
    )
    return f"{_number(space_size.raw)}{invalid}"


def _graphs(space_size: Size) -> str:
    if space_size.distinct is not None:
        return f"{_number(space_size.distinct)} distinct"
    bound = "" if space_size.bound is None else f": at most {_number(space_size.bound)}"
    return f"too many to count{bound}"


def _number(number: int) -> str:
    return f"{number:,}" if _written(number) is not None else f"10^{math.log10(number):,.0f}"


def _written(number: int | None) -> int | None:
    """A number that can be written out, and read as JSON; None for longer ones."""
    return None if number is None or number.bit_length() > MAX_BITS else number


def _search_rows(plan: Plan, expected: Estimate) -> list[tuple[str, str]]:
    all_epochs = expected.trials * expected.full_epochs
    exhausted = plan.search is not None and expected.trials < plan.search.trials
    note = ", as that is all there are" if exhausted else ""
    pretrainings = _count(expected.pretrainings, "pre-training")
    if expected.pretraining_epochs != expected.full_epochs:
        pretrainings += f" of {expected.pretraining_epochs:,} epochs"
    if expected.pretrainings_at_most:
        pretrainings = f"up to {pretrainings}"
    checks = _count(expected.checks, "training")
    return [
        ("trials", f"{expected.trials:,}{note}, about {expected.complete:.0f} trained to the end"),
        ("epochs", f"about {expected.epochs:,.0f} of {all_epochs:,}, by simulation of the pruner"),
        (
            "besides",
            f"{pretrainings}, and {checks} to judge the result, of {expected.full_epochs:,} epochs "
            "each",
        ),
    ]


def _disk(search: SearchPlan, size_each: int | None) -> str:
    """The disk space of the kept networks, in words."""
    keep = search.keep
    whose = "of the best trial" if keep == 1 else f"of the best {keep:,} trials"
    if size_each is None:
        return f"what the networks {whose} take: how large they are is not known before"
    each = f"{_bytes(size_each)} each"
    front = "; until the end, those of the whole front" if search.goals else ""
    return f"up to {_bytes(keep * size_each)} for the networks {whose}, {each}{front}"


def _bytes(number: float) -> str:
    units = ("bytes", "kB", "MB", "GB", "TB")
    power = min(len(units) - 1, int(math.log(max(1, number), 1000)))
    return f"{number / 1000**power:.3g} {units[power]}"


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' * (number != 1)}"


def _duration(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} seconds"
    return f"{hours * 60:.0f} minutes" if hours < 2 else f"{hours:.1f} hours"
