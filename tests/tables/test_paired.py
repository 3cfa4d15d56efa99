"""The paired t-test: closed forms, a table of quantiles, and which seeds count."""

from math import atan, pi, sqrt

import pytest

from ktgdsl.tables.paired import Gain, gain, two_sided

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


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 40.0])
def test_closed_forms(t: float) -> None:
    assert two_sided(t, 1) == pytest.approx(1 - 2 / pi * atan(t), abs=1e-15)
    assert two_sided(t, 2) == pytest.approx(1 - t / sqrt(2 + t * t), abs=1e-15)
    u = t / sqrt(3)
    cubic = 1 - 2 / pi * (atan(u) + u / (1 + u * u))
    assert two_sided(t, 3) == pytest.approx(cubic, abs=1e-15)


def test_a_gain_by_hand() -> None:
    # Differences 1, 2 and 3: mean 2, deviation 1, t = 2 sqrt(3), p = 1 - sqrt(12 / 14).
    found = gain({0: 81.0, 1: 80.0, 2: 84.0}, {0: 80.0, 1: 78.0, 2: 81.0})
    assert found == pytest.approx(Gain(2.0, 1.0, 3, 2 * sqrt(3), 1 - sqrt(12 / 14)))


def test_seeds_are_paired_and_others_left_out() -> None:
    found = gain({5: 70.0, 3: 60.0, 9: 0.0}, {3: 59.0, 4: 0.0, 5: 72.0})
    assert found is not None
    assert (found.mean, found.n) == (-0.5, 2)


def test_one_seed_tests_nothing() -> None:
    assert gain({1: 70.0, 2: 71.0}, {2: 60.0, 3: 50.0}) is None
    assert gain({}, {1: 70.0}) is None


def test_equal_differences_have_no_test() -> None:
    assert gain({0: 90.1, 1: 80.3}, {0: 89.9, 1: 80.1}) == Gain(0.2, 0.0, 2, None, None)
