"""Student's t: closed forms, a table of quantiles, and mpmath."""

from math import atan, pi, sqrt

import pytest

from ktgdsl.tables.student import critical, two_sided

# Quantiles of Student's t as they are printed (Fisher and Yates, Statistical Tables, Table III).
QUANTILES = [
    (1, 12.706, 0.05),
    (2, 9.925, 0.01),
    (3, 3.182, 0.05),
    (4, 2.776, 0.05),
    (4, 8.610, 0.001),
    (5, 2.571, 0.05),
    (7, 1.895, 0.1),
    (10, 2.228, 0.05),
    (29, 2.756, 0.01),
    (120, 1.980, 0.05),
]


@pytest.mark.parametrize(("freedom", "t", "p"), QUANTILES)
def test_quantiles(freedom: int, t: float, p: float) -> None:
    assert two_sided(t, freedom) == pytest.approx(p, rel=2e-3)
    assert two_sided(-t, freedom) == two_sided(t, freedom)
    assert critical(p, freedom) == pytest.approx(t, rel=1e-3)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 40.0])
def test_closed_forms(t: float) -> None:
    assert two_sided(t, 1) == pytest.approx(1 - 2 / pi * atan(t), abs=1e-15)
    assert two_sided(t, 2) == pytest.approx(1 - t / sqrt(2 + t * t), abs=1e-15)
    u = t / sqrt(3)
    cubic = 1 - 2 / pi * (atan(u) + u / (1 + u * u))
    assert two_sided(t, 3) == pytest.approx(cubic, abs=1e-15)


@pytest.mark.parametrize("freedom", [1.5, 4.25, 33.3, 1e4])
@pytest.mark.parametrize("t", [0.01, 0.9, 3.0, 12.0])
def test_degrees_of_freedom_between_whole_numbers(freedom: float, t: float) -> None:
    mpmath = pytest.importorskip("mpmath")
    x = freedom / (freedom + t * t)
    expected = float(mpmath.betainc(freedom / 2, 0.5, 0, x, regularized=True))
    assert two_sided(t, freedom) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("freedom", [1.0, 2.7, 40.0])
def test_a_critical_value_has_its_probability(freedom: float) -> None:
    for p in (0.9, 0.05, 1e-6):
        assert two_sided(critical(p, freedom), freedom) == pytest.approx(p, rel=1e-9)
