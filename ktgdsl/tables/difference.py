"""The difference of two rows of accuracies by seed: with its interval, tested by Student's t."""

from collections.abc import Mapping
from math import sqrt
from statistics import fmean, variance
from typing import Literal, NamedTuple

from ktgdsl.tables.student import critical, two_sided

LEVEL = 0.95
"""The probability that an interval has the difference of the means."""


class Difference(NamedTuple):
    """How much larger a mean is than another, in percent.

    `test` is `paired` over `n` seeds that both have, or `welch` over the `n` of one and `other_n`
    of the other. `low` and `high` are the ends of the interval at `LEVEL`, `p` is two-sided; these
    and `t` are None where nothing varies, and all but `mean` where a row has a single run.
    """

    mean: float
    n: int
    other_n: int
    test: Literal["paired", "welch"] | None = None
    freedom: float | None = None
    t: float | None = None
    p: float | None = None
    low: float | None = None
    high: float | None = None


def difference(ours: Mapping[int, float], other: Mapping[int, float]) -> Difference:
    """How accuracies by seed differ from others.

    Paired on the seeds that both have, if there are two at least: the training of a seed begins
    with equal weights and has equal batches (Student, Biometrika 1908). Else by Welch's test,
    which does not take the variances to be equal (Welch, Biometrika 1947).
    """
    shared = [seed for seed in ours if seed in other]
    if len(shared) >= 2:
        # Rounded, so that equal differences of accuracies are equal numbers.
        return _paired([round(ours[seed] - other[seed], 9) for seed in shared])
    return _welch([*ours.values()], [*other.values()])


def _paired(differences: list[float]) -> Difference:
    n, mean = len(differences), fmean(differences)
    error = sqrt(variance(differences) / n)
    return _tested(Difference(mean, n, n, "paired", n - 1), error)


def _welch(ours: list[float], other: list[float]) -> Difference:
    n, other_n, mean = len(ours), len(other), fmean(ours) - fmean(other)
    if n < 2 or other_n < 2:
        return Difference(mean, n, other_n)
    parts = variance(ours) / n, variance(other) / other_n
    whole = sum(parts)
    if whole == 0:
        return Difference(mean, n, other_n, "welch")
    freedom = whole**2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (other_n - 1))
    return _tested(Difference(mean, n, other_n, "welch", freedom), sqrt(whole))


def _tested(found: Difference, error: float) -> Difference:
    """With t, p and the interval; `error` is the standard error of the difference."""
    assert found.freedom is not None
    if error == 0:
        return found
    t = found.mean / error
    margin = critical(1 - LEVEL, found.freedom) * error
    return found._replace(
        t=t, p=two_sided(t, found.freedom), low=found.mean - margin, high=found.mean + margin
    )
