"""Student's t distribution, for any positive number of degrees of freedom."""

from math import exp, lgamma, log

_TINY = 1e-300
_PRECISION = 1e-15


def two_sided(t: float, freedom: float) -> float:
    """P(|T| >= |t|).

    It is I_x(freedom / 2, 1 / 2), the regularised incomplete beta function, at
    x = freedom / (freedom + t²) (Abramowitz and Stegun, Handbook of Mathematical Functions, 1964,
    26.7.1 and 26.5.27). The error is about 1e-13.
    """
    whole = freedom + t * t
    return _incomplete_beta(freedom / whole, t * t / whole, freedom / 2, 0.5)


def critical(p: float, freedom: float) -> float:
    """The t that |T| reaches with probability p, from 0 to 1 without either."""
    low, high = 0.0, 1.0
    while two_sided(high, freedom) > p:
        low, high = high, 2 * high
    for _ in range(100):  # more than bits in a float
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, freedom) > p else (low, middle)
    return (low + high) / 2


def _incomplete_beta(x: float, y: float, a: float, b: float) -> float:
    """I_x(a, b) with y = 1 - x, by its continued fraction (DLMF 8.17.22, Lentz)."""
    if x == 0 or y == 0:
        return 1.0 if y == 0 else 0.0
    if x > (a + 1) / (a + b + 2):  # where the other one converges faster
        return 1 - _incomplete_beta(y, x, b, a)
    front = exp(a * log(x) + b * log(y) + lgamma(a + b) - lgamma(a) - lgamma(b)) / a
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = 1 / _not_zero(1 + numerator * d)
            c = _not_zero(1 + numerator / c)
            fraction *= c * d
        if abs(c * d - 1) <= _PRECISION:
            break
    return front * fraction


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
