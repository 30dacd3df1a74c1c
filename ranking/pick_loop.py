"""From a profile to the items of a slate in one compiled call (ranking/pick.py): no turn of the interpreter between the
steps, and no lock held. Each step is the compiled function of its own module; here they are only put together.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into, compiled, numba
from ranking.cold_shelf import LOOKED_AT, TOPIC_MAX
from ranking.diversify import kernels
from ranking.diversify.calibrated import HELD_MIN, NOVELTY, PRIOR, WORTH_MIN
from ranking.diversify.residual import EPSILON
from ranking.fast import basics, finds, links, signals
from ranking.fatigue import FATIGUE
from ranking.pool import TOPIC_PLACES, TOPIC_SHARE_MIN
from ranking.pull import QUERY_ITEMS_MAX, SPARSE_FROM
from ranking.retrieve import Parts
from ranking.topics import SMOOTHING

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]
Marks = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]

CONTENT, LATELY = 6, 8  # places in SIGNALS of ranking/score.py
FOUND, SCORED, CHOSEN = 1, 2, 3
"""How far to go: for those who measure a part."""


class Shop(NamedTuple):
    """What a bundle fixes: arrays of BundleArrays, and what retrieval lays out of them.

    codes, steps: of nearby items (ranking/nearby.py), no rows where others find what is near; factor_*: the same of
    factors; popular, by_topic, starts, ends, fresh: ranking/retrieve.py; cold_*: ranking/cold_shelf.py
    strengths: of actions, as asking; cold: weights in the order of SIGNALS for items that nobody ever turned to, empty
    where these count as all others do
    """

    vectors: Floats
    codes: Marks
    steps: Floats
    factors: Floats
    factor_codes: Marks
    factor_steps: Floats
    topic_ids: Numbers
    topic_shares: Floats
    transition_rows: Numbers
    transition_weights: Floats
    neighbour_rows: Numbers
    neighbour_weights: Floats
    popularity: Floats
    recent_popularity: Floats
    repeat_rates: Floats
    visit_shares: Floats
    debut_popularity: Floats
    content_ids: Numbers
    content_weights: Floats
    content_vectors: Floats
    topics_lately: Floats
    popular: Rows
    by_topic: Rows
    starts: Rows
    ends: Rows
    fresh: Rows
    cold_rows: Rows
    cold_starts: Rows
    cold_ends: Rows
    strengths: Floats
    cold: Floats
    half_life_ms: float
    transition_half_life: float
    neighbour_half_life: float
    neighbour_had: float


SHOP = "f2 y2 f1 f2 y2 f1 i2 f2 i2 f2 i2 f2 f1 f1 f1 f1 f1 i2 f2 f2 f1 q1 q1 q1 q1 q1 q1 q1 q1 f1 f1 d d d d"


class User(NamedTuple):
    """What picking asks of a Profile; in its order."""

    item_rows: Numbers
    item_weights: Floats
    item_times_ms: Rows
    recent_rows: Numbers
    recent_times_ms: Rows
    recent_actions: Numbers
    blocked_rows: Numbers
    last_event_ms: int
    anchor: Floats
    exposure_rows: Numbers
    exposure_weights: Floats
    interests: Floats
    shares: Floats
    factor: Floats
    told: Floats
    told_shares: Floats


USER = "i1 f1 q1 i1 q1 i1 i1 q f1 i1 f1 f2 f1 f1 f2 f1"


PARTS = "d q q q q q q q"


class Picked(NamedTuple):
    """Rows (n,) in their order, scores, numbers of Source, the told interest that each serves or -1; what asked for
    transitions (weights of the recent rows) and neighbours; how many candidates there were."""

    rows: Rows
    scores: Floats
    sources: Marks
    serves: Rows
    by_transition: Floats
    neighbour_rows: Rows
    by_neighbour: Floats
    candidates: int


@lru_cache(maxsize=1)
def picker() -> Callable[..., Picked] | None:
    """`pick`, compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    basics.ready(), finds.finds(), links.links(), signals.signals_compiled(), kernels.greedy_kernels()
    of_user = (
        "_summing_to",
        "_asked",
        "_laid_on",
        "_pulls",
        "_pulled",
        "_pull_of",
        "_content_of",
        "_near",
        "_cold_table",
        "_found",
    )
    of_rows = ("_relevance", "_tired", "_falling", "_chosen", "_serves")
    compile_into(globals(), dict.fromkeys((*of_user, *of_rows), EXACT))
    made: Callable[..., Picked] = compiled(pick, (Shop, SHOP), USER, (Parts, PARTS), "q b1 q q1 f1 d f1 f1 d d q q")
    return made


