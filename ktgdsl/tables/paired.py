"""The paired t-test of two rows that were trained with the same seeds."""

from collections.abc import Mapping
from math import sqrt
from statistics import fmean, stdev
from typing import NamedTuple

from ktgdsl.tables.student import two_sided


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
