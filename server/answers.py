"""Slates of several users who ask the same, from their stored states in one compiled call (server/answer_loop.py)."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.compiled import read_only
from interests.profile import fixed
from interests.stored_loop import names_of
from ranking import dial, explore, target
from ranking.compose import MIX_TOPICS_MAX
from ranking.dial import curve
from ranking.pick import candidate_count, pool_size
from ranking.query import Query
from ranking.reasons import ITEM_CAUSES_MAX
from ranking.recommend import Ranker
from ranking.retrieve import part_counts
from ranking.score import Weights, in_order, own_share, weights_for
from server.answer_loop import Ask, Desk, answerer

ASKS_KEPT = 64

Doubles = npt.NDArray[np.float64]


class Stored(NamedTuple):
    """One user's state as it is stored (`to_bytes` of interests/state.py)."""

    user_id: str
    version: int
    data: bytes


class Answer(NamedTuple):
    """What follows the names of a slate in its message, and the rows of its items."""

    rest: bytes
    rows: list[int]


class Answerer:
    """Answers out of one bundle. Holds nothing of any user; `of` may be called from any thread."""

    def __init__(self, bundle: Bundle, ranker: Ranker) -> None:
        self._bundle = bundle
        self._desk = _desk(bundle, ranker.explorer)
        self._shop = ranker.picker.shop
        made = answerer()
        # What an inverted file finds is found before the call, and so not in it.
        can = made is not None and self._shop is not None and len(self._shop.codes) > 0
        self._answers: Callable[..., Any] | None = made if can else None
        self._names = names_of(bundle) if can else None
        self._asked = lru_cache(maxsize=ASKS_KEPT)(self._ask)

    def serves(self, query: Query) -> bool:
        """Whether this way may answer a query: none that narrows what may be shown."""
        narrows = query.exclude_items or query.only_items or query.exclude_categories or query.only_categories
        return self._answers is not None and not narrows

    def of(self, query: Query, users: Sequence[Stored], prices: Doubles) -> list[Answer | None]:
        """A slate for each, None where the steps are to be taken one by one. prices (n,): NaN for none, or empty"""
        if self._answers is None:
            return [None] * len(users)
        request = (query.size, query.diversity, query.repeats, 0)
        draws = [explore.drawn(user.user_id, user.version, self._bundle.version, request) for user in users]
        data = np.frombuffer(b"".join([user.data for user in users]), dtype=np.uint8)
        ends = np.cumsum([len(user.data) for user in users])
        ask = self._asked(query.size, query.diversity, query.repeats)._replace(prices=read_only(prices))
        made = self._answers(
            self._names, fixed(self._bundle), self._shop, self._desk, ask,
            part_counts(candidate_count(query.size)), self._bundle.arrays.available, data, ends, np.array(draws),
        )  # fmt: skip
        body, until, rows = made.body.tobytes(), made.ends.tolist(), made.rows.tolist()
        begin = [0, *until[:-1]]
        # A state that contradicts its record is for the longer way to refuse.
        fine = (made.fine & (made.versions == [user.version for user in users])).tolist()
        return [
            Answer(body[start:end], mine) if is_fine else None
            for is_fine, start, end, mine in zip(fine, begin, until, rows, strict=True)
        ]

    def _ask(self, size: int, diversity: float | None, repeats: Any) -> Ask:
        bundle, manifest = self._bundle, self._bundle.manifest
        few, many = weights_for(bundle, repeats, 0), weights_for(bundle, repeats, manifest.few_items_max + 1)
        return Ask(
            size, pool_size(size), float("nan") if diversity is None else diversity,
            (repeats or manifest.repeats_default) == "filter", read_only(np.stack([_ordered(few), _ordered(many)])),
            read_only(np.array([own_share(few), own_share(many)])), manifest.few_items_max, manifest.known_items,
            read_only(np.zeros(0)),
        )  # fmt: skip


def _ordered(weights: Weights) -> npt.NDArray[np.float32]:
    return in_order(weights).astype(np.float32)


def _desk(bundle: Bundle, explorer: explore.Explorer) -> Desk:
    arrays, manifest = bundle.arrays, bundle.manifest
    dials, strengths = curve(bundle)
    starts = np.cumsum([0, *(len(rows) for rows in explorer.of_topic)])
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *explorer.of_topic])
    constants: tuple[Any, ...] = (
        manifest.diversity_default, manifest.entropy_mean, dial.FACTOR_MIN, dial.FACTOR_MAX, dial.HALF_TRUST,
        *target.constants(), explore.EXPLORED_SHARE, explore.CHANCE_MAX, explore.NEW_SHARE, explore.SIZE_MIN,
        MIX_TOPICS_MAX, ITEM_CAUSES_MAX,
    )  # fmt: skip
    return Desk(
        read_only(arrays.topic_names_bytes), read_only(arrays.topic_names_offsets), read_only(rows), read_only(starts),
        read_only(np.array(dials)), read_only(np.array(strengths)), *constants,
    )  # fmt: skip
