"""What repeated measurements tell, and what they do not.

Nothing here supposes a distribution: times have long tails, and few runs do
not show their shape.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist, median

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
# Up to so many values in all, p comes from all ways of dealing them out.
EXACT_MOST = 60


# --- one sample ---

@dataclass(frozen=True)
class Interval:
    """It contains the true median with probability coverage."""
    low: float
    high: float
    coverage: float


def median_interval(values, confidence=CONFIDENCE):
    """The interval of the median from two of the ordered values: how many of n
    lie below the true median is binomial (n, 1/2). It is the narrowest with at
    least that confidence. Fewer than 6 values cannot give 95 %: then it is
    the smallest and the largest, and coverage says how much they give (94 %
    for 5, 87.5 % for 4, 75 % for 3, 50 % for 2). None for one value."""
    ordered, n = sorted(values), len(values)
    if n < 2:
        return None
    # Of 2**n equally likely ways to lie below or above, those outside.
    outside, rank = 2, 1
    while rank < n // 2:
        further = outside + 2 * math.comb(n, rank)
        if further / 2**n > 1 - confidence:
            break
        outside, rank = further, rank + 1
    return Interval(ordered[rank - 1], ordered[n - rank], 1 - outside / 2**n)


def percentile(values, percent):
    """Between the two nearest of the ordered values, in proportion."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def cumulative(values):
    """The empirical distribution, as steps: [(value, share up to there)]."""
    ordered, n = sorted(values), len(values)
    return [(value, (i + 1) / n) for i, value in enumerate(ordered)
            if i + 1 == n or ordered[i + 1] != value]


def slope(points):
    """Theil and Sen's: the median of the slopes through any two points, which
    one bad point does not turn. None without two different x."""
    slopes = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points)
              for x2, y2 in points[i + 1:] if x1 != x2]
    return median(slopes) if slopes else None


# --- two samples ---

def mann_whitney(first, second):
    """Two-sided p of the hypothesis that both come from one distribution.
    Exact for up to EXACT_MOST values in all, with ties, too: of all ways to
    deal out the ranks, the share whose rank sum is as far from its mean. For
    more, the normal approximation corrected for ties and continuity. None
    unless both have values."""
    if not first or not second:
        return None
    ranks = _doubled_ranks(first + second)
    if len(ranks) <= EXACT_MOST:
        return _exact(ranks, len(first))
    return _approximate(ranks, len(first))


def _doubled_ranks(values):
    """Twice the mean rank of each, which is a whole number with ties, too."""
    ordered = sorted(values)
    first, last = {}, {}
    for i, value in enumerate(ordered, 1):
        first.setdefault(value, i)
        last[value] = i
    return [first[value] + last[value] for value in values]


def _exact(ranks, n1):
    # ways[k] has, for each sum, how many sets of k ranks have it: a number
    # of `bits` bits each, side by side in one long integer.
    n, bits = len(ranks), len(ranks) + 1
    ways = [1] + [0] * n1
    for rank in ranks:
        for k in range(n1, 0, -1):
            ways[k] += ways[k - 1] << (rank * bits)
    # n times the sum is compared, to stay with whole numbers.
    mean = n1 * sum(ranks)
    seen = abs(n * sum(ranks[:n1]) - mean)
    mask, left, extreme, total = (1 << bits) - 1, ways[n1], 0, 0
    while left:
        count = left & mask
        if count and abs(n * total - mean) >= seen:
            extreme += count
        left >>= bits
        total += 1
    return extreme / math.comb(n, n1)


def _approximate(ranks, n1):
    n = len(ranks)
    n2 = n - n1
    u = sum(ranks[:n1]) / 2 - n1 * (n1 + 1) / 2
    ties = {}
    for rank in ranks:
        ties[rank] = ties.get(rank, 0) + 1
    tied = sum(t**3 - t for t in ties.values())
    variance = n1 * n2 / 12 * (n + 1 - tied / (n * (n - 1)))
    if variance == 0:
        return 1.0
    distance = max(abs(u - n1 * n2 / 2) - 0.5, 0)
    return min(2 * NormalDist().cdf(-distance / math.sqrt(variance)), 1.0)


def smallest_p(n1, n2):
    """What mann_whitney() gives at best, for the most distant samples."""
    return min(2 / math.comb(n1 + n2, n1), 1.0)


def enough(tests=1, alpha=ALPHA):
    """How many samples each of two subjects needs at least for a difference
    to show, when so many tests are made."""
    n = 1
    while smallest_p(n, n) * tests > alpha:
        n += 1
    return n


def holm(ps):
    """Holm's correction: {key: p} so that with any number of true hypotheses
    the chance of one p below alpha is at most alpha."""
    result, largest = {}, 0.0
    for i, key in enumerate(sorted(ps, key=ps.get)):
        largest = max(largest, min(ps[key] * (len(ps) - i), 1.0))
        result[key] = largest
    return result
