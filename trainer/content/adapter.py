"""From content features to item space, learned by contrast on what is turned to together.

    k_j  = unit(f_j A)                                 A (features, dim), so of rank dim at most; f frozen
    loss = -log softmax over j' in the batch of  SHARPNESS * v_i . k_j' - log q_j'     for pairs (i, j)

(i, j) are drawn from the neighbour lists by weight, v_i is the learned vector of i and stays as it is, so k_j lands
where items that go with j already are. A starts from the ridge regression of v on f and is held near it. It ships only
where it finds the partners of held-out items better than the ridge does; both never see them.
logQ: Yi et al., "Sampling-bias-corrected neural modeling", RecSys 2019; contrast: van den Oord et al., InfoNCE, 2018.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

REGULARISATION = 3.0
TRUST_COUNT = 3.0
SHARPNESS = 12.0
STEPS, BATCH, LEARNING_RATE, HOLD = 240, 256, 0.001, 1e-3
HELD_OUT_SHARE, HELD_OUT_MAX = 0.1, 3_000
PAIRS_MIN = 2_000
PAIRS_ASKED_MAX = 4_000
SIZE = 20

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Items turned to together: lefts, rights (p,) rows, weights (p,) above 0."""

    lefts: Longs
    rights: Longs
    weights: npt.NDArray[np.float64]

    def where(self, mask: npt.NDArray[np.bool_]) -> "Pairs":
        """These pairs alone."""
        return Pairs(self.lefts[mask], self.rights[mask], self.weights[mask])

    def __len__(self) -> int:
        return len(self.lefts)


def pairs_of(rows: Ints, weights: Floats, counts: Longs) -> Pairs:
    """Out of neighbour lists (n, M), -1 padded; only items with interactions."""
    left, place = np.nonzero((rows >= 0) & (weights > 0))
    right = rows[left, place].astype(np.int64)
    warm = (counts[left] > 0) & (counts[right] > 0)
    return Pairs(left[warm], right[warm], weights[left, place][warm].astype(np.float64))


def mapping(described: sparse.csr_array, learned: Floats, counts: Longs, pairs: Pairs | None, seed: int) -> Floats:
    """A (features, dim). described (n, features); learned (n, dim): vectors of items with interactions.

    pairs: None, or too few of them: the ridge regression.
    """
    if pairs is None or len(pairs) < PAIRS_MIN:
        return ridge(described, learned, counts)
    adapter, regression = held_out(described, learned, counts, pairs, seed)
    start = ridge(described, learned, counts)
    return contrast(start, described, learned, pairs, seed) if adapter > regression else start


def held_out(
    described: sparse.csr_array, learned: Floats, counts: Longs, pairs: Pairs, seed: int
) -> tuple[float, float]:
    """Recall@SIZE of (adapter, ridge) over items that neither was fitted to."""
    rng = np.random.default_rng(seed)
    known = np.unique(pairs.rights)
    away = rng.permutation(known)[: min(int(HELD_OUT_SHARE * len(known)), HELD_OUT_MAX)]
    is_away = np.zeros(len(counts), dtype=np.bool_)
    is_away[away] = True
    left = np.where(is_away, 0, counts)
    fitted = pairs.where(~is_away[pairs.lefts] & ~is_away[pairs.rights])
    asked = pairs.where(~is_away[pairs.lefts] & is_away[pairs.rights])
    if not len(fitted) or not len(asked):
        return 0.0, 0.0
    asked = asked.where(np.isin(np.arange(len(asked)), rng.permutation(len(asked))[:PAIRS_ASKED_MAX]))
    start = ridge(described, learned, left)
    made = contrast(start, described, learned, fitted, seed)
    return (
        _recall(made, described, learned, away, asked),
        _recall(start, described, learned, away, asked),
    )


def ridge(described: sparse.csr_array, learned: Floats, counts: Longs) -> Floats:
    """argmin sum_i confidence_i |f_i A - v_i|^2 + REGULARISATION |A|^2, confidence = count / (count + TRUST_COUNT)."""
    found = np.zeros((described.shape[1], learned.shape[1]), dtype=np.float32)
    used = np.unique(described.indices)
    if not len(used):
        return found
    features = sparse.csr_array(described[:, used])
    weighted = sparse.diags_array(counts / (counts + TRUST_COUNT)) @ features
    system = (features.T @ weighted).toarray() + REGULARISATION * np.eye(len(used))
    found[used] = linalg.solve(system, weighted.T @ learned.astype(np.float64), assume_a="pos")
    return found


def contrast(start: Floats, described: sparse.csr_array, learned: Floats, pairs: Pairs, seed: int) -> Floats:
    """STEPS steps of Adam from `start`; the same seed gives the same bits. About 4 ms a step."""
    rng = np.random.default_rng(seed)
    features = sparse.csr_array(described.astype(np.float32))
    vectors = _unit(learned)
    ends = np.cumsum(pairs.weights)
    shown = np.bincount(pairs.rights, weights=pairs.weights, minlength=len(learned))
    log_q = np.log(np.maximum(shown / ends[-1], 1e-12)).astype(np.float32)
    made = start.copy()
    first, second = np.zeros_like(made), np.zeros_like(made)
    for step in range(1, STEPS + 1):
        drawn = np.minimum(np.searchsorted(ends, rng.random(BATCH) * ends[-1]), len(pairs) - 1)
        left, right = pairs.lefts[drawn], pairs.rights[drawn]
        slope = _slope(made, sparse.csr_array(features[right]), vectors[left], right, log_q[right])
        slope += HOLD * (made - start)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope * slope
        made -= LEARNING_RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return made


def _slope(made: Floats, features: sparse.csr_array, asking: Floats, right: Longs, log_q: Floats) -> Floats:
    """Of the mean loss of a batch by A."""
    raw = (features @ made).astype(np.float32)
    lengths = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-6)
    keys = raw / lengths
    scores = SHARPNESS * asking @ keys.T - log_q
    # The same item again further along the batch is no negative.
    again = (right[None] == right[:, None]) & ~np.eye(len(right), dtype=np.bool_)
    scores[again] = -np.inf
    scores -= scores.max(axis=1, keepdims=True)
    shares = np.exp(scores)
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.diag_indices(len(shares))] -= 1.0
    of_keys = (SHARPNESS / len(shares)) * shares.T @ asking
    of_raw = (of_keys - keys * (keys * of_keys).sum(axis=1, keepdims=True)) / lengths
    slope: Floats = np.asarray(features.T @ of_raw, dtype=np.float32)
    return slope


def _recall(made: Floats, described: sparse.csr_array, learned: Floats, among: Longs, asked: Pairs) -> float:
    """Share of asked pairs whose right item is one of the SIZE nearest among these."""
    keys = _unit((described[among] @ made).astype(np.float32))
    place = np.zeros(len(learned), dtype=np.int64)
    place[among] = np.arange(len(among))
    hits = 0
    for begin in range(0, len(asked), 512):
        part = slice(begin, begin + 512)
        scores = _unit(learned[asked.lefts[part]]) @ keys.T
        wanted = scores[np.arange(len(scores)), place[asked.rights[part]]]
        hits += int(((scores > wanted[:, None]).sum(axis=1) < SIZE).sum())
    return hits / max(len(asked), 1)


def _unit(rows: Floats) -> Floats:
    scaled: Floats = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return scaled
