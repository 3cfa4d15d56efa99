"""The paired t-test of two rows that were trained with the same seeds."""

from collections.abc import Mapping
from math import atan, cos, pi, sin, sqrt
from statistics import fmean, stdev
from typing import NamedTuple


class Gain(NamedTuple):
    """The differences of two rows by seed, in percent: `n` of them, mean and sample deviation.

    `t` and `p`, two-sided, are those of a paired t-test; None where all differences are equal.
    """

    mean: float
    std: float
    n: int
    t: float | None
    p: float | None


def gain(ours: Mapping[int, float], other: Mapping[int, float]) -> Gain | None:
    """What accuracies by seed gain over others, on the seeds that both have; None for one or none.

    t = mean / (std / sqrt(n)), with n - 1 degrees of freedom (Student, The Probable Error of a
    Mean, Biometrika 1908). A test of signs, which assumes less, cannot give less than 2 / 2^n,
    0.0625 with five seeds.
    """
    # Rounded, so that equal differences of accuracies are equal numbers.
    differences = [round(ours[seed] - other[seed], 9) for seed in ours if seed in other]
    n = len(differences)
    if n < 2:
        return None
    mean, std = fmean(differences), stdev(differences)
    if std == 0:
        return Gain(mean, std, n, None, None)
    t = mean / (std / sqrt(n))
    return Gain(mean, std, n, t, two_sided(t, n - 1))


def two_sided(t: float, freedom: int) -> float:
    """P(|T| >= |t|) of Student's t distribution, by its finite series for whole degrees of freedom.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.7.3 and 26.7.4. The error
    is that of 1 - x, about 1e-16.
    """
    angle = atan(abs(t) / sqrt(freedom))
    odd = freedom % 2
    # The sum of cos, 2/3 cos³, ... or of 1, 1/2 cos², ..., up to the power freedom - 2.
    term = cos(angle) if odd else 1.0
    series = 0.0
    for power in range(odd, freedom - 1, 2):
        series += term
        term *= (power + 1) / (power + 2) * cos(angle) ** 2
    inside = sin(angle) * series
    if odd:
        inside = 2 / pi * (angle + inside)
    return max(0.0, 1 - inside)