def pick(
    shop: Shop,
    item_rows: Numbers,
    item_weights: Floats,
    item_times_ms: Rows,
    recent_rows: Numbers,
    recent_times_ms: Rows,
    recent_actions: Numbers,
    blocked_rows: Numbers,
    last_event_ms: int,
    anchor: Floats,
    exposure_rows: Numbers,
    exposure_weights: Floats,
    interests: Floats,
    shares: Floats,
    factor: Floats,
    told: Floats,
    told_shares: Floats,
    parts: Parts,
    pool: int,
    allowed: Mask,
    open_rows: int,
    near: Rows,
    weights: Floats,
    trust: float,
    mix: Floats,
    shown: Floats,
    protection: float,
    strength: float,
    size: int,
    upto: int,
) -> Picked:
    """Up to `size` items for one user.

    item_rows to told_shares: the profile's; pool: how many of the candidates to choose from; open_rows: how many are
    allowed; near: what is near, where the shop has no codes of its vectors; weights:
    in the order of SIGNALS, trust: ranking/score.py; mix, shown, protection: of the target; strength: ranking/dial.py
    """
    user = User(
        item_rows, item_weights, item_times_ms, recent_rows, recent_times_ms, recent_actions, blocked_rows,
        last_event_ms, anchor, exposure_rows, exposure_weights, interests, shares, factor, told, told_shares,
    )  # fmt: skip
    by_transition, neighbour_rows, by_neighbour = _asked(shop, user)
    pulls = _pulls(shop, recent_rows.astype(np.int64), by_transition, neighbour_rows, by_neighbour, len(allowed))
    sparse, dense = _content_of(shop, user, weights)
    pulled = _pulled(pulls, allowed, parts.pull)
    rows, sources = _found(shop, user, parts, allowed, open_rows, near, pulled, sparse, dense)
    scores = np.zeros(len(rows), np.float32)
    candidates = len(rows)
    if upto > FOUND:
        scores = _relevance(shop, user, rows, weights, trust, pulls, sparse, dense)
        _tired(user, rows, scores)
        if candidates > pool:
            topics = (shop.topic_ids, shop.topic_shares)
            best = signals.pool(scores, rows, *topics, mix, pool, TOPIC_PLACES, TOPIC_SHARE_MIN)
            rows, sources, scores = rows[best], sources[best], scores[best]
            candidates = len(rows)
    serves = np.zeros(0, np.int64)
    if upto >= CHOSEN:
        places = _chosen(shop, rows, scores, mix, shown, protection, strength, size)
        rows, sources, scores = rows[places], sources[places], scores[places]
        serves = _serves(shop, user, rows, sources)
    return Picked(rows, scores, sources, serves, by_transition, neighbour_rows, by_neighbour, candidates)


def _asked(shop: Shop, user: User) -> Any:
    """Weights of recent rows that ask for transitions; rows and weights that ask for neighbours (ranking/pull.py)."""
    recent = (user.recent_rows, user.recent_times_ms, user.recent_actions, user.blocked_rows, user.last_event_ms)
    fade = (shop.strengths, shop.half_life_ms)
    by_transition = links.recent_weights(*recent, *fade, shop.transition_half_life)
    weights = links.recent_weights(*recent, *fade, shop.neighbour_half_life)
    rows = user.recent_rows.astype(np.int64)
    if shop.neighbour_had == 0.0:
        return by_transition, rows, weights
    had = user.item_rows[:QUERY_ITEMS_MAX].astype(np.int64)
    had_weights = np.sqrt(user.item_weights[:QUERY_ITEMS_MAX])
    _summing_to(weights, 1.0 - shop.neighbour_had)
    _summing_to(had_weights, shop.neighbour_had)
    return by_transition, np.concatenate((rows, had)), np.concatenate((weights, had_weights))


def _pulls(shop: Shop, first: Rows, first_asks: Floats, second: Rows, second_asks: Floats, count: int) -> Any:
    """Both pulls (ranking/pull.py): of each of `count` items, or in a large catalogue of the rows reached alone; those
    rows, ascending; and whether it is of each item."""
    if count < SPARSE_FROM:
        transition, neighbour, reached = links.spread_both(
            first, first_asks, shop.transition_rows, shop.transition_weights,
            second, second_asks, shop.neighbour_rows, shop.neighbour_weights, count,
        )  # fmt: skip
        return transition, neighbour, reached, True
    to_first, by_first = links.spread_sparse(first, first_asks, shop.transition_rows, shop.transition_weights)
    to_second, by_second = links.spread_sparse(second, second_asks, shop.neighbour_rows, shop.neighbour_weights)
    reached = links.union(np.sort(to_first), np.sort(to_second))
    return _laid_on(reached, to_first, by_first), _laid_on(reached, to_second, by_second), reached, False


