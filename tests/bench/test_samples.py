"""Statistics against published tables and what can be worked out by hand."""

import random

import pytest
from comparison import samples


# The ranks of the order statistics in tables of the sign test's interval at
# 95 % (for example Conover, Practical Nonparametric Statistics).
@pytest.mark.parametrize("n, rank, coverage", [
    (6, 1, 0.9688), (7, 1, 0.9844), (8, 1, 0.9922), (9, 2, 0.9609),
    (10, 2, 0.9785), (12, 3, 0.9614), (15, 4, 0.9648), (20, 6, 0.9586),
    (25, 8, 0.9567), (50, 18, 0.9672), (100, 40, 0.9648)])
def test_interval_of_median_has_ranks_of_the_table(n, rank, coverage):
    values = list(range(1, n + 1))
    random.Random(n).shuffle(values)
    interval = samples.median_interval(values)
    assert (interval.low, interval.high) == (rank, n + 1 - rank)
    assert interval.coverage == pytest.approx(coverage, abs=5e-5)


@pytest.mark.parametrize("n, coverage", [(2, 0.5), (3, 0.75), (4, 0.875),
                                         (5, 0.9375)])
def test_few_values_give_their_range_and_its_true_coverage(n, coverage):
    interval = samples.median_interval(list(range(n)))
    assert interval == samples.Interval(0, n - 1, coverage)


def test_one_value_has_no_interval():
    assert samples.median_interval([7.0]) is None


def test_interval_of_thousands_of_values():
    interval = samples.median_interval(list(range(5000)))
    assert 0.95 <= interval.coverage < 0.951
    assert interval.low == 4999 - interval.high


def test_interval_covers_as_often_as_it_says():
    rng = random.Random(1)
    hits = 0
    for _ in range(4000):
        interval = samples.median_interval(
            [rng.expovariate(1) for _ in range(10)])
        hits += interval.low <= 0.693147 <= interval.high
    assert hits / 4000 == pytest.approx(0.9785, abs=0.01)


# Two-sided p of U = 0: 2 / C(n1 + n2, n1). The others from the distribution
# of U in Mann and Whitney's table of 1947: P(U <= 2) for 4 and 4 is 0.057,
# P(U <= 3) for 5 and 5 is 0.028, P(U <= 5) for 6 and 6 is 0.021 (19 / 924).
@pytest.mark.parametrize("first, second, p", [
    ([1, 2, 3], [4, 5, 6], 2 / 20),
    ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 2 / 252),
    ([1, 2, 3, 6], [4, 5, 7, 8], 2 * 4 / 70),
    ([1, 2, 3, 4, 8], [5, 6, 7, 9, 10], 2 * 7 / 252),
    ([1, 2, 3, 4, 5, 11], [6, 7, 8, 9, 10, 12], 2 * 19 / 924)])
def test_exact_p_without_ties(first, second, p):
    assert samples.mann_whitney(first, second) == pytest.approx(p)
    assert samples.mann_whitney(second, first) == pytest.approx(p)


def test_exact_p_with_ties_by_hand():
    # Mean ranks 1.5, 1.5, 4, 4, 4 of which two are the first sample's. Their
    # sums: 3 once, 5.5 six times, 8 three times; the mean is 6. So 3 is as
    # far as any, and 8 is nearer than it.
    assert samples.mann_whitney([1, 1], [2, 2, 2]) == pytest.approx(0.1)
    assert samples.mann_whitney([2, 2], [1, 1, 2]) == pytest.approx(0.4)
    assert samples.mann_whitney([1, 2], [1, 2, 2]) == 1


def test_equal_values_show_nothing():
    assert samples.mann_whitney([5] * 4, [5] * 6) == 1
    assert samples.mann_whitney([5] * 100, [5] * 100) == 1


def test_no_values_no_p():
    assert samples.mann_whitney([], [1.0]) is None


def test_exact_p_agrees_with_all_permutations():
    from itertools import combinations
    values = [1, 2, 2, 3, 5, 5, 5, 8, 9]
    ranks = [1, 2.5, 2.5, 4, 6, 6, 6, 8, 9]
    mean = 4 * 5
    seen = abs(sum(ranks[:4]) - mean)
    sums = [sum(chosen) for chosen in combinations(ranks, 4)]
    extreme = sum(abs(total - mean) >= seen for total in sums)
    assert samples.mann_whitney(values[:4], values[4:]) == pytest.approx(
        extreme / len(sums))


@pytest.mark.parametrize("shift", [0, 0.3, 0.6])
def test_approximate_p_is_near_the_exact_one(shift, monkeypatch):
    rng = random.Random(3)
    first = [round(rng.gauss(0, 1), 1) for _ in range(30)]
    second = [round(rng.gauss(shift, 1), 1) for _ in range(30)]
    exact = samples.mann_whitney(first, second)
    monkeypatch.setattr(samples, "EXACT_MOST", 0)
    assert samples.mann_whitney(first, second) == pytest.approx(
        exact, rel=0.05, abs=0.002)


def test_large_samples():
    rng = random.Random(4)
    first = [rng.gauss(100, 10) for _ in range(1000)]
    second = [rng.gauss(103, 10) for _ in range(1000)]
    assert samples.mann_whitney(first, second) < 1e-6


def test_how_many_samples_are_enough():
    assert samples.smallest_p(5, 5) == pytest.approx(2 / 252)
    assert samples.enough() == 4  # 2/70 is below 0.05, 2/20 is not
    assert samples.enough(60) == 7
    assert samples.enough(500) == 9


def test_holm_by_hand():
    corrected = samples.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    # in order 0.005 x 4, 0.01 x 3, 0.03 x 2, then no less than the one before
    assert corrected == pytest.approx(
        {"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert samples.holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert not samples.holm({})


def test_percentiles():
    values = [15, 20, 35, 40, 50]
    assert samples.percentile(values, 0) == 15
    assert samples.percentile(values, 40) == pytest.approx(29)
    assert samples.percentile(values, 100) == 50
    assert samples.percentile([3], 99) == 3


def test_cumulative_distribution():
    assert samples.cumulative([3, 1, 3, 2]) == [(1, 0.25), (2, 0.5), (3, 1.0)]


def test_slope_is_not_turned_by_one_bad_point():
    line = [[x, 5 + 30 * x] for x in (1, 2, 4, 8, 16, 32)]
    assert samples.slope(line) == pytest.approx(30)
    line[3][1] += 5000
    assert samples.slope(line) == pytest.approx(30)
    assert samples.slope([[1, 2], [1, 3]]) is None
    assert samples.slope([[1, 2]]) is None
