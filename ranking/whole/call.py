"""The compiled call itself (ranking/pick.py): no turn of the interpreter between the steps, and no lock held."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from interests.compiled import compiled, numba
from ranking.fast import signals
from ranking.pool import TOPIC_PLACES, TOPIC_SHARE_MIN
from ranking.retrieve import Parts
from ranking.whole import found, ranked
from ranking.whole.arrays import PARTS, SHOP, USER, Numbers, Picked, Shop, User

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FOUND, SCORED, CHOSEN = 1, 2, 3
"""How far to go: for those who measure a part."""


@lru_cache(maxsize=1)
def picker() -> Callable[..., Picked] | None:
    """`pick`, compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    found.ready(), ranked.ready()
    made: Callable[..., Picked] = compiled(pick, (Shop, SHOP), USER, (Parts, PARTS), "q b1 q q1 f1 d f1 f1 d d q q")
    return made


def pick(
    shop: Shop,
    item_rows: Numbers, item_weights: Floats, item_times_ms: Rows,
    recent_rows: Numbers, recent_times_ms: Rows, recent_actions: Numbers, blocked_rows: Numbers, last_event_ms: int,
    anchor: Floats, exposure_rows: Numbers, exposure_weights: Floats,
    interests: Floats, shares: Floats, factor: Floats, told: Floats, told_shares: Floats,
    parts: Parts, pool: int, allowed: Mask, open_rows: int, near: Rows, weights: Floats, trust: float,
    mix: Floats, shown: Floats, protection: float, strength: float, size: int, upto: int,
) -> Picked:  # fmt: skip
    """Up to `size` items for one user.

    item_rows to told_shares: the profile's; pool: how many of the candidates to choose from; open_rows: how many are
    allowed; near: what is near (ranking/whole/around.py); weights:
    in the order of SIGNALS, trust: ranking/score.py; mix, shown, protection: of the target; strength: ranking/dial.py
    """
    user = User(
        item_rows, item_weights, item_times_ms, recent_rows, recent_times_ms, recent_actions, blocked_rows,
        last_event_ms, anchor, exposure_rows, exposure_weights, interests, shares, factor, told, told_shares,
    )  # fmt: skip
    by_transition, by_neighbour = found.asked(shop, user, weights)
    pulls = found.pulls(shop, by_transition, by_neighbour, len(allowed))
    sparse, dense = found.content_of(shop, user, weights)
    pulled = found.pulled(pulls, allowed, parts.pull)
    rows, sources = found.found(shop, user, parts, allowed, open_rows, near, pulled, sparse, dense)
    scores = np.zeros(len(rows), np.float32)
    candidates = len(rows)
    if upto > FOUND:
        scores = ranked.relevance(shop, user, rows, weights, trust, pulls, sparse, dense)
        ranked.tired(user, rows, scores)
        if candidates > pool:
            topics = (shop.topic_ids, shop.topic_shares)
            best = signals.pool(scores, rows, *topics, mix, pool, TOPIC_PLACES, TOPIC_SHARE_MIN)
            rows, sources, scores = rows[best], sources[best], scores[best]
            candidates = len(rows)
    asked = (by_transition[0], by_transition[1], by_neighbour[0], by_neighbour[1])
    serves = np.zeros(0, np.int64)
    if upto >= CHOSEN:
        places = ranked.chosen(shop, rows, scores, mix, shown, protection, strength, size)
        rows, sources, scores = rows[places], sources[places], scores[places]
        serves = ranked.serves(shop, user, rows, sources)
    return Picked(rows, scores, sources, serves, *asked, candidates)