def _laid_on(reached: Rows, rows: Rows, values: Floats) -> Floats:
    laid = np.zeros(len(reached), np.float32)
    for at in range(len(rows)):
        laid[np.searchsorted(reached, rows[at])] = values[at]
    return laid


def _pulled(pulls: Any, allowed: Mask, count: int) -> Rows:
    """The `count` allowed rows that are pulled most, of those pulled at all."""
    transition, neighbour, reached, by_row = pulls
    if by_row:
        return finds.pulled(reached, transition, neighbour, allowed, count)
    places, found = np.empty(len(reached), np.int64), 0
    for place in range(len(reached)):
        places[found] = place
        found += allowed[reached[place]]
    best: Rows = reached[basics.above(transition + neighbour, places[:found], count, np.float32(0.0))]
    return best


def _pull_of(values: Floats, reached: Rows, by_row: bool, rows: Rows) -> Floats:
    """One kind of pull on these rows."""
    if by_row:
        return values[rows]
    found = np.zeros(len(rows), np.float32)
    for at in range(len(rows)):
        place = np.searchsorted(reached, rows[at])
        if place < len(reached) and reached[place] == rows[at]:
            found[at] = values[place]
    return found


def _summing_to(weights: Floats, share: float) -> None:
    total = weights.sum()
    if total > 0:
        weights *= np.float32(share / total)


def _content_of(shop: Shop, user: User, weights: Floats) -> Any:
    """What the catalogue says of the items had, where somebody asks for it."""
    if len(shop.cold_rows) or weights[CONTENT] != 0.0 or (len(shop.cold) and shop.cold[CONTENT] != 0.0):
        texts = (shop.content_ids, shop.content_weights, shop.content_vectors)
        return signals.content_profile(user.item_rows, user.item_weights, *texts)
    return np.zeros(0, np.float32), np.zeros(0, np.float32)


def _found(
    shop: Shop, user: User, parts: Parts, allowed: Mask, open_rows: int, near: Rows, pulled: Rows, sparse: Floats,
    dense: Floats,
) -> Any:  # fmt: skip
    """Rows of the candidates, ascending, and numbers of Source (ranking/retrieve.py)."""
    table, fitting = _cold_table(shop, user, allowed, sparse, dense)
    if len(shop.codes):
        near = _near(shop, user, parts, allowed, open_rows)
    return finds.gathered(
        allowed, open_rows, parts.candidates, user.anchor, shop.topics_lately, parts.popular,
        shop.by_topic, shop.starts, shop.ends, shop.popular, shop.popularity, shop.fresh, parts.fresh,
        table, fitting, parts.cold, near, pulled, user.item_rows, parts.repeat,
    )  # fmt: skip


def _near(shop: Shop, user: User, parts: Parts, allowed: Mask, open_rows: int) -> Rows:
    """What is near the interests and the factor, one after the other."""
    near, end = np.empty(2 * parts.candidates, np.int64), 0
    for interest in range(len(user.interests)):
        room = int(parts.interest * max(np.float64(user.shares[interest]), 0.5 / len(user.interests)))
        made = (shop.vectors, shop.codes, shop.steps, allowed)
        found = finds.nearest(user.interests[interest], *made, room, open_rows)
        near[end : end + len(found)] = found
        end += len(found)
    if len(shop.factor_codes):
        made = (shop.factors, shop.factor_codes, shop.factor_steps, allowed)
        found = finds.nearest(user.factor, *made, parts.factor, open_rows)
        near[end : end + len(found)] = found
        end += len(found)
    return near[:end]


def _cold_table(shop: Shop, user: User, allowed: Mask, sparse: Floats, dense: Floats) -> Any:
    """Items that nobody turned to which are looked at, and how well each fits (ranking/cold_shelf.py)."""
    rows = shop.cold_rows
    if len(rows) > LOOKED_AT:
        rows = finds.shelf(rows, shop.cold_starts, shop.cold_ends, user.anchor, allowed, LOOKED_AT, TOPIC_MAX)
    else:
        rows = rows[allowed[rows]]
    texts = (shop.content_ids, shop.content_weights, shop.content_vectors)
    return rows, signals.content(rows, sparse, dense, *texts)


