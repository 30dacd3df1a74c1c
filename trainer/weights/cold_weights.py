"""How items without interactions are scored: weights learned on items whose evidence was taken away after the fit.

A fifth of the items become cold in a copy of the bundle: vectors from content alone, no factor, no popularity, no
transitions, and of neighbours only what content gives them. Users forget them too, and the question is which of them
they had had. So nothing is fitted twice, and what is learned holds for items that the catalogue names tomorrow.

The scale says how cold items stand among warm ones: the largest up to which ranking what users did next loses less
than 1 - NDCG_KEPT of its NDCG@10, since an item that is never shown never warms.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.pull import pull
from ranking.retrieve import Retriever
from ranking.score import relevance, signals
from trainer.content.content import content_vectors, unit
from trainer.data import Events, positive
from trainer.evaluation.metrics import ndcg_of_scores
from trainer.links.cold_neighbours import with_cold
from trainer.states import Case, absorb_users, profiles
from trainer.weights.fusion import Question, worthwhile
from trainer.weights.weights import CANDIDATES

COLD_SHARE = 0.2
USERS_MAX = 400
SCALES = (0.25, 0.5, 0.75, 1.0, 1.5)
NDCG_KEPT = 0.995
SIZE = 10
ITEMS_MIN = 10  # cold ones, to learn from

Rows = npt.NDArray[np.int64]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ColdChoice:
    """cold_weights of the manifest, empty where nothing could be learned, and NDCG@10 by scale for the report."""

    weights: dict[str, float]
    report: dict[str, float]


def choose_cold(
    bundle: Bundle,
    events: Events,
    described: sparse.csr_array,
    cases: Sequence[Case],
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> ColdChoice:
    """Learn on a bundle that has its signal weights. events: what it was fitted to; cases: what users did next.

    `tick` is called TICKS times.
    """
    counts = np.bincount(positive(events).items, minlength=events.item_count).astype(np.int64)
    cold = pseudo_cold(described, counts, seed)
    if len(cold) < ITEMS_MIN or not len(bundle.manifest.signal_weights):
        for _ in range(TICKS):
            tick()
        return ColdChoice({}, {})
    chilled = chill(bundle, described, counts, cold, seed)
    tick()
    asked = _had(chilled, events, cold, [case.user for case in cases[:USERS_MAX]])
    tick()
    if not any(question.relevant.any() for question in asked):
        tick()
        return ColdChoice({}, {})
    learned, _ = worthwhile(asked)
    scale, report = _scale(chilled, learned, cold, cases[:USERS_MAX])
    tick()
    return ColdChoice({name: round(scale * weight, 6) for name, weight in learned.items()}, report)


TICKS = 3


def pseudo_cold(described: sparse.csr_array, counts: Longs, seed: int) -> Rows:
    """COLD_SHARE of the items that have interactions and a description, ascending."""
    known = np.flatnonzero((counts > 0) & (np.diff(described.indptr) > 0))
    return np.sort(np.random.default_rng(seed).choice(known, int(COLD_SHARE * len(known)), replace=False))


def chill(bundle: Bundle, described: sparse.csr_array, counts: Longs, cold: Rows, seed: int) -> Bundle:
    """The bundle as if nobody had ever turned to the items `cold`; counts (n,): interactions of each item."""
    arrays = bundle.arrays
    left = counts.copy()
    left[cold] = 0
    is_cold = np.zeros(len(counts), dtype=np.bool_)
    is_cold[cold] = True
    vectors = arrays.item_vectors.copy()
    vectors[cold] = unit(content_vectors(described, arrays.item_vectors, left)[cold])
    empty = cold[np.linalg.norm(vectors[cold], axis=1) < 1e-6]
    vectors[empty] = unit(np.random.default_rng(seed).normal(size=(len(empty), vectors.shape[1])).astype(np.float32))
    beside = _without(arrays.neighbour_rows, arrays.neighbour_weights, is_cold)
    after = _without(arrays.transition_rows, arrays.transition_weights, is_cold)
    beside = with_cold(*beside, described, left)
    known = ~is_cold
    typical = np.float32(arrays.visit_shares[left > 0].mean()) if (left > 0).any() else np.float32(0)
    return replace(
        bundle,
        # The golden cases are of the vectors as they were.
        # With some weight or other, so that retrieval looks for cold items.
        manifest=bundle.manifest.model_copy(update={"golden": [], "cold_weights": {"content": 1.0}}),
        arrays=replace(
            arrays,
            item_vectors=vectors,
            item_factors=arrays.item_factors * known[:, None],
            neighbour_rows=beside[0],
            neighbour_weights=beside[1],
            transition_rows=after[0],
            transition_weights=after[1],
            popularity=arrays.popularity * known,
            recent_popularity=arrays.recent_popularity * known,
            debut_popularity=arrays.debut_popularity * known,
            visit_shares=np.where(known, arrays.visit_shares, typical),
        ),
    )


def _without(
    rows: npt.NDArray[np.int32], weights: npt.NDArray[np.float32], gone: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Neighbour lists that neither name these items nor are theirs."""
    dropped = gone[np.maximum(rows, 0)] | gone[:, None] | (rows < 0)
    weights = np.where(dropped, np.float32(0), weights)
    order = np.argsort(-weights, axis=1, kind="stable")
    rows = np.take_along_axis(np.where(dropped, np.int32(-1), rows), order, axis=1)
    return rows, np.take_along_axis(weights, order, axis=1)


