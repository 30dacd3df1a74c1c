"""From a profile to a slate.

    allow ▶ retrieve ▶ score ▶ diversify ▶ slate

What may be shown is decided first, so that a filter narrows what is looked for and not what was found.
"""

from collections.abc import Sequence
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
from ranking.explore import Explored, Explorer, with_explored
from ranking.filter import allow, known_rows, permitted
from ranking.identity import slate_id
from ranking.nearest import nearest_interests
from ranking.pick import Held, Picker, candidate_count, diversified, item_ids
from ranking.pull import Asks
from ranking.query import Query
from ranking.rerank import offered
from ranking.retrieve import Candidates, Retriever
from ranking.score import weights_for
from ranking.slate import Relaxation, Slate, SlateItem, Source
from ranking.target import Target, plain, target
from ranking.top import top
from ranking.topics import mixes_of
from ranking.window import continued, spread

Rows = npt.NDArray[np.int64]


class Choice(NamedTuple):
    """What was chosen, the dial and the target it was chosen with, what was given up to fill it, what asked for links,
    and what chance put into the last place."""

    chosen: Chosen
    dial: float
    aim: Target
    relaxed: tuple[Relaxation, ...]
    asks: Asks
    explored: Explored | None = None


class Ranker:
    """Slates out of one bundle. Holds what the bundle fixes and nothing of any user: safe to share between threads."""

    def __init__(self, bundle: Bundle, method: Diversify = calibrated, *, may_approximate: bool = False) -> None:
        """Prepares retrieval and compiles what compiles.

        may_approximate: in a large catalogue retrieval may miss a few in a hundred where that is faster here
        """
        warm()
        self._bundle = bundle
        self._method = method
        self._retriever = Retriever(bundle, may_approximate=may_approximate)
        self.explorer = Explorer(bundle)
        self.picker = Picker(bundle, method, self._retriever)

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
            self._bundle, profile, name, choice.chosen, choice.dial, choice.aim, choice.relaxed, choice.explored,
            choice.asks,
        )  # fmt: skip

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
        held, relaxed = Held(aim, strength(bundle, dial)), []
        chosen, asks = self.picker.pick(profile, held, weights, allowed.rows, query.size)
        if before:
            mixes = mixes_of(bundle, chosen.rows)
            chosen = chosen.take(spread(mixes, aim.mix, mixes_of(bundle, earlier), held.strength))
        if len(chosen) < query.size and len(allowed.last_resort):
            had = np.zeros(len(allowed.rows), dtype=np.bool_)
            had[allowed.last_resort] = True
            more, _ = self.picker.pick(profile, held, weights, had, query.size - len(chosen))
            chosen = chosen.followed_by(more)
            relaxed.append(Relaxation.REPEATS)
        if len(chosen) < query.size:
            relaxed.append(Relaxation.SIZE)
        explored = None
        if dial > 0.0 and not relaxed:
            request = (query.size, query.diversity, query.repeats, len(skip))
            explored = self.explorer.explore(profile, aim.mix, chosen, allowed.rows, request)
        if explored:
            chosen = with_explored(bundle, chosen, explored)
        return Choice(chosen, dial, aim, tuple(relaxed), asks, explored)

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
        held = Held(aim, strength(bundle, dial))
        picks = diversified(bundle, self._method, rows, scores, held, query.size)
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
        rows = np.sort(top(cosines, min(candidate_count(query.size), int(np.count_nonzero(allowed)))))
        held = Held(plain(bundle.arrays.topic_shares), query.diversity or 0.0)
        picks = diversified(bundle, mmr, rows, cosines[rows], held, query.size)
        nearest = rows[picks]
        sources, interests = np.full(len(nearest), Source.NEIGHBOUR, dtype=np.int8), np.full(len(nearest), -1)
        chosen = Chosen(item_ids(bundle, nearest), nearest, cosines[nearest], sources, interests)
        return slate_items(bundle, None, chosen)
