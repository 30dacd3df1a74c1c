"""Measures of a ranking.

Score ties are averaged: an item tied with others counts as its expected gain over all orders of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.integer]

BOOTSTRAP_ROUNDS = 1_000
BEYOND = 1 << 40  # a place that no cut-off reaches


@dataclass(frozen=True)
class Places:
    """Where relevant items stand in one ranking of all items.

    above (r,): how many items rank above each; level (r,): how many are level with it, itself among them
    """

    above: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]

    def of(self, mask: npt.NDArray[np.bool_]) -> "Places":
        """Those of some of the relevant items."""
        return Places(self.above[mask], self.level[mask])

    def ndcg(self, size: int) -> float:
        """NDCG at `size`; 0 where nothing is relevant."""
        ideal = ideal_gain(len(self.above), size)
        return float(expected_gain(self.above, self.level, size).sum()) / ideal if ideal else 0.0

    def recall(self, size: int) -> float:
        """Expected share among the first `size`."""
        if not len(self.above):
            return 0.0
        return float(np.clip((size - self.above) / self.level, 0.0, 1.0).mean())

    def hit(self, size: int) -> float:
        """Probability that any is among the first `size`."""
        above, level, mates = self._first()
        if above + level <= size:
            return 1.0 if mates else 0.0
        missed = 1.0
        for place in range(max(size - above, 0)):
            missed *= max(level - mates - place, 0) / (level - place)
        return 1.0 - missed

    def reciprocal(self, depth: int) -> float:
        """Expected reciprocal rank of the first of them; 0 beyond `depth`."""
        above, level, mates = self._first()
        found, missed = 0.0, 1.0
        for place in range(min(level, max(depth - above, 0))):
            here = missed * min(mates / (level - place), 1.0)
            found += here / (above + place + 1)
            missed -= here
        return found

    def _first(self) -> tuple[int, int, int]:
        """The best tie that holds a relevant item: how many are above it, how many in it, how many of them relevant."""
        if not len(self.above):
            return BEYOND, 1, 0
        best = int(self.above.argmin())
        return int(self.above[best]), int(self.level[best]), int((self.above == self.above[best]).sum())


def listed(ranked: Sequence[int], relevant: Rows) -> Places:
    """Places in a list of distinct rows; what it does not hold lies beyond it."""
    place_of = {row: place for place, row in enumerate(ranked)}
    above = np.array([place_of.get(row, BEYOND) for row in relevant.tolist()], dtype=np.int64)
    return Places(above, np.ones(len(above), dtype=np.int64))


def ranked(scores: Floats, relevant: Rows, size: int, depth: int, order: Rows) -> tuple[list[int], Places]:
    """The first `size` rows of a ranking of all items, and the places of relevant ones down to `depth`.

    scores (n,): minus infinity for what must not be shown; order (n,): which of two equal ones is listed first
    """
    count = len(scores)
    least = np.partition(scores, count - depth)[count - depth] if count > depth else -np.inf
    among = np.flatnonzero((scores >= least) & (scores > -np.inf))
    ascending = np.sort(scores[among])
    wanted = scores[relevant]
    above = len(among) - np.searchsorted(ascending, wanted, side="right")
    level = len(among) - above - np.searchsorted(ascending, wanted, side="left")
    reached = level > 0
    places = Places(np.where(reached, above, BEYOND).astype(np.int64), np.where(reached, level, 1).astype(np.int64))
    if len(among) > size:
        among = among[scores[among] >= ascending[-size]]
    best = among[np.lexsort((order[among], -scores[among]))]
    return [int(row) for row in best[:size]], places


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
    ideal = ideal_gain(len(relevant), size)
    if not ideal:
        return 0.0
    edge = np.partition(scores, -size)[-size] if len(scores) > size else scores.min()
    best, wanted = np.sort(scores[scores >= edge]), scores[relevant]
    wanted = wanted[wanted >= edge]  # what stands lower gains nothing
    above = len(best) - np.searchsorted(best, wanted, side="right")
    level = len(best) - above - np.searchsorted(best, wanted, side="left")
    return float(expected_gain(above, level, size).sum()) / ideal


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


def interval(values: Doubles, seed: int) -> tuple[float, float, float]:
    """(mean, low, high): a 95% bootstrap interval over independent values."""
    if not len(values):
        return 0.0, 0.0, 0.0
    drawn = np.random.default_rng(seed).integers(len(values), size=(BOOTSTRAP_ROUNDS, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def intra_list_distance(mixes: Floats) -> float:
    """Mean of 1 - cosine over pairs of category vectors (k, T); an item without a category is far from all."""
    norms = np.linalg.norm(mixes, axis=1, keepdims=True)
    units = mixes / np.maximum(norms, 1e-12)
    k = len(units)
    if k < 2:
        return 0.0
    total = float(np.square(units.sum(axis=0)).sum() - np.square(units).sum())
    return 1.0 - total / (k * (k - 1))


def _discounts(size: int) -> Doubles:
    discounts: Doubles = 1.0 / np.log2(np.arange(2, size + 2))
    return discounts
