"""The two greedy methods as plain loops, compiled by numba where it is installed (the extra `fast`).

Both are lazy: a candidate's gain only ever falls, so one that is out of date is still an upper bound, and a candidate
is brought up to date only while it could win. Exact, and most candidates are never touched again: the work is far
below size * n * dim. Lazy greedy: Minoux, "Accelerated greedy algorithms", 1978.

Residuals are those of ranking/diversify/residual.py. Without numba the numpy paths beside the callers pick the same.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.compiled import ANY_ORDER, EXACT, compile_into, compiled, numba
from ranking.diversify.residual import EPSILON, UNIT_TOLERANCE

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Topics = npt.NDArray[np.int32]

AGAIN = 0.1  # of a squared length: below it what is left is orthogonalised once more


class Kernels(NamedTuple):
    """Compiled `calibrated_picks`, `dpp_picks` and `sorted_rows`."""

    calibrated: Callable[..., Places]
    dpp: Callable[..., Places]
    sorted_rows: Callable[..., tuple[Floats, Topics, Floats, Floats]]


@lru_cache(maxsize=1)
def greedy_kernels() -> Kernels | None:
    """All, compiled, or None where numba is not installed. The first call takes seconds, or 0.2 s from the cache."""
    if numba() is None:
        return None
    compile_into(globals(), dict.fromkeys(("_product", "_project"), ANY_ORDER))
    compile_into(globals(), dict.fromkeys(("_reduce", "_extend", "_gain_most", "_gain"), EXACT))
    return Kernels(
        compiled(calibrated_picks, "d1 i2 f2 d1 d1w f2 f1w d q"),
        compiled(dpp_picks, "d1 f2 f1w q"),
        compiled(sorted_rows, "q1 f2 i2 f2"),
    )


def calibrated_picks(
    worth: Doubles,
    topics: Topics,
    shares: Floats,
    price: Doubles,
    held: Doubles,
    vectors: Floats,
    residual: Floats,
    novelty: float,
    size: int,
) -> Places:
    """Greedily the largest worth_i + sum_t price_t log1p(share_it / held_t) + novelty * log residual_i, in pick order.

    worth (n,); topics, shares (n, m), -1 padded; price, held (T,), held > 0; vectors (n, dim); residual (n,): squared
    lengths, 1 for what is unknown. size <= n. Changes held and residual.
    """
    n, dim = vectors.shape
    basis, rank = np.zeros((min(size, dim), dim), np.float32), 0
    projected = np.zeros(n, np.int64)  # onto how many basis vectors a residual has been taken
    # The pick that last moved a topic; that a gain is of: none yet, as a bound does for most.
    moved, fresh = np.zeros(len(held), np.int64), np.full(n, -1)
    gain, new, bound = np.empty(n, np.float64), np.zeros(n, np.float64), np.empty(n, np.float64)
    for i in range(n):
        gain[i] = _gain_most(topics, shares, i, price, held)
        if residual[i] < 1.0:
            new[i] = novelty * math.log(max(residual[i], EPSILON))
        bound[i] = worth[i] + gain[i] + new[i]
    picks = np.empty(size, np.int64)
    for step in range(size):
        best, most = -1, -np.inf
        start = int(bound.argmax())  # likely the winner: up to date first, it spares the others
        for turn in range(-1, n):
            i = start if turn < 0 else turn
            if bound[i] < most or (bound[i] == most and i >= best):
                continue
            for column in range(topics.shape[1]):
                topic = topics[i, column]
                if topic >= 0 and moved[topic] > fresh[i]:
                    bound[i] = worth[i] + _gain_most(topics, shares, i, price, held) + new[i]
                    if bound[i] >= most:
                        gain[i] = _gain(topics, shares, i, price, held)
                        fresh[i] = step
                        bound[i] = worth[i] + gain[i] + new[i]
                    break
            while novelty > 0.0 and projected[i] < rank and bound[i] >= most:
                _project(vectors, i, basis, rank, projected, residual)
                new[i] = novelty * math.log(max(residual[i], EPSILON))
                bound[i] = worth[i] + gain[i] + new[i]
            if bound[i] > most or (bound[i] == most and i < best):
                best, most = i, bound[i]
        picks[step] = best
        bound[best] = -np.inf
        for column in range(topics.shape[1]):
            topic = topics[best, column]
            if topic >= 0:
                held[topic] += shares[best, column]
                moved[topic] = step + 1
        if novelty > 0.0 and rank < len(basis) and step + 1 < size:
            rank = _extend(vectors, best, basis, rank)
    return picks


def dpp_picks(weights: Doubles, vectors: Floats, residual: Floats, size: int) -> Places:
    """Greedily the largest weight_i * residual_i above EPSILON, then in the order given. size <= n."""
    n, dim = vectors.shape
    basis, rank = np.zeros((min(size, dim), dim), np.float32), 0
    projected, taken = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    picks, count = np.empty(size, np.int64), 0
    bound = weights * residual
    while count < size:
        best, most = -1, 0.0
        start = int(bound.argmax())  # likely the winner: up to date first, it spares the others
        for turn in range(-1, n):
            i = start if turn < 0 else turn
            if taken[i] or bound[i] < most or (bound[i] == most and best >= 0 and i >= best):
                continue
            while projected[i] < rank and bound[i] >= most:
                _project(vectors, i, basis, rank, projected, residual)
                bound[i] = weights[i] * residual[i]
            if residual[i] <= EPSILON:
                bound[i] = 0.0
            elif projected[i] == rank and (bound[i] > most or (bound[i] == most and i < best)):
                best, most = i, bound[i]
        if best < 0:
            break
        picks[count] = best
        count += 1
        taken[best] = True
        bound[best] = 0.0
        if rank < len(basis):
            rank = _extend(vectors, best, basis, rank)
    for i in range(n):
        if count == size:
            break
        if not taken[i]:
            picks[count] = i
            count += 1
    return picks


def sorted_rows(places: Places, vectors: Floats, topics: Topics, shares: Floats) -> Any:
    """Vectors (n, dim), topics and shares (n, m) at `places`, in their order, and the squared lengths of the vectors,
    as ranking/diversify/residual.py counts them; those that are not finite stay so."""
    count = len(places)
    by_place, squared = np.empty((count, vectors.shape[1]), np.float32), np.empty(count, np.float32)
    topics_by_place = np.empty((count, topics.shape[1]), np.int32)
    shares_by_place = np.empty((count, topics.shape[1]), np.float32)
    for to in range(count):
        place = places[to]
        for dim in range(vectors.shape[1]):
            by_place[to, dim] = vectors[place, dim]
        length = _product(vectors, place, vectors, place)
        squared[to] = 1.0 if abs(length - np.float32(1.0)) < UNIT_TOLERANCE else length
        for column in range(topics.shape[1]):
            topics_by_place[to, column] = topics[place, column]
            shares_by_place[to, column] = shares[place, column]
    return by_place, topics_by_place, shares_by_place, squared


def _product(a: Floats, row: int, b: Floats, other: int) -> Any:
    total = np.float32(0.0)
    for j in range(a.shape[1]):
        total += a[row, j] * b[other, j]
    return total


def _project(vectors: Floats, i: int, basis: Floats, rank: int, projected: Places, residual: Floats) -> None:
    """Take the next few basis vectors out of a residual: four at once, as the vector is read once for all of them."""
    row = projected[i]
    if row + 4 <= rank:
        first = second = third = fourth = np.float32(0.0)
        for j in range(vectors.shape[1]):
            first += vectors[i, j] * basis[row, j]
            second += vectors[i, j] * basis[row + 1, j]
            third += vectors[i, j] * basis[row + 2, j]
            fourth += vectors[i, j] * basis[row + 3, j]
        left = residual[i] - first * first - second * second - third * third - fourth * fourth
        projected[i] = row + 4
    else:
        shadow = _product(vectors, i, basis, row)
        left = residual[i] - shadow * shadow
        projected[i] = row + 1
    residual[i] = max(left, np.float32(0.0))


def _extend(vectors: Floats, i: int, basis: Floats, rank: int) -> int:
    """Take a vector into the basis; one that the basis spans adds nothing."""
    for j in range(basis.shape[1]):
        basis[rank, j] = vectors[i, j]
    before = _product(basis, rank, basis, rank)
    for _ in range(2):
        _reduce(basis, rank)
        squared = _product(basis, rank, basis, rank)
        if squared > AGAIN * before:  # little was lost to rounding: once is enough
            break
    if squared <= EPSILON:
        return rank
    scale = np.float32(1.0 / math.sqrt(squared))
    for j in range(basis.shape[1]):
        basis[rank, j] *= scale
    return rank + 1


def _reduce(basis: Floats, rank: int) -> None:
    """Take what the basis spans out of the row behind it."""
    shadows = np.empty(rank, np.float32)
    for row in range(rank):
        shadows[row] = _product(basis, row, basis, rank)
    for row in range(rank):
        for j in range(basis.shape[1]):
            basis[rank, j] -= shadows[row] * basis[row, j]


def _gain(topics: Topics, shares: Floats, i: int, price: Doubles, held: Doubles) -> float:
    total = 0.0
    for column in range(topics.shape[1]):
        topic = topics[i, column]
        if topic >= 0:
            total += price[topic] * math.log1p(shares[i, column] / held[topic])
    return total


def _gain_most(topics: Topics, shares: Floats, i: int, price: Doubles, held: Doubles) -> float:
    """No less than `_gain`, and close: log(1 + x) <= x / sqrt(1 + x), in half the time."""
    total = 0.0
    for column in range(topics.shape[1]):
        topic = topics[i, column]
        if topic >= 0:
            more = shares[i, column] / held[topic]
            total += price[topic] * more / math.sqrt(1.0 + more)
    return total
