"""The paired t-test: by hand, and which seeds count."""

from math import sqrt

import pytest

from ktgdsl.tables.paired import Gain, gain


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