def _relevance(
    shop: Shop, user: User, rows: Rows, weights: Floats, trust: float, pulls: Any, sparse: Floats, dense: Floats
) -> Floats:
    """The weighted sum of the signals (ranking/score.py)."""
    heard = user.interests.copy()
    largest = np.float32(0.0)
    for share in user.shares:
        largest = max(largest, share)
    for interest in range(len(heard)):
        if largest > 0.0:
            heard[interest] *= np.float32(math.sqrt(max(user.shares[interest], np.float32(0.0)) / largest))
    fresh = np.zeros(0, np.float32)
    if weights[LATELY] != 0.0 or (len(shop.cold) and shop.cold[LATELY] != 0.0):
        fresh = np.empty(len(user.item_rows), np.float32)
        for at in range(len(fresh)):
            fresh[at] = 2.0 ** (-max(user.last_event_ms - user.item_times_ms[at], 0) / shop.half_life_ms)
    transition, neighbour, reached, by_row = pulls
    pulled = (_pull_of(transition, reached, by_row, rows), _pull_of(neighbour, reached, by_row, rows))
    return signals.relevance(
        rows, trust, weights, shop.cold, shop.vectors, heard, shop.factors, user.factor,
        user.item_rows, user.item_weights, fresh, *pulled,
        shop.popularity, shop.recent_popularity, shop.repeat_rates, shop.visit_shares, shop.debut_popularity,
        sparse, dense, shop.content_ids, shop.content_weights, shop.content_vectors,
    )  # fmt: skip


def _tired(user: User, rows: Rows, scores: Floats) -> None:
    """Take from each score what was shown in vain (ranking/fatigue.py)."""
    for at in range(len(user.exposure_rows)):
        shown = user.exposure_rows[at]
        place = np.searchsorted(rows, shown)
        if place < len(rows) and rows[place] == shown and scores[place] > 0 and not np.any(user.item_rows == shown):
            scores[place] = scores[place] / (1.0 + FATIGUE * np.float64(user.exposure_weights[at]))


def _chosen(
    shop: Shop, rows: Rows, scores: Floats, mix: Floats, shown: Floats, protection: float, strength: float, size: int
) -> Rows:
    """Places of the set, in order of relevance (ranking/diversify/calibrated.py). Raises ValueError for NaN."""
    if not math.isfinite(np.sum(scores) + np.sum(mix) + np.sum(shown)):
        raise ValueError("relevance, target or what was shown holds NaN or infinity")
    places = _falling(scores)
    if strength == 0.0 or size == 0 or size >= len(places):
        return places[:size]
    vectors, topics, shares, residual = kernels.sorted_rows(
        rows[places], shop.vectors, shop.topic_ids, shop.topic_shares
    )
    residual[residual <= EPSILON] = np.float32(1.0)  # an empty vector duplicates nothing
    low, high = np.float64(scores[places[-1]]), np.float64(scores[places[0]])
    worth = np.zeros(len(places), np.float64)
    if high > low:
        for at in range(len(places)):
            unit = np.float32((np.float64(scores[places[at]]) - low) / (high - low))
            worth[at] = max(1.0 - strength, WORTH_MIN) * np.float64(unit)
    places_all = PRIOR + np.float64(np.sum(np.maximum(shown, np.float32(0.0)).astype(np.float64))) + size
    held, price = np.empty(len(mix), np.float64), np.empty(len(mix), np.float64)
    for topic in range(len(mix)):
        wanted = max(np.float64(mix[topic]), 0.0)
        held[topic] = max((PRIOR + SMOOTHING * places_all) * wanted + max(np.float64(shown[topic]), 0.0), HELD_MIN)
        price[topic] = (strength * protection * places_all) * wanted
    novelty = strength * protection * NOVELTY
    picks = kernels.calibrated_picks(worth, topics, shares, price, held, vectors, residual, novelty, size)
    chosen: Rows = places[np.sort(picks)]
    return chosen


def _falling(scores: Floats) -> Rows:
    """Places by falling score, equals by place."""
    return np.argsort(-scores, kind="mergesort")


def _serves(shop: Shop, user: User, rows: Rows, sources: Marks) -> Rows:
    """The told interest that each row serves, by its place among them by share; -1 for what is not the user's own."""
    order = np.argsort(-user.told_shares, kind="mergesort")
    serves = np.full(len(rows), -1, np.int64)
    for at in range(len(rows)):
        own = sources[at] == finds.INTEREST or sources[at] == finds.NEIGHBOUR or sources[at] == finds.REPEAT
        best = np.float32(-np.inf)
        for place in range(len(order) if own else 0):
            likeness = basics.dot(shop.vectors, rows[at], user.told[order[place]])
            if likeness > best:
                best, serves[at] = likeness, place
    return serves
