"""Candidates of one user ranked: scored, tired of, chosen, and told which interest each serves."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into
from ranking.diversify import kernels
from ranking.diversify.calibrated import BREADTH, HELD_MIN, NOVELTY, PRIOR, WORTH_MIN
from ranking.diversify.residual import EPSILON
from ranking.fast import basics, finds, links, signals
from ranking.fatigue import FATIGUE
from ranking.target import HALF_TRUST
from ranking.topics import SMOOTHING
from ranking.whole import found
from ranking.whole.arrays import LATELY, Marks, Shop, User

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@lru_cache(maxsize=1)
def ready() -> None:
    """Compile what is here; for who knows that numba is installed."""
    found.ready(), kernels.greedy_kernels()
    steps = ("pull_of", "relevance", "tired", "chosen", "serves")
    compile_into(globals(), dict.fromkeys(steps, EXACT))


def relevance(
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
    if found.counts(shop, weights, LATELY):
        fresh = np.empty(len(user.item_rows), np.float32)
        for at in range(len(fresh)):
            fresh[at] = 2.0 ** (-max(user.last_event_ms - user.item_times_ms[at], 0) / shop.half_life_ms)
    pulled = (pull_of(pulls[0], pulls, rows), pull_of(pulls[1], pulls, rows))
    return signals.relevance(
        rows, trust, weights, shop.cold, shop.vectors, heard, shop.factors, user.factor, shop.mf_reach,
        user.item_rows, user.item_weights, fresh, *pulled,
        shop.popularity, shop.recent_popularity, shop.repeat_rates, shop.visit_shares, shop.debut_popularity,
        sparse, dense, shop.content_ids, shop.content_weights, shop.content_vectors,
    )  # fmt: skip


def tired(user: User, rows: Rows, scores: Floats) -> None:
    """Take from each score what was shown in vain (ranking/fatigue.py)."""
    for at in range(len(user.exposure_rows)):
        shown = user.exposure_rows[at]
        place = np.searchsorted(rows, shown)
        if place < len(rows) and rows[place] == shown and scores[place] > 0 and not np.any(user.item_rows == shown):
            scores[place] = scores[place] / (1.0 + FATIGUE * np.float64(user.exposure_weights[at]))


def chosen(
    shop: Shop, rows: Rows, scores: Floats, mix: Floats, shown: Floats, protection: float, strength: float, size: int
) -> Rows:
    """Places of the set, in order of relevance (ranking/diversify/calibrated.py). Raises ValueError for NaN."""
    if not math.isfinite(np.sum(scores) + np.sum(mix) + np.sum(shown)):
        raise ValueError("relevance, target or what was shown holds NaN or infinity")
    places = basics.falling(scores)
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
    shown_places = np.float64(np.sum(np.maximum(shown, np.float32(0.0)).astype(np.float64)))
    places_all = PRIOR + shown_places + size
    held, price = np.empty(len(mix), np.float64), np.empty(len(mix), np.float64)
    for topic in range(len(mix)):
        wanted = max(np.float64(mix[topic]), 0.0)
        held[topic] = max((PRIOR + SMOOTHING * places_all) * wanted + max(np.float64(shown[topic]), 0.0), HELD_MIN)
        even = (PRIOR + SMOOTHING * places_all + shown_places) * wanted
        price[topic] = (strength * protection * places_all) * wanted * min(1.0, even / held[topic])
    tiring = 0.0 if shop.again else shown_places
    novelty = strength * NOVELTY * (1.0 + BREADTH * tiring / (tiring + HALF_TRUST))
    picks = kernels.calibrated_picks(worth, topics, shares, price, held, vectors, residual, novelty, size)
    best: Rows = places[np.sort(picks)]
    return best


def serves(shop: Shop, user: User, rows: Rows, sources: Marks) -> Rows:
    """The told interest that each row serves, by its place among them by share; -1 for what is not the user's own."""
    order = np.argsort(-user.told_shares, kind="mergesort")
    serves = np.full(len(rows), -1, np.int64)
    for at in range(len(rows)):
        if sources[at] == finds.INTEREST or sources[at] == finds.NEIGHBOUR or sources[at] == finds.REPEAT:
            serves[at] = basics.nearest_of(shop.vectors, rows[at], user.told, order)
    return serves


def pull_of(values: Floats, pulls: Any, rows: Rows) -> Floats:
    """One kind of pull on these rows; pulls: of `pulls` in ranking/whole/found.py, values: one of its kinds"""
    _, _, reached, by_row, slots = pulls
    if by_row:
        return values[rows]
    pulled = np.zeros(len(rows), np.float32)
    for at in range(len(rows)):
        place = links.place_of(slots, reached, rows[at])
        if place >= 0:
            pulled[at] = values[place]
    return pulled
