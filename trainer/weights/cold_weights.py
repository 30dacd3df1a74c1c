"""How items without interactions are scored: weights learned on items whose evidence was taken away after the fit.

A fifth of the items become cold in a copy of the bundle: vectors from content alone, no factor, no popularity, no
transitions, and of neighbours only what content gives them. Users forget them too, and the question is which of them
they turned to in the later half of their history. So nothing is fitted twice, and what is learned holds for items that
the catalogue names tomorrow. It is asked of such fifths until they give ANSWERS or are DRAWS together: of few answers,
which signal is best is half luck.

The scale says how cold items stand among warm ones: the largest up to which ranking what users did next loses less
than 1 - NDCG_KEPT of its NDCG@10, since an item that is never shown never warms. The items made cold here were turned
to as often as all others, and items that nobody ever turned to are not; so warm answers and cold ones count as often
as users truly turned to something known and something new. It is asked of the bundle as it is too, with the items that
truly are cold in it: the smaller scale of the two holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.pull import pull
from ranking.retrieve import Retriever
from ranking.score import relevance, signals
from trainer.data import Events, positive, speaks
from trainer.evaluation.metrics import ndcg_of_scores
from trainer.parts import with_manifest
from trainer.states import Case, absorb_users, profiles
from trainer.weights.chilled import chill, pseudo_cold
from trainer.weights.fusion import worthwhile
from trainer.weights.questions import Question
from trainer.weights.weights import CANDIDATES

DRAWS, ANSWERS = 3, 10_000
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
    asked: list[Question] = []
    chilled, users = bundle, [case.user for case in cases[:USERS_MAX]]
    for draw in range(DRAWS):
        if sum(question.relevant_count for question in asked) < ANSWERS:
            cold = pseudo_cold(described, counts, seed + draw)
            chilled = chill(bundle, described, counts, cold, seed + draw)
            asked += _later(chilled, events, cold, users)
        tick()
    if not any(question.relevant.any() for question in asked):
        for _ in range(TICKS - DRAWS):
            tick()
        return ColdChoice({}, {})
    learned, _ = worthwhile(asked)
    answers = np.concatenate([case.relevant for case in cases])
    new_share = float(np.mean(counts[answers] == 0)) if len(answers) else 0.0
    fewer = cases[:USERS_MAX]
    scale, report = choose_scale(chilled, learned, cold, fewer, profiles(fewer, chilled), new_share)
    tick()
    truly_cold = np.flatnonzero(counts == 0)
    real_scale, real_report = choose_scale(bundle, learned, truly_cold, fewer, profiles(fewer, bundle), new_share)
    tick()
    scale, report = min(scale, real_scale), report | {f"{name}, as it is": ndcg for name, ndcg in real_report.items()}
    return ColdChoice({name: round(scale * weight, 6) for name, weight in learned.items()}, report)


TICKS = DRAWS + 2


def _later(chilled: Bundle, events: Events, cold: Rows, users: Sequence[int]) -> list[Question]:
    """Which of the cold items did each user turn to in the later half of their history?

    Asked of who they were before it, the cold items forgotten.
    """
    is_cold = np.zeros(events.item_count, dtype=np.bool_)
    is_cold[cold] = True
    is_later = later_half(events)
    early = absorb_users(events.where(~is_cold[events.items] & ~is_later), chilled.item_ids, users)
    mine = positive(events).where(is_later[speaks(events)])
    mine = mine.where(is_cold[mine.items])
    starts, ends = np.searchsorted(mine.users, users), np.searchsorted(mine.users, users, side="right")
    cases = [
        Case(user, early[user], np.unique(mine.items[start:end]))
        for user, start, end in zip(users, starts, ends, strict=True)
        if end > start and early[user].interaction_count
    ]
    retriever, allowed = Retriever(chilled), is_cold & chilled.arrays.available
    questions = []
    for case, one in zip(cases, profiles(cases, chilled), strict=True):
        pulled = pull(chilled, one)
        rows = retriever.retrieve(one, CANDIDATES, allowed, pulled).rows
        found = signals(chilled, one, rows, pulled)
        questions.append(Question(found, np.isin(rows, case.relevant), len(case.relevant), user=case.user))
    return questions


def later_half(events: Events) -> npt.NDArray[np.bool_]:
    """Which events (e,) are of the later half of their user's timestamp groups, the middle one included."""
    owners = events.users[np.unique(events.groups, return_index=True)[1]]
    count_of = np.bincount(owners, minlength=events.user_count)
    middle = np.cumsum(count_of) - count_of + count_of // 2
    place = np.unique(events.groups, return_inverse=True)[1]
    later: npt.NDArray[np.bool_] = place >= middle[events.users]
    return later


def choose_scale(
    bundle: Bundle,
    learned: dict[str, float],
    cold: Rows,
    cases: Sequence[Case],
    seen: Sequence[Profile],
    new_share: float,
) -> tuple[float, dict[str, float]]:
    """The largest scale of the cold weights that is no loss, and NDCG@10 of what users did next by scale.

    cold: rows of cold items; seen: the profile of each case; new_share: what cold answers count for, warm ones the rest
    """
    retriever = Retriever(with_manifest(bundle, {"cold_weights": learned}))
    lists = [retriever.retrieve(one, CANDIDATES).rows for one in seen]
    had_is_hidden = bundle.manifest.repeats_default == "filter"
    report = {}
    for scale in SCALES:
        turned = with_manifest(bundle, {"cold_weights": {name: scale * weight for name, weight in learned.items()}})
        found: tuple[list[float], list[float]] = ([], [])  # of warm answers, of cold ones
        for one, rows, case in zip(seen, lists, cases, strict=True):
            gone = one.item_rows if had_is_hidden else np.intersect1d(one.item_rows, cold)
            asked, is_cold = rows[~np.isin(rows, gone)], np.isin(case.relevant, cold)
            scores = relevance(turned, one, asked)
            for gains, wanted in zip(found, (case.relevant[~is_cold], case.relevant[is_cold]), strict=True):
                places = np.flatnonzero(np.isin(asked, wanted))
                if len(wanted):
                    gains.append(ndcg_of_scores(scores, places, SIZE) if len(places) else 0.0)
        warm, new = (float(np.mean(gains)) if gains else 0.0 for gains in found)
        report[f"{scale:g}"] = (1.0 - new_share) * warm + new_share * new
    enough = NDCG_KEPT * max(report.values())
    return max(scale for scale in SCALES if report[f"{scale:g}"] >= enough), report
