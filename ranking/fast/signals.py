"""Relevance (ranking/score.py, ranking/content.py) and the pool of the best (ranking/pool.py), without a copy of the
item arrays each."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.compiled import ANY_ORDER, EXACT, compile_into, compiled, numba
from ranking.fast import basics

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]

PULL_STEEPNESS, REPEAT_STEEPNESS, YARDSTICK_ITEMS = 10.0, 30.0, 64  # as in ranking/score.py


class Signals(NamedTuple):
    """Compiled functions of this module."""

    content_profile: Callable[..., tuple[Floats, Floats]]
    content: Callable[..., Floats]
    relevance: Callable[..., Floats]
    pool: Callable[..., Rows]


@lru_cache(maxsize=1)
def signals_compiled() -> Signals | None:
    """Compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    basics.ready()
    compile_into(globals(), {"_best": ANY_ORDER})
    compile_into(globals(), dict.fromkeys(("_onward", "_scaled", "_repeat", "_content", "_steep"), EXACT))
    content_arrays = "f1 f1 i2 f2 f2"
    return Signals(
        compiled(content_profile, "i1 f1 i2 f2 f2"),
        compiled(content, f"q1 {content_arrays}"),
        compiled(relevance, f"q1 d f1 f1 f2 f2 f2 f1 d i1 f1 f1 f1 f1 f1 f1 f1 f1 f1 {content_arrays}"),
        compiled(pool, "f1 q1 i2 f2 f1 q q d"),
    )


def content_profile(item_rows: Numbers, item_weights: Floats, ids: Numbers, weights: Floats, vectors: Floats) -> Any:
    """The user over hashed features, then one 0; and over dense dimensions: together a unit vector, or zeros."""
    last = -1
    for row in item_rows:
        for column in range(ids.shape[1]):
            last = max(last, ids[row, column])
    sums = np.zeros(last + 2, np.float64)
    dense = np.zeros(vectors.shape[1], np.float32)
    for at in range(len(item_rows)):
        row, share = item_rows[at], np.sqrt(item_weights[at])
        for column in range(ids.shape[1]):
            if ids[row, column] >= 0:
                sums[ids[row, column]] += np.float64(weights[row, column] * share)
        for dim in range(vectors.shape[1]):
            dense[dim] += share * vectors[row, dim]
    squared = 0.0
    for feature in range(len(sums)):
        squared += sums[feature] * sums[feature]
    for dim in range(len(dense)):
        squared += np.float64(dense[dim]) * np.float64(dense[dim])
    length = np.float32(max(math.sqrt(squared), 1e-12))
    return sums.astype(np.float32) / length, dense / length


def content(rows: Rows, sparse: Floats, dense: Floats, ids: Numbers, weights: Floats, vectors: Floats) -> Floats:
    """The content signal of each row (n,), in [0, 1]. sparse, dense: as `content_profile` gives them"""
    return _content(rows, sparse, dense, ids, weights, vectors)


def relevance(
    rows: Rows,
    trust: float,
    warm: Floats,
    cold: Floats,
    item_vectors: Floats,
    interests: Floats,
    item_factors: Floats,
    factor: Floats,
    reach: float,
    item_rows: Numbers,
    item_weights: Floats,
    freshness: Floats,
    transition: Floats,
    neighbour: Floats,
    popularity: Floats,
    recent_popularity: Floats,
    repeat_rates: Floats,
    visit_shares: Floats,
    debut_popularity: Floats,
    sparse: Floats,
    dense: Floats,
    ids: Numbers,
    weights: Floats,
    vectors: Floats,
) -> Floats:
    """The weighted sum of the signals of each row (n,).

    trust: how far the sum counts, the rest is recent popularity; warm, cold (11,): weights in the order of SIGNALS, of
    items and of those that nobody ever turned to, cold empty: as all others; interests (k, dim): times their weights;
    transition, neighbour (n,): pulls on these rows; reach: the manifest's mf_reach;
    freshness (m,): of the items had, empty where it has no weight
    """
    scaled = _scaled(item_factors, factor, item_rows, reach)
    had, had_at, repeat = _repeat(item_rows, item_weights)
    both = np.stack((warm, cold if len(cold) else warm))
    texts = _content(rows if np.any(both[:, 6] != 0.0) else rows[:0], sparse, dense, ids, weights, vectors)
    found, at = np.empty(len(rows), np.float32), 0
    for place in range(len(rows)):
        row, kind = rows[place], int(popularity[rows[place]] == 0.0)
        total = both[kind, 4] * recent_popularity[row] + both[kind, 9] * visit_shares[row]
        total += both[kind, 10] * debut_popularity[row]
        if both[kind, 0] != 0.0 and len(interests):
            total += both[kind, 0] * _best(item_vectors, row, interests)
        if both[kind, 1] != 0.0:
            total += both[kind, 1] * basics.dot(item_factors, row, scaled)
        if both[kind, 2] != 0.0:
            total += both[kind, 2] * _steep(transition[place])
        if both[kind, 3] != 0.0:
            total += both[kind, 3] * _steep(neighbour[place])
        if both[kind, 6] != 0.0:
            total += both[kind, 6] * texts[place]
        at = _onward(had, at, row)
        if at < len(had) and had[at] == row:
            total += both[kind, 5] * repeat[at] + both[kind, 7] * repeat_rates[row]
            if both[kind, 8] != 0.0:
                total += both[kind, 8] * freshness[had_at[at]]
        found[place] = total * np.float32(trust) + np.float32(1.0 - trust) * recent_popularity[row]
    return found


