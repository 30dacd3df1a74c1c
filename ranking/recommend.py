"""From a profile to a slate.

    allow ▶ retrieve ▶ score ▶ diversify ▶ slate

What may be shown is decided first, so that a filter narrows what is looked for and not what was found.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.errors import InvalidRequest
from interests.profile import Profile
from ranking.chosen import Chosen
from ranking.compose import compose, slate_items
from ranking.dial import diversity, strength
from ranking.diversify import Diversify, calibrated, mmr, warm
from ranking.explore import Explored, explore, with_explored
from ranking.fast.finds import finds
from ranking.fast.links import links
from ranking.fatigue import tired
from ranking.filter import allow, known_rows, permitted
from ranking.identity import slate_id
from ranking.nearest import nearest_interests
from ranking.pool import pool
from ranking.pull import Pull, pull
from ranking.query import Query
from ranking.rerank import offered
from ranking.retrieve import Candidates, Retriever
from ranking.score import Weights, relevance, weights_for
from ranking.slate import Relaxation, Slate, SlateItem, Source
from ranking.target import Target, plain, target
from ranking.top import top
from ranking.topics import all_mixes, mixes_of
from ranking.window import continued, spread

CANDIDATES_MIN = 1_200  # retrieved and scored
POOL_MIN = 400  # the best of them, out of which a slate is chosen
CANDIDATES_A_PLACE = 3  # for large slates

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Choice(NamedTuple):
    """What was chosen, the dial and the target it was chosen with, what was given up to fill it, what pulled, and
    what chance put into the last place."""

    chosen: Chosen
    dial: float
    aim: Target
    relaxed: tuple[Relaxation, ...]
    pulled: Pull
    explored: Explored | None = None


class Ranker:
    """Slates out of one bundle. Holds what the bundle fixes and nothing of any user: safe to share between threads."""

    def __init__(self, bundle: Bundle, method: Diversify = calibrated, *, may_approximate: bool = False) -> None:
        """Prepares retrieval and compiles what compiles.

        may_approximate: in a large catalogue retrieval may miss a few in a hundred where that is faster here
        """
        warm()
        links(), finds()
        self._bundle = bundle
        self._method = method
        self._retriever = Retriever(bundle, may_approximate=may_approximate)

    def recommend(
        self, profile: Profile, query: Query, skip: frozenset[str] = frozenset(), before: Sequence[str] = ()
    ) -> Slate:
        """One slate, a pure function of its arguments; `skip` are ids not to show, because a feed has shown them.

        before: the latest of those in their order, which the slate goes on from
        What had to be let in to fill the slate comes last.
        """
        choice = self.choose(profile, query, skip, before)
        name = slate_id(profile, query, sorted(skip))
        return compose(
            self._bundle, profile, name, choice.chosen, choice.dial, choice.aim, choice.relaxed, choice.explored
        )

    def choose(
        self, profile: Profile, query: Query, skip: frozenset[str] = frozenset(), before: Sequence[str] = ()
    ) -> Choice:
        """What `recommend` would show, before anyone has said why."""
        bundle = self._bundle
        dial, aim = diversity(bundle, profile, query.diversity), target(bundle, profile)
        earlier = np.array(known_rows(bundle, before), dtype=np.int64)
        if len(earlier):
            aim = continued(bundle, profile, aim, earlier)
        allowed = allow(bundle, profile, query, skip)
        weights = weights_for(bundle, query.repeats, len(profile.item_rows))
        pulled = pull(bundle, profile)
        pick = partial(self._pick, profile, strength(bundle, dial), aim, pulled, weights)
        chosen, relaxed = pick(allowed.rows, query.size), []
        if before:
            mixes = mixes_of(bundle, chosen.rows)
            chosen = chosen.take(spread(mixes, aim.mix, mixes_of(bundle, earlier), strength(bundle, dial)))
        if len(chosen) < query.size and allowed.last_resort.any():
            chosen = chosen.followed_by(pick(allowed.last_resort, query.size - len(chosen)))
            relaxed.append(Relaxation.REPEATS)
        if len(chosen) < query.size:
            relaxed.append(Relaxation.SIZE)
        explored = None
        if dial > 0.0 and not relaxed:
            request = (query.size, query.diversity, query.repeats, len(skip))
            explored = explore(bundle, profile, aim.mix, chosen, allowed.rows, request)
        if explored:
            chosen = with_explored(bundle, chosen, explored)
        return Choice(chosen, dial, aim, tuple(relaxed), pulled, explored)

    def candidates(self, profile: Profile, count: int) -> Candidates:
        """What retrieval finds for one user."""
        return self._retriever.retrieve(profile, count)

    def rerank(self, profile: Profile, candidates: Sequence[tuple[str, float | None]], query: Query) -> Slate:
        """The caller's own candidates (id, relevance), chosen and ordered for one user.

        Relevance is the caller's for all or, where it is None for all, ours; an item that the bundle does not know
        then comes behind those it knows. Raises InvalidRequest for duplicates, a mixture, or what is not finite.
        """
        bundle = self._bundle
        dial, aim = diversity(bundle, profile, query.diversity), target(bundle, profile)
        ids, rows, scores = offered(bundle, profile, candidates, query)
        picks = self._diversify(rows, scores, strength(bundle, dial), aim, query.size)
        kept = rows[picks]
        interests = np.where(kept >= 0, nearest_interests(profile, bundle.arrays.item_vectors[kept]), -1)
        sources = np.full(len(kept), Source.CALLER, dtype=np.int8)
        chosen = Chosen([ids[pick] for pick in picks], kept, scores[picks], sources, interests)
        relaxed = (Relaxation.SIZE,) if len(chosen) < query.size else ()
        return compose(bundle, profile, slate_id(profile, query, candidates), chosen, dial, aim, relaxed)

    def similar(self, item_id: str, query: Query) -> tuple[SlateItem, ...]:
        """Items whose vectors are nearest to one item's, most similar first; with a dial, by MMR.

        Raises InvalidRequest where the bundle does not know the item.
        """
        bundle = self._bundle
        row = bundle.row_of.get(item_id)
        if row is None:
            raise InvalidRequest("item_id", f"is not known to bundle {bundle.version}; give an item of its catalogue")
        allowed = permitted(bundle, query)
        allowed[row] = False
        cosines = np.where(allowed, bundle.arrays.item_vectors @ bundle.arrays.item_vectors[row], -np.inf)
        rows = np.sort(top(cosines, min(_candidate_count(query.size), int(np.count_nonzero(allowed)))))
        picks = self._diversify(
            rows, cosines[rows], query.diversity or 0.0, plain(bundle.arrays.topic_shares), query.size, mmr
        )
        nearest = rows[picks]
        sources, interests = np.full(len(nearest), Source.NEIGHBOUR, dtype=np.int8), np.full(len(nearest), -1)
        chosen = Chosen(_ids(bundle, nearest), nearest, cosines[nearest], sources, interests)
        return slate_items(bundle, None, chosen)

    def _pick(
        self, profile: Profile, dial: float, aim: Target, pulled: Pull, weights: Weights, allowed: Mask, size: int
    ) -> Chosen:
        found = self._retriever.retrieve(profile, _candidate_count(size), allowed, pulled)
        scores = tired(profile, found.rows, relevance(self._bundle, profile, found.rows, pulled, weights))
        best = pool(scores, found.rows, all_mixes(self._bundle), aim.mix, _pool_size(size))
        found, scores = found.take(best), scores[best]
        picks = self._diversify(found.rows, scores, dial, aim, size)
        rows, sources = found.rows[picks], found.sources[picks]
        served = self._retriever.served(profile, rows, sources)
        return Chosen(_ids(self._bundle, rows), rows, scores[picks], sources, served)

    def _diversify(
        self, rows: Rows, scores: Floats, dial: float, aim: Target, size: int, method: Diversify | None = None
    ) -> list[int]:
        vectors = self._bundle.arrays.item_vectors.take(rows, axis=0)
        if (unknown := rows < 0).any():
            vectors[unknown] = 0.0
        return (method or self._method)(scores, vectors, mixes_of(self._bundle, rows), aim, size, dial)


def _candidate_count(size: int) -> int:
    return max(CANDIDATES_MIN, CANDIDATES_A_PLACE * size)


def _pool_size(size: int) -> int:
    return max(POOL_MIN, CANDIDATES_A_PLACE * size)


def _ids(bundle: Bundle, rows: Rows) -> list[str]:
    item_ids = bundle.item_ids
    return [item_ids[row] for row in rows.tolist()]
