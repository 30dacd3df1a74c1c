"""Room for new interests: now and then the last place goes to a topic the user never had, by chance that is told.

It takes the place of the last item whose topic the slate has twice, so that no interest of the user leaves for it.

    chance = EXPLORED_SHARE * size, at most CHANCE_MAX                  of a slate to explore at all
    propensity = chance / topics that could be drawn                    of the item that was drawn

The topic is drawn evenly among those under NEW_SHARE of the user's mix, its item is the most popular that may be shown.
The propensity comes with the item, so that what is learned from answers can be weighed by it (Swaminathan, Joachims,
2015). Chance is a hash of user, state version, bundle and request, so the same slate explores the same. Never at a dial
of 0, nor for a cold user, who is shown all topics anyway.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.chosen import Chosen
from ranking.slate import Source
from ranking.topics import main_topics, mixes_of

EXPLORED_SHARE = 0.005  # of all places: a slate of ten in twenty
CHANCE_MAX = 0.5
NEW_SHARE = 0.005  # of the user's mix
SIZE_MIN = 5  # one place of fewer would be too much
LOOKED_AT = 512  # of a topic's items, the most popular

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class Explored(NamedTuple):
    """The item that chance put into the last place, and how likely that was."""

    row: int
    propensity: float


class Explorer:
    """Draws out of one bundle, as its topics and popularity are when this is made."""

    def __init__(self, bundle: Bundle) -> None:
        arrays = bundle.arrays
        rows, column = np.nonzero((arrays.item_topic_ids >= 0) & (arrays.item_topic_shares > 0))
        topics = arrays.item_topic_ids[rows, column]
        order = np.lexsort((rows, -arrays.recent_popularity[rows], topics))
        sizes = np.bincount(topics, minlength=bundle.manifest.topic_count)
        ends = np.cumsum(sizes)
        self._bundle = bundle
        self.of_topic = [rows[order[start:end][:LOOKED_AT]] for start, end in zip(ends - sizes, ends, strict=True)]
        """By topic the rows that are looked at, most popular first."""

    def explore(self, profile: Profile, mix: Floats, chosen: Chosen, allowed: Mask, request: object) -> Explored | None:
        """What to put into the last place of these, or None, which is most often.

        mix (T,): what the slate is held to; allowed (n,): what may be shown; request: what was asked, by its repr
        """
        if profile.is_cold or len(chosen) < SIZE_MIN or not mix.any():
            return None
        chance = min(EXPLORED_SHARE * len(chosen), CHANCE_MAX)
        first, second = drawn(profile.user_id, profile.state_version, profile.bundle_version, request)
        if first >= chance:
            return None
        topics = np.flatnonzero((mix < NEW_SHARE) & (self._bundle.arrays.topic_shares > 0))
        if not len(topics):
            return None
        there = set(chosen.rows.tolist())
        of_topic = self.of_topic[topics[int(second * len(topics))]].tolist()
        row = next((row for row in of_topic if allowed[row] and row not in there), None)
        return None if row is None else Explored(row, chance / len(topics))


def with_explored(bundle: Bundle, chosen: Chosen, explored: Explored) -> Chosen:
    """The same with that item in the last place, where it claims no more relevance than what stands before it."""
    topics = main_topics(mixes_of(bundle, chosen.rows))
    _, topic, count = np.unique(topics, return_inverse=True, return_counts=True)
    spare = np.flatnonzero(count[topic] > 1)
    given_up = int(spare[-1]) if len(spare) else len(chosen) - 1
    kept = chosen.take(np.delete(np.arange(len(chosen)), given_up))
    rows = np.array([explored.row], dtype=np.int64)
    sources, interests = np.array([Source.POPULAR], dtype=np.int8), np.full(1, -1)
    return kept.followed_by(Chosen([bundle.item_ids[explored.row]], rows, chosen.scores[-1:], sources, interests))


def drawn(user_id: str, state_version: int, bundle_version: str, request: object) -> tuple[float, float]:
    """Two numbers in [0, 1) that nothing but this user, state, bundle and request decide."""
    told = repr((user_id, state_version, bundle_version, request))
    digest = hashlib.blake2b(told.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little") / 2**32, int.from_bytes(digest[4:], "little") / 2**32
