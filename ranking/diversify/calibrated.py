"""The calibrated set, then in order of relevance: the default.

The set is chosen greedily, each pick adding most to

    (1 - d) * sum of r_i                                                  r: relevance moved to [0, 1]
    + d * protection * n * sum over topics t of mix_t * spare_t * log(held_t)
    + d * NOVELTY * (1 + BREADTH * w / (w + HALF_TRUST)) * sum of log residual

    w = sum of shown, or 0 where what was had may come again;       n = PRIOR + sum of shown + size
    held_t = (PRIOR + SMOOTHING * n) * mix_t + shown_t + the set's places on t
    spare_t = min(1, (PRIOR + SMOOTHING * n + sum of shown) * mix_t / held_t before the set): under 1 where t had more

The middle is, up to spare_t and what the picks cannot change, -n * KL(mix || all that was shown, this slate continuing
it): a topic's next place is worth mix_t / held share of t, so one that earlier slates starved raises its own price
round by round, and a slate without a past owes nothing and stays near relevance. A topic that had more than its share
is worth less still: it need not be kept up, and leaves room for what is relevant. PRIOR places are taken as shown in
the mix already. The residual (ranking/diversify/residual.py) is what earlier picks cannot express of a vector: that
term costs a near-duplicate much and everything else little. It is small for a slate by itself, where it would cost
relevance, and grows for who is shown slate after slate: where nothing comes twice a loop lives off breadth inside
topics. Where what was had may come again nobody runs out of it, and the price stays small. Each gain only falls as the
set grows (monotone, submodular), so greedy is within 1 - 1/e of the best. At last the set is sorted by relevance: the
set keeps the breadth, the order keeps the relevance.

Calibration: Steck, "Calibrated recommendations", RecSys 2018. Greedy bound: Nemhauser, Wolsey, Fisher, 1978.
"""

import math

import numpy as np
import numpy.typing as npt

from ranking.diversify.inputs import Floats, Ordered, ordered, unit_scale
from ranking.diversify.kernels import greedy_kernels
from ranking.diversify.residual import EPSILON, Residual
from ranking.target import Target, remembered
from ranking.topics import SMOOTHING, Mixes

PRIOR = 10.0
NOVELTY = 0.11  # of the span of relevance, at a strength of 1: a duplicate loses 1.27, half a duplicate 0.076
BREADTH = 28.0  # times NOVELTY more, at most, for who is shown slate upon slate; chosen in simulated loops
WORTH_MIN = 1e-6  # of relevance at a dial of 1: equals still come by relevance
HELD_MIN = 1e-9

Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def calibrated(
    relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float
) -> list[int]:
    """Choose for relevance and closeness to the target, order by relevance. At most O(size * n * (dim + m))."""
    candidates = ordered(relevance, vectors, mixes, target, size, diversity)
    if diversity == 0.0 or candidates.size in (0, len(candidates.places)):
        return candidates.original(range(candidates.size))
    return candidates.original(np.sort(greedy_set(candidates, target, diversity)))


def greedy_set(candidates: Ordered, target: Target, diversity: float, compiled: bool = True) -> Places:
    """Places of the set among ordered candidates, in the order of the picks, compiled where that is possible."""
    count, fast = candidates.size, greedy_kernels() if compiled else None
    worth = max(1.0 - diversity, WORTH_MIN) * unit_scale(candidates.relevance).astype(np.float64)
    mix = np.maximum(target.mix, 0.0).astype(np.float64)
    shown = np.maximum(target.shown, 0.0).astype(np.float64)
    shown_places = float(shown.sum())
    places = PRIOR + shown_places + count
    held = np.maximum((PRIOR + SMOOTHING * places) * mix + shown, HELD_MIN)
    even = (PRIOR + SMOOTHING * places + shown_places) * mix
    price = (diversity * target.protection * places) * mix * np.minimum(1.0, even / held)
    tiring = 0.0 if target.again else shown_places
    novelty = diversity * NOVELTY * remembered(tiring, BREADTH)
    topics, shares = candidates.mixes
    if fast is None:
        return _by_numpy(worth, topics, shares, price, held, candidates.vectors, novelty, count)
    residual = candidates.squared.copy()
    residual[residual <= EPSILON] = 1.0  # an empty vector duplicates nothing
    return fast.calibrated(worth, topics, shares, price, held, candidates.vectors, residual, novelty, count)


def _by_numpy(
    worth: Doubles,
    topics: npt.NDArray[np.int32],
    shares: Floats,
    price: Doubles,
    held: Doubles,
    vectors: Floats,
    novelty: float,
    count: int,
) -> Places:
    """What `kernels.calibrated_picks` picks."""
    # One topic more, without a price: it takes padding and gains nothing.
    topic = np.where(topics >= 0, topics, len(price))
    price, held = np.append(price, 0.0), np.append(held, 1.0)
    prices, adds = price[topic], shares.astype(np.float64)
    residual = Residual(vectors, count)
    nothing_known = residual.of <= EPSILON
    residual.of[nothing_known] = 1.0
    picks = np.empty(count, dtype=np.int64)
    taken = np.zeros(len(worth), dtype=np.bool_)
    for step in range(count):
        gains = np.einsum("nm,nm->n", prices, np.log1p(adds / held[topic]))
        score = worth + gains + novelty * np.log(np.maximum(residual.of, EPSILON).astype(np.float64))
        score[taken] = -math.inf
        pick = int(score.argmax())
        picks[step] = pick
        taken[pick] = True
        np.add.at(held, topic[pick], adds[pick])
        if not nothing_known[pick]:
            residual.pick(pick)
    return picks
