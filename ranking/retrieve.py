"""A few hundred candidates out of the whole catalogue, each with how it was found.

    REPEAT     items the user had, strongest first
    NEIGHBOUR  the strongest pulls of transitions and neighbours
    INTEREST   nearest to each interest, room by share with a floor, and by the factor where it has a weight; and items
               that nobody ever turned to, by what the catalogue says of them (ranking/cold_shelf.py)
    FRESH      newest in the catalogue
    POPULAR    recent-popular, spread over the topics of the user and of the catalogue; then whatever fills the count

An item found twice keeps the first of these. Only allowed rows enter, so a narrow filter is retrieved from as deeply
as the whole. Where all that is allowed fits, all of it is a candidate. Nearest items are found exactly, or by an
inverted file in a large catalogue (ranking/nearby.py); nothing else here walks over the catalogue.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.absorb import MS_PER_DAY
from interests.bundle import Bundle
from interests.profile import Profile
from ranking.cold_shelf import ColdShelf, Table
from ranking.fast.finds import finds
from ranking.nearby import Nearby, nearby
from ranking.nearest import nearest_interests
from ranking.pull import Pull, Sparse, Weights, counts, pull, pulls_of
from ranking.slate import Source
from ranking.top import top
from ranking.topics import Mixes, main_topics

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

INTEREST_PART, FACTOR_PART, PULL_PART, REPEAT_PART, FRESH_PART, POPULAR_PART = 0.22, 0.20, 0.16, 0.26, 0.03, 0.13
COLD_PART = 0.04
FRESH_DAYS = 14.0
_OWN = np.zeros(max(Source) + 1, dtype=np.bool_)  # sources that are the user's own past
_OWN[[Source.INTEREST, Source.NEIGHBOUR, Source.REPEAT]] = True
HEAD_SPARE = 8  # more of a list of popular items than asked for, before the whole of it is looked through


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows (c,) int64 ascending, and how each was found: numbers of Source."""

    rows: Rows
    sources: npt.NDArray[np.int8]

    def take(self, places: Rows) -> "Candidates":
        """Those at `places` alone."""
        return Candidates(self.rows[places], self.sources[places])


def retrieve(bundle: Bundle, profile: Profile, count: int) -> Candidates:
    """Candidates out of all that is available; see Retriever, which does the same without preparing it each time."""
    return Retriever(bundle).retrieve(profile, count)


class Parts(NamedTuple):
    """How many candidates each way of finding brings at most, and how many all together."""

    interest: float
    factor: int
    pull: int
    repeat: int
    fresh: int
    popular: int
    cold: int
    candidates: int


@lru_cache(maxsize=64)
def part_counts(count: int) -> Parts:
    """The parts of `count` candidates."""
    shares = (FACTOR_PART, PULL_PART, REPEAT_PART, FRESH_PART, POPULAR_PART, COLD_PART, 1.0)
    return Parts(count * INTEREST_PART, *(int(count * share) for share in shares))


class Laid(NamedTuple):
    """What a bundle's items are laid out in: searches for what is near, and rows by how much they are turned to.

    near_factor: None where factors have no weight; popular (n,): most popular first; popular_by_topic: the same topic
    after topic, from topic_starts (T,) to topic_ends (T,); fresh: newest first
    """

    near: Nearby
    near_factor: Nearby | None
    popular: Rows
    popular_by_topic: Rows
    topic_starts: Rows
    topic_ends: Rows
    fresh: Rows
    cold: ColdShelf


