"""Compares our mean with a published one: the difference, and Cohen's d."""

from math import sqrt
from typing import NamedTuple


class Sample(NamedTuple):
    """`n` runs: their mean, and their sample standard deviation where it is known."""

    mean: float
    std: float | None
    n: int


class Comparison(NamedTuple):
    """Our mean less the published one: in percent, and in pooled standard deviations."""

    percent: float
    d: float | None


def compare(ours: Sample, published: Sample) -> Comparison:
    """How far our mean is from a published one.

    d = (m1 - m2) / s with s² = ((n1 - 1) s1² + (n2 - 1) s2²) / (n1 + n2 - 2), the pooled
    variance (Cohen, Statistical Power Analysis, 1988, Sec. 2.5). It is None where a standard
    deviation is not known, as of a single run, and where s is 0.
    """
    percent = ours.mean - published.mean
    if ours.std is None or published.std is None:
        return Comparison(percent, None)
    freedom = ours.n + published.n - 2
    squares = (ours.n - 1) * ours.std**2 + (published.n - 1) * published.std**2
    if freedom < 1 or squares == 0:
        return Comparison(percent, None)
    return Comparison(percent, percent / sqrt(squares / freedom))
