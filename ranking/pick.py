"""Out of what may be shown, the items of a slate for one user: retrieve ▶ score ▶ tire ▶ pool ▶ diversify.

Where numba is installed all of it is one compiled call (ranking/whole), but for what an inverted file finds;
else, for methods other than the default, and for who is unknown, the same steps one by one.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.absorb import MS_PER_DAY
from interests.bundle import Bundle
from interests.compiled import read_only
from interests.profile import Profile
from ranking.chosen import Chosen
from ranking.diversify import Diversify, calibrated
from ranking.fatigue import tired
from ranking.nearby import Exact, Nearby
from ranking.pool import pool
from ranking.pull import STRENGTH_OF_ACTION, Asked, Asks, pull
from ranking.retrieve import Retriever, part_counts
from ranking.score import Weights, in_order, relevance, trust
from ranking.target import Target
from ranking.topics import all_mixes, mixes_of
from ranking.whole.arrays import Picked, Shop
from ranking.whole.call import CHOSEN, picker

CANDIDATES_MIN = 1_200  # retrieved and scored
POOL_MIN = 400  # the best of them, out of which a slate is chosen
CANDIDATES_A_PLACE = 3  # for large slates

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Held(NamedTuple):
    """What a slate is held to: the target, and how strongly a method is to diversify."""

    aim: Target
    strength: float


class Picker:
    """Picks out of one bundle. Holds what the bundle fixes and nothing of any user."""

    def __init__(self, bundle: Bundle, method: Diversify, retriever: Retriever) -> None:
        self._bundle = bundle
        self._method = method
        self._retriever = retriever
        picker()

    def pick(self, profile: Profile, held: Held, weights: Weights, allowed: Mask, size: int) -> tuple[Chosen, Asks]:
        """Up to `size` of the allowed items, and what asked for transitions and neighbours. allowed (n,)"""
        if picker() is None or self.shop is None or profile.is_cold or not any(weights.values()):
            return self._step_by_step(profile, held, weights, allowed, size)
        found = self.compiled(profile, held, weights, allowed, size)
        by_transition = Asked(found.transition_rows, found.by_transition)
        asks = Asks(by_transition, Asked(found.neighbour_rows, found.by_neighbour))
        ids = item_ids(self._bundle, found.rows)
        return Chosen(ids, found.rows, found.scores, found.sources, found.serves), asks

    def compiled(
        self, profile: Profile, held: Held, weights: Weights, allowed: Mask, size: int, upto: int = CHOSEN
    ) -> Picked:
        """The same by the compiled call, for who is known. upto: how far to go, to measure a part"""
        fast, shop = picker(), self.shop
        assert fast is not None and shop is not None
        parts, open_rows = part_counts(candidate_count(size)), int(np.count_nonzero(allowed))
        near = self._retriever.near(profile, parts, allowed, open_rows, weights)
        vectors, told, aim = profile.vectors, profile.told_interests, held.aim
        return fast(
            shop, profile.item_rows, profile.item_weights, profile.item_times_ms,
            profile.recent_rows, profile.recent_times_ms, profile.recent_actions,
            profile.blocked_rows, profile.last_event_ms, profile.anchor,
            profile.exposure_rows, profile.exposure_weights, vectors.interests, vectors.shares, vectors.factor,
            told.vectors, told.shares, parts, pool_size(size), allowed, open_rows, near,
            in_order(weights), trust(weights, len(profile.item_rows), self._bundle.manifest.known_items),
            aim.mix, aim.shown, aim.protection, held.strength, size, upto,
        )  # fmt: skip

    def _step_by_step(
        self, profile: Profile, held: Held, weights: Weights, allowed: Mask, size: int
    ) -> tuple[Chosen, Asks]:
        bundle, pulled = self._bundle, pull(self._bundle, profile, weights)
        found = self._retriever.retrieve(profile, candidate_count(size), allowed, pulled, weights)
        scores = tired(profile, found.rows, relevance(bundle, profile, found.rows, pulled, weights))
        best = pool(scores, found.rows, all_mixes(bundle), held.aim.mix, pool_size(size))
        found, scores = found.take(best), scores[best]
        picks = diversified(bundle, self._method, found.rows, scores, held, size)
        rows, sources = found.rows[picks], found.sources[picks]
        served = self._retriever.served(profile, rows, sources)
        return Chosen(item_ids(bundle, rows), rows, scores[picks], sources, served), pulled.asks

    @cached_property
    def shop(self) -> Shop | None:
        """What the compiled call needs of the bundle; None where it cannot serve it."""
        manifest, arrays, laid = self._bundle.manifest, self._bundle.arrays, self._retriever.laid
        if self._method is not calibrated:
            return None
        # What an inverted file finds, even of one of the two, is found before the call.
        exact = isinstance(laid.near, Exact) and isinstance(laid.near_factor, Exact | None)
        codes, steps = _codes(laid.near if exact else None, arrays.item_vectors)
        factor_codes, factor_steps = _codes(laid.near_factor if exact else None, arrays.item_factors)
        shop = Shop(
            arrays.item_vectors, codes, steps, arrays.item_factors, factor_codes, factor_steps,
            arrays.item_topic_ids, arrays.item_topic_shares, arrays.transition_rows, arrays.transition_weights,
            arrays.neighbour_rows, arrays.neighbour_weights, arrays.popularity, arrays.recent_popularity,
            arrays.repeat_rates, arrays.visit_shares, arrays.debut_popularity,
            arrays.content_ids, arrays.content_weights, arrays.content_vectors, arrays.topic_shares,
            laid.popular, laid.popular_by_topic, laid.topic_starts, laid.topic_ends, laid.fresh,
            laid.cold.rows, laid.cold.starts, laid.cold.ends, STRENGTH_OF_ACTION,
            in_order(manifest.cold_weights) if manifest.cold_weights else in_order({})[:0],
            manifest.query_half_life_days * MS_PER_DAY, float(manifest.transition_half_life),
            float(manifest.neighbour_half_life), float(manifest.neighbour_had), manifest.repeats_default == "allow",
            manifest.mf_reach,
        )  # fmt: skip
        return Shop(*map(read_only, shop))


def diversified(bundle: Bundle, method: Diversify, rows: Rows, scores: Floats, held: Held, size: int) -> list[int]:
    """Places of the chosen ones among rows (n,), -1 where the bundle does not know one, by any method."""
    vectors = bundle.arrays.item_vectors.take(rows, axis=0)
    if (unknown := rows < 0).any():
        vectors[unknown] = 0.0
    return method(scores, vectors, mixes_of(bundle, rows), held.aim, size, held.strength)


def candidate_count(size: int) -> int:
    """How many are retrieved for a slate of this size."""
    return max(CANDIDATES_MIN, CANDIDATES_A_PLACE * size)


def item_ids(bundle: Bundle, rows: Rows) -> list[str]:
    """The ids of known rows."""
    ids = bundle.item_ids
    return [ids[row] for row in rows.tolist()]


def pool_size(size: int) -> int:
    """Out of how many of them a slate of this size is chosen."""
    return max(POOL_MIN, CANDIDATES_A_PLACE * size)


def _codes(near: Nearby | None, vectors: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    if isinstance(near, Exact):
        return near.codes, near.steps
    return np.zeros((0, vectors.shape[1]), dtype=np.int8), np.zeros(0, dtype=np.float32)
