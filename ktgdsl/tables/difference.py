"""The difference of the accuracies of two rows by seed: t-test and confidence interval."""

from collections.abc import Mapping
from math import sqrt
from statistics import fmean, stdev, variance
from typing import Literal, NamedTuple

from ktgdsl.tables.student import critical, two_sided

LEVEL = 0.95
"""The confidence level of intervals."""


class Difference(NamedTuple):
    """How much larger a mean is than another, in percent.

    `test` is `paired` over `n` seeds that both have, or `welch` over the `n` of one and `other_n`
    of the other. `low` and `high` are the ends of the interval at `LEVEL`, `p` is two-sided; these
    and `t` are None where nothing varies, and all but `mean` where a row has a single run. `std` is
    the sample standard deviation of paired differences.
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
    std: float | None = None


def difference(ours: Mapping[int, float], other: Mapping[int, float]) -> Difference:
    """How accuracies by seed differ from others.

    Paired on the seeds that both have, if there are two at least: the training of a seed begins
    with equal weights and has equal batches (Student, Biometrika 1908). Else by Welch's test,
    which does not take the variances to be equal (Welch, Biometrika 1947).
    """
    return paired(ours, other) or _welch([*ours.values()], [*other.values()])


def paired(ours: Mapping[int, float], other: Mapping[int, float]) -> Difference | None:
    """The differences on the seeds that both have, with a paired t-test; None for fewer than two.

    t = mean / (std / sqrt(n)), with n - 1 degrees of freedom (Student, The Probable Error of a
    Mean, Biometrika 1908). A sign test, which assumes less, cannot give less than 2 / 2^n, 0.0625
    with five seeds.
    """
    # Rounded, so that equal differences of accuracies are equal numbers.
    differences = [round(ours[seed] - other[seed], 9) for seed in ours if seed in other]
    if len(differences) < 2:
        return None
    n, mean, std = len(differences), fmean(differences), stdev(differences)
    return _tested(Difference(mean, n, n, "paired", n - 1, std=std), std / sqrt(n))


def _welch(ours: list[float], other: list[float]) -> Difference:
    n, other_n, mean = len(ours), len(other), fmean(ours) - fmean(other)
    if n < 2 or other_n < 2:
        return Difference(mean, n, other_n)
    parts = variance(ours) / n, variance(other) / other_n
    squared_error = sum(parts)
    if squared_error == 0:
        return Difference(mean, n, other_n, "welch")
    freedom = squared_error**2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (other_n - 1))
    return _tested(Difference(mean, n, other_n, "welch", freedom), sqrt(squared_error))


def _tested(found: Difference, error: float) -> Difference:
    """The difference with t, p and the interval; `error` is its standard error."""
    assert found.freedom is not None
    if error == 0:
        return found
    t = found.mean / error
    margin = critical(1 - LEVEL, found.freedom) * error
    return found._replace(
        t=t, p=two_sided(t, found.freedom), low=found.mean - margin, high=found.mean + margin
    )
