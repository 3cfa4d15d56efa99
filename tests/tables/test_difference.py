"""Differences of rows: by hand, with intervals, paired or not, and where nothing can be tested."""

from math import sqrt

import pytest

from ktgdsl.tables.difference import Difference, difference, paired


def test_shared_seeds_are_paired() -> None:
    # Differences 1, 2 and 3: mean 2, deviation 1, t = 2 sqrt(3), p = 1 - sqrt(12 / 14); and the
    # t that two degrees of freedom reach with 5 % is 0.95 sqrt(2 / (1 - 0.95²)) = 4.303.
    found = difference({0: 81.0, 1: 80.0, 2: 84.0}, {2: 81.0, 0: 80.0, 1: 78.0})
    margin = 0.95 * sqrt(2 / (1 - 0.95**2)) / sqrt(3)
    expected = Difference(
        2.0, 3, 3, "paired", 2, 2 * sqrt(3), 1 - sqrt(12 / 14), 2 - margin, 2 + margin, std=1.0
    )
    assert found[:3] == expected[:3]
    assert found.test == "paired"
    assert found[4:] == pytest.approx(expected[4:], rel=1e-12)


def test_seeds_of_one_row_alone_are_left_out_of_pairs() -> None:
    found = difference({5: 70.0, 3: 60.0, 9: 0.0}, {3: 59.0, 4: 0.0, 5: 72.0})
    assert (found.test, found.n, found.mean) == ("paired", 2, -0.5)


def test_other_seeds_are_tested_by_welch() -> None:
    # Variances 4 and 1 with n = 4 and 2: the squared error is 1 + 1 / 2, and by Welch and
    # Satterthwaite freedom = 1.5² / (1 / 3 + 0.25 / 1).
    ours = dict(enumerate([72 - sqrt(6), 72.0, 72.0, 72 + sqrt(6)]))
    other = {10: 70 - sqrt(0.5), 11: 70 + sqrt(0.5)}
    found = difference(ours, other)
    assert (found.test, found.n, found.other_n) == ("welch", 4, 2)
    assert found.mean == pytest.approx(2.0)
    assert found.freedom == pytest.approx(1.5**2 / (1 / 3 + 0.25))
    assert found.t == pytest.approx(2 / sqrt(1.5))
    assert found.low is not None
    assert found.high is not None
    assert (found.low + found.high) / 2 == pytest.approx(2.0)


@pytest.mark.parametrize("freedom_of_both", [2, 5])
def test_the_interval_ends_at_zero_where_p_is_5_percent(freedom_of_both: int) -> None:
    n = freedom_of_both + 1
    ours = {seed: float(seed) for seed in range(n)}
    found = difference(ours, dict.fromkeys(range(n), 0.0))
    assert found.p is not None
    assert found.low is not None
    # Moved so that the interval just has 0, p is what is left outside of it.
    moved = difference(
        {seed: value - found.low for seed, value in ours.items()}, dict.fromkeys(ours, 0.0)
    )
    assert moved.low == pytest.approx(0.0, abs=1e-8)
    assert moved.p == pytest.approx(0.05, abs=1e-8)


@pytest.mark.parametrize("other", [{1: 60.0}, {2: 60.0, 3: 61.0}])
def test_one_run_tests_nothing(other: dict[int, float]) -> None:
    found = difference({1: 70.0}, other)
    assert found == Difference(70.0 - sum(other.values()) / len(other), 1, len(other))


def test_nothing_that_varies_has_no_interval() -> None:
    equal = difference({0: 90.1, 1: 80.3}, {0: 89.9, 1: 80.1})
    assert (equal.test, equal.t, equal.p, equal.low) == ("paired", None, None, None)
    assert equal.std == 0
    assert equal.mean == pytest.approx(0.2)
    welch = difference({0: 90.0, 1: 90.0}, {2: 89.0, 3: 89.0})
    assert welch == Difference(1.0, 2, 2, "welch")


def test_one_common_seed_gives_no_pairs() -> None:
    assert paired({1: 70.0, 2: 71.0}, {2: 60.0, 3: 50.0}) is None
    assert paired({}, {1: 70.0}) is None