class Retriever:
    """What retrieval needs of a bundle, laid out once: what is nearest, popular by topic, fresh, cold."""

    def __init__(self, bundle: Bundle, *, may_approximate: bool = False) -> None:
        """may_approximate: search a large catalogue by what is fastest here, which is another thing elsewhere."""
        search = partial(nearby, may_approximate=may_approximate)
        arrays = bundle.arrays
        self._bundle = bundle
        # Items that are not available now may become so under a running server: `allowed` decides each time.
        popular: Rows = np.argsort(-arrays.recent_popularity, kind="stable")
        self._topic = main_topics(Mixes(arrays.item_topic_ids, arrays.item_topic_shares))
        in_topics = popular[self._topic[popular] >= 0]
        sizes = np.bincount(self._topic[in_topics], minlength=bundle.manifest.topic_count)
        ends = np.cumsum(sizes)
        self.laid = Laid(
            near=search(arrays.item_vectors, "items"),
            near_factor=search(arrays.item_factors, "factors") if _has_weight(bundle, "mf") else None,
            popular=popular,
            popular_by_topic=in_topics[np.argsort(self._topic[in_topics], kind="stable")],
            topic_starts=ends - sizes,
            topic_ends=ends,
            fresh=_fresh(bundle),
            cold=ColdShelf(bundle, self._topic),
        )

    def retrieve(
        self, profile: Profile, count: int, allowed: Mask | None = None, pulled: Pull | None = None,
        weights: Weights | None = None,
    ) -> Candidates:  # fmt: skip
        """Up to `count` candidates, and a few more where all quotas are filled by different items.

        allowed (n,): which items may enter, unavailable ones excluded; None means what is available
        pulled: `pull(bundle, profile, weights)`, where the caller has it already
        weights: those to be scored with, for what has none is not looked for; None looks for everything
        """
        allowed = self._bundle.arrays.available if allowed is None else allowed
        open_rows = int(np.count_nonzero(allowed))
        parts = part_counts(count)
        table = self.laid.cold.table(profile, allowed)
        near = self.near(profile, parts, allowed, open_rows, weights)
        pulled = None if profile.is_cold else pulled or pull(self._bundle, profile, weights)
        pulled_rows = self._pulled(parts.pull, allowed, pulled)
        if (fast := finds()) is not None:
            rows, sources = fast.gathered(
                allowed, open_rows, count, profile.anchor, self._bundle.arrays.topic_shares, parts.popular,
                self.laid.popular_by_topic, self.laid.topic_starts, self.laid.topic_ends,
                self.laid.popular, self._bundle.arrays.popularity, self.laid.fresh, parts.fresh,
                *table, parts.cold, near, pulled_rows, profile.item_rows, parts.repeat,
            )  # fmt: skip
        else:
            rows, sources = self._gathered(profile, count, allowed, open_rows, table, near, pulled_rows)
        return Candidates(rows, sources)

    def near(
        self, profile: Profile, parts: Parts, allowed: Mask, open_rows: int, weights: Weights | None = None
    ) -> Rows:
        """What is near the interests and, where it counts, the factor, one after the other, of `open_rows` allowed
        rows (n,)."""
        near: list[Rows] = []
        interests, shares = profile.vectors.interests, profile.vectors.shares
        if len(interests):
            rooms = [int(parts.interest * max(float(share), 0.5 / len(interests))) for share in shares]
            near = self.laid.near.search(interests, rooms, allowed, open_rows)
        if self.laid.near_factor is not None and not profile.is_cold and counts(self._bundle, weights, "mf"):
            factor = profile.vectors.factor[None]
            near = near + self.laid.near_factor.search(factor, [parts.factor], allowed, open_rows)
        return np.concatenate(near) if near else np.zeros(0, dtype=np.int64)

    def _gathered(
        self, profile: Profile, count: int, allowed: Mask, open_rows: int, table: Table, near: Rows, pulled: Rows
    ) -> tuple[Rows, npt.NDArray[np.int8]]:
        """What `finds.gathered` gives."""
        parts = part_counts(count)
        had = profile.item_rows[allowed[profile.item_rows]]
        found = np.zeros(len(allowed), dtype=np.int8)
        # Weakest reason first, so that a stronger one writes over it.
        found[self._popular_over_topics(profile, parts.popular, allowed)] = Source.POPULAR
        found[self.laid.fresh[allowed[self.laid.fresh]][: parts.fresh]] = Source.FRESH
        found[table.find(parts.cold)] = Source.INTEREST
        found[near] = Source.INTEREST
        found[pulled] = Source.NEIGHBOUR
        found[had[: parts.repeat]] = Source.REPEAT
        missing = min(count, open_rows) - int(np.count_nonzero(found))
        if missing > 0:
            rows = self._most_popular(missing, allowed, found)
            found[rows] = Source.POPULAR
            # Of items that nobody turned to, those that fit the user rather than those that come first.
            unknown = rows[self._bundle.arrays.popularity[rows] == 0]
            fitting = table.find(len(unknown))
            fitting = fitting[(found[fitting] == 0) | np.isin(fitting, unknown)]
            come = int(np.count_nonzero(found[fitting] == 0))
            found[np.setdiff1d(unknown, fitting)[:come]] = 0  # as many leave
            found[fitting] = Source.INTEREST
        found[had[found[had] > 0]] = Source.REPEAT
        rows = np.flatnonzero(found != 0)
        return rows, found[rows]

    def served(self, profile: Profile, rows: Rows, sources: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
        """The interest that each row serves (largest share is 0), -1 for none: the nearest of what came by the user's
        own past; what is popular or fresh serves none."""
        serves = np.full(len(rows), -1, dtype=np.int64)
        own = _OWN[sources]
        serves[own] = nearest_interests(profile, self._bundle.arrays.item_vectors[rows[own]])
        return serves

    def _pulled(self, count: int, allowed: Mask, pulled: Pull | None) -> Rows:
        if pulled is None:
            return np.zeros(0, dtype=np.int64)
        transition, neighbour, reached, *_ = pulled
        if not isinstance(transition, Sparse) and (fast := finds()) is not None:
            return fast.pulled(reached, transition, neighbour, allowed, count)
        rows = reached[allowed[reached]]
        both = pulls_of(transition, rows) + pulls_of(neighbour, rows)
        best = top(both, count)
        return rows[best[both[best] > 0]]

    def _popular_over_topics(self, profile: Profile, count: int, allowed: Mask) -> Rows:
        catalogue = self._bundle.arrays.topic_shares
        known = profile.anchor.sum() > 0
        mix = 0.5 * (profile.anchor + catalogue) if known else catalogue
        room = np.rint(mix * (count if known else count * 4)).astype(np.int64)
        # The head of each topic, deep enough to lose a few to the mask; what is short is filled from the whole.
        ends = np.minimum(self.laid.topic_starts + np.where(room > 0, 2 * room + HEAD_SPARE, 0), self.laid.topic_ends)
        lengths = ends - self.laid.topic_starts
        offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows: Rows = self.laid.popular_by_topic[np.repeat(self.laid.topic_starts, lengths) + offsets]
        rows = rows[allowed[rows]]
        topics = self._topic[rows]
        # Place of each row within its own topic, most popular first.
        place = np.arange(len(rows)) - np.searchsorted(topics, np.arange(len(room)))[topics]
        fitting: Rows = rows[place < room[topics]]
        return fitting

    def _most_popular(self, count: int, allowed: Mask, found: npt.NDArray[np.int8]) -> Rows:
        """The most popular allowed rows that are not found yet."""
        for head in (self.laid.popular[: HEAD_SPARE + 4 * count], self.laid.popular):
            rows: Rows = head[allowed[head] & (found[head] == 0)][:count]
            if len(rows) == count:
                break
        return rows


def _fresh(bundle: Bundle) -> Rows:
    first_seen = bundle.arrays.first_seen_ms
    since = bundle.manifest.cutoff_ms - FRESH_DAYS * MS_PER_DAY
    rows = np.flatnonzero(first_seen > since)
    return rows[np.lexsort((-bundle.arrays.recent_popularity[rows], -first_seen[rows]))]


def _has_weight(bundle: Bundle, signal: str) -> bool:
    manifest = bundle.manifest
    some = (manifest.signal_weights, manifest.new_weights, manifest.few_weights, manifest.few_new_weights)
    return any(weights.get(signal, 0.0) for weights in some)
