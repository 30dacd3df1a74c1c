"""Candidates for one user: what asks, what is pulled, what is near, all gathered (ranking/{pull,retrieve}.py)."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into
from ranking.cold_shelf import LOOKED_AT, TOPIC_MAX
from ranking.fast import basics, finds, links, signals
from ranking.pull import QUERY_ITEMS_MAX, SPARSE_FROM
from ranking.retrieve import Parts
from ranking.whole.arrays import CONTENT, NEIGHBOUR, TRANSITION, Shop, User

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@lru_cache(maxsize=1)
def ready() -> None:
    """Compile what is here; for who knows that numba is installed."""
    basics.ready(), finds.finds(), links.links(), signals.signals_compiled()
    steps = ("counts", "_summing_to", "asked", "pulls", "pulled", "content_of", "_cold_table", "found")
    compile_into(globals(), dict.fromkeys(steps, EXACT))


def asked(shop: Shop, user: User, weights: Floats) -> Any:
    """What asks for transitions, rows and weights, and what for neighbours (ranking/pull.py)."""
    recent = (user.recent_rows, user.recent_times_ms, user.recent_actions, user.blocked_rows, user.last_event_ms)
    fade = (shop.strengths, shop.half_life_ms)
    rows = user.recent_rows.astype(np.int64)
    first = rows if counts(shop, weights, TRANSITION) else rows[:0]
    first_weights = np.zeros(0, np.float32)
    if len(first):
        first_weights = links.recent_weights(*recent, *fade, shop.transition_half_life)
    if not counts(shop, weights, NEIGHBOUR):
        return (first, first_weights), (rows[:0], np.zeros(0, np.float32))
    second_weights = links.recent_weights(*recent, *fade, shop.neighbour_half_life)
    if shop.neighbour_had == 0.0:
        return (first, first_weights), (rows, second_weights)
    had = user.item_rows[:QUERY_ITEMS_MAX].astype(np.int64)
    had_weights = np.sqrt(user.item_weights[:QUERY_ITEMS_MAX])
    _summing_to(second_weights, 1.0 - shop.neighbour_had)
    _summing_to(had_weights, shop.neighbour_had)
    second = (np.concatenate((rows, had)), np.concatenate((second_weights, had_weights)))
    return (first, first_weights), second


def pulls(shop: Shop, by_transition: Any, by_neighbour: Any, count: int) -> Any:
    """Both pulls (ranking/pull.py): of each of `count` items, or in a large catalogue of the rows reached alone; those
    rows, ascending; whether it is of each item, and else the slots that find a row among them."""
    first = (by_transition[0], by_transition[1], shop.transition_rows, shop.transition_weights)
    second = (by_neighbour[0], by_neighbour[1], shop.neighbour_rows, shop.neighbour_weights)
    if count < SPARSE_FROM:
        transition, neighbour, reached = links.spread_both(*first, *second, count)
        return transition, neighbour, reached, True, np.empty(0, np.int32)
    transition, neighbour, reached, slots = links.spread_sparse(*first, *second)
    return transition, neighbour, reached, False, slots


def pulled(pulls: Any, allowed: Mask, count: int) -> Rows:
    """The `count` allowed rows that are pulled most, of those pulled at all."""
    transition, neighbour, reached, by_row, _ = pulls
    if by_row:
        return finds.pulled(reached, transition, neighbour, allowed, count)
    places, found = np.empty(len(reached), np.int64), 0
    for place in range(len(reached)):
        places[found] = place
        found += allowed[reached[place]]
    best: Rows = reached[basics.above(transition + neighbour, places[:found], count, np.float32(0.0))]
    return best


def content_of(shop: Shop, user: User, weights: Floats) -> Any:
    """What the catalogue says of the items had, where somebody asks for it."""
    if len(shop.cold_rows) or counts(shop, weights, CONTENT):
        texts = (shop.content_ids, shop.content_weights, shop.content_vectors)
        return signals.content_profile(user.item_rows, user.item_weights, *texts)
    return np.zeros(0, np.float32), np.zeros(0, np.float32)


def found(
    shop: Shop, user: User, parts: Parts, allowed: Mask, open_rows: int, near: Rows, pulled: Rows, sparse: Floats,
    dense: Floats,
) -> Any:  # fmt: skip
    """Rows of the candidates, ascending, and numbers of Source (ranking/retrieve.py)."""
    table, fitting = _cold_table(shop, user, allowed, sparse, dense)
    return finds.gathered(
        allowed, open_rows, parts.candidates, user.anchor, shop.topics_lately, parts.popular,
        shop.by_topic, shop.starts, shop.ends, shop.popular, shop.popularity, shop.fresh, parts.fresh,
        table, fitting, parts.cold, near, pulled, user.item_rows, parts.repeat,
    )  # fmt: skip


def _cold_table(shop: Shop, user: User, allowed: Mask, sparse: Floats, dense: Floats) -> Any:
    """Items that nobody turned to which are looked at, and how well each fits (ranking/cold_shelf.py)."""
    rows = shop.cold_rows
    if len(rows) > LOOKED_AT:
        rows = finds.shelf(rows, shop.cold_starts, shop.cold_ends, user.anchor, allowed, LOOKED_AT, TOPIC_MAX)
    else:
        rows = rows[allowed[rows]]
    texts = (shop.content_ids, shop.content_weights, shop.content_vectors)
    return rows, signals.content(rows, sparse, dense, *texts)


def counts(shop: Shop, weights: Floats, signal: int) -> Any:
    """Whether a signal has a weight, if only for items that nobody ever turned to."""
    return weights[signal] != 0.0 or (len(shop.cold) > 0 and shop.cold[signal] != 0.0)


def _summing_to(weights: Floats, share: float) -> None:
    total = weights.sum()
    if total > 0:
        weights *= np.float32(share / total)