def pool(
    scores: Floats,
    rows: Rows,
    topics: Numbers,
    shares: Floats,
    mix: Floats,
    size: int,
    topic_places: int,
    share_min: float,
) -> Rows:
    """Places of the best `size`, and up to `topic_places` of each topic owed, ascending. Equals come by place."""
    kept = np.zeros(len(scores), np.bool_)
    edge = basics.kth(scores, size)
    ties = size - int(np.sum(scores > edge))
    best = np.full((len(mix), topic_places), -1, np.int64)
    for place in range(len(scores)):
        kept[place] = scores[place] > edge
        if scores[place] == edge and ties > 0:
            kept[place] = True
            ties -= 1
        heaviest, topic = np.float32(-1.0), -1
        for column in range(topics.shape[1]):
            if topics[rows[place], column] >= 0 and shares[rows[place], column] > heaviest:
                heaviest, topic = shares[rows[place], column], topics[rows[place], column]
        if topic >= 0 and mix[topic] >= share_min:
            at = topic_places  # the places of a topic stay sorted: what is better than the last pushes in
            while at > 0 and (best[topic, at - 1] < 0 or scores[best[topic, at - 1]] < scores[place]):
                if at < topic_places:
                    best[topic, at] = best[topic, at - 1]
                at -= 1
            if at < topic_places:
                best[topic, at] = place
    for topic in range(len(mix)):
        for at in range(topic_places):
            if best[topic, at] >= 0:
                kept[best[topic, at]] = True
    return np.flatnonzero(kept)


def _onward(had: Numbers, at: int, row: int) -> int:
    """The first place whose row is not before this one; looked for from `at` on, as rows rise as a rule."""
    if at > 0 and had[at - 1] >= row:
        at = 0
    while at < len(had) and had[at] < row:
        at += 1
    return at


def _scaled(item_factors: Floats, factor: Floats, item_rows: Numbers, reach: float) -> Floats:
    """The user's factor over its largest product with what they had, or what is usual for its length; or zeros."""
    squared = np.float32(0.0)
    for value in factor:
        squared += value * value
    yardstick = np.float32(reach) * np.float32(math.sqrt(squared))
    for row in item_rows[:YARDSTICK_ITEMS]:
        yardstick = max(yardstick, basics.dot(item_factors, row, factor))
    return factor / yardstick if yardstick > 0 else np.zeros_like(factor)


def _repeat(item_rows: Numbers, item_weights: Floats) -> Any:
    """Rows had ascending, at which place among the items had each stands, and its repeat signal."""
    places = np.argsort(item_rows, kind="mergesort")
    repeat = np.empty(len(places), np.float32)
    heaviest = item_weights.max() if len(item_weights) else np.float32(1.0)
    for at in range(len(places)):
        steep = np.float32(math.log1p(np.float32(REPEAT_STEEPNESS) * (item_weights[places[at]] / heaviest)))
        repeat[at] = steep / np.float32(math.log1p(REPEAT_STEEPNESS))
    return item_rows[places], places, repeat


def _content(rows: Rows, sparse: Floats, dense: Floats, ids: Numbers, weights: Floats, vectors: Floats) -> Floats:
    found = np.zeros(len(rows), np.float32)
    if len(sparse) > 1:
        last = np.uint32(len(sparse) - 1)  # holds 0: what the user never met falls on it, and padding, which is larger
        for place in range(len(rows)):
            row = rows[place]
            for column in range(ids.shape[1]):
                found[place] += sparse[min(np.uint32(ids[row, column]), last)] * weights[row, column]
    for place in range(len(rows)):
        if len(dense):
            found[place] += basics.dot(vectors, rows[place], dense)
        found[place] = min(max(found[place], np.float32(0.0)), np.float32(1.0))
    return found


def _steep(pull: Any) -> Any:
    if pull <= 0.0:
        return pull
    return np.float32(np.log1p(np.float32(PULL_STEEPNESS) * pull) / np.float32(math.log1p(PULL_STEEPNESS)))


def _best(rows: Floats, row: int, others: Floats) -> Any:
    best = np.float32(-np.inf)
    for other in range(len(others)):
        total = np.float32(0.0)
        for dim in range(rows.shape[1]):
            total += rows[row, dim] * others[other, dim]
        best = max(best, total)
    return best