def _had(chilled: Bundle, events: Events, cold: Rows, users: Sequence[int]) -> list[Question]:
    """Which of the cold items did each user have? Asked of a user who forgot them."""
    is_cold = np.zeros(events.item_count, dtype=np.bool_)
    is_cold[cold] = True
    forgot = absorb_users(events.where(~is_cold[events.items]), chilled.item_ids, users)
    mine = positive(events)
    mine = mine.where(is_cold[mine.items])
    starts, ends = np.searchsorted(mine.users, users), np.searchsorted(mine.users, users, side="right")
    cases = [
        Case(user, forgot[user], np.unique(mine.items[start:end]))
        for user, start, end in zip(users, starts, ends, strict=True)
        if end > start
    ]
    retriever, allowed = Retriever(chilled), is_cold & chilled.arrays.available
    questions = []
    for case, one in zip(cases, profiles(cases, chilled), strict=True):
        pulled = pull(chilled, one)
        rows = retriever.retrieve(one, CANDIDATES, allowed, pulled).rows
        found = signals(chilled, one, rows, pulled)
        questions.append(Question(found, np.isin(rows, case.relevant), len(case.relevant)))
    return questions


def _scale(
    chilled: Bundle, learned: dict[str, float], cold: Rows, cases: Sequence[Case]
) -> tuple[float, dict[str, float]]:
    """The scale of the cold weights, and NDCG@10 of everything that users did next by scale."""
    seen = profiles(cases, chilled)
    retriever = Retriever(chilled)
    lists = [retriever.retrieve(one, CANDIDATES).rows for one in seen]
    report = {}
    for scale in SCALES:
        turned = replace(
            chilled,
            manifest=chilled.manifest.model_copy(
                update={"cold_weights": {name: scale * weight for name, weight in learned.items()}}
            ),
        )
        found = [_ndcg(turned, one, rows, case, cold) for one, rows, case in zip(seen, lists, cases, strict=True)]
        report[f"{scale:g}"] = float(np.mean(found)) if found else 0.0
    enough = NDCG_KEPT * max(report.values())
    return max(scale for scale in SCALES if report[f"{scale:g}"] >= enough), report


def _ndcg(turned: Bundle, one: Profile, rows: Rows, case: Case, cold: Rows) -> float:
    """Of one user's candidates; cold items that they had are no question."""
    asked = rows[~np.isin(rows, np.intersect1d(one.item_rows, cold))]
    wanted = np.flatnonzero(np.isin(asked, case.relevant))
    return ndcg_of_scores(relevance(turned, one, asked), wanted, SIZE) if len(wanted) else 0.0
