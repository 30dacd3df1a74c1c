"""Measures of a ranking, and intervals for their means.

Score ties are averaged: an item tied with others counts as its expected gain over all orders of them.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.integer]

BOOTSTRAP_ROUNDS = 1000


def ndcg(ranked: Sequence[int], relevant: Rows, size: int) -> float:
    """NDCG at `size` of one ranked list with binary relevance; 0 where nothing is relevant."""
    discounts = _discounts(size)
    wanted = set(relevant.tolist())
    gain = sum(float(discounts[place]) for place, row in enumerate(ranked[:size]) if row in wanted)
    ideal = ideal_gain(len(wanted), size)
    return gain / ideal if ideal else 0.0


def recall(ranked: Sequence[int], relevant: Rows, size: int) -> float:
    """Share of what is relevant among the first `size`."""
    wanted = set(relevant.tolist())
    return len(wanted.intersection(ranked[:size])) / len(wanted) if wanted else 0.0


def ndcg_of_scores(scores: Floats, relevant: Rows, size: int) -> float:
    """NDCG at `size` of one ranking of all items, ties averaged. scores (n,)."""
    wanted = scores[relevant]
    above = np.array([(scores > score).sum() for score in wanted], dtype=np.int64)
    level = np.array([(scores == score).sum() for score in wanted], dtype=np.int64)
    ideal = ideal_gain(len(relevant), size)
    return float(expected_gain(above, level, size).sum()) / ideal if ideal else 0.0


def expected_gain(above: Rows, level: Rows, size: int) -> Doubles:
    """Discounted gain of items with `above` items before them, averaged over the orders of `level` equal ones."""
    sums = np.r_[0.0, np.cumsum(_discounts(size))]
    gain: Doubles = (sums[np.minimum(above + level, size)] - sums[np.minimum(above, size)]) / level
    return gain


def ideal_gain(relevant: int, size: int) -> float:
    """The most that `relevant` items can gain among the first `size`."""
    return float(_discounts(size)[: min(relevant, size)].sum())


def ndcg_of_vectors(queries: Floats, items: Floats, relevant: Sequence[Rows], size: int) -> float:
    """Mean NDCG at `size` of scoring every item by its largest product with a user's queries (u, K, d)."""
    found = []
    for query, wanted in zip(queries, relevant, strict=True):
        scores = items @ query[0]
        for other in query[1:]:
            np.maximum(scores, items @ other, out=scores)
        found.append(ndcg_of_scores(scores, wanted, size))
    return float(np.mean(found)) if found else 0.0


def intra_list_distance(mixes: Floats) -> float:
    """Mean of 1 - cosine over pairs of category vectors (k, T); an item without a category is far from all."""
    norms = np.linalg.norm(mixes, axis=1, keepdims=True)
    units = mixes / np.maximum(norms, 1e-12)
    k = len(units)
    if k < 2:
        return 0.0
    total = float(np.square(units.sum(axis=0)).sum() - np.square(units).sum())
    return 1.0 - total / (k * (k - 1))


def interval(values: Doubles, seed: int) -> tuple[float, float, float]:
    """(mean, low, high): a 95% bootstrap interval over users."""
    if not len(values):
        return 0.0, 0.0, 0.0
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(BOOTSTRAP_ROUNDS)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def _discounts(size: int) -> Doubles:
    discounts: Doubles = 1.0 / np.log2(np.arange(2, size + 2))
    return discounts
