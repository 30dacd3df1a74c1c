"""What validation chooses: signal weights, how fast the past stops asking, repeats, and the dial's default.

Signals are weighed over the candidates that serving would retrieve, so the weights answer the question that serving
asks: once with what the user had among them, once without. See trainer/weights/fusion.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.pick import CANDIDATES_MIN
from ranking.pull import pull
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.retrieve import Retriever
from ranking.score import signals
from trainer.parts import with_manifest
from trainer.states import Case, profiles
from trainer.weights.activity import by_activity
from trainer.weights.dials import DIAL_USERS, choose_dial
from trainer.weights.fusion import fit_near_top, worthwhile
from trainer.weights.newcomers import Newcomer, choose_known_items
from trainer.weights.questions import Question, mean_ndcg
from trainer.weights.slates import SIZE, slate_ndcg

CANDIDATES = CANDIDATES_MIN
HALF_LIVES_DAYS = (7.0, 30.0, 120.0)
REACH_USERS = 500


@dataclass(frozen=True)
class Choice:
    """What was chosen, as fields of the manifest, and what is known of the choice."""

    manifest: dict[str, Any]
    report: dict[str, Any]


def choose(
    bundle: Bundle,
    cases: Sequence[Case],
    dial_users: int,
    tick: Callable[[], None],
    newcomers: Sequence[Newcomer] = (),
) -> Choice:
    """Choose everything on these validation cases; `tick` is called once a step, see `steps`.

    newcomers: some of them at an earlier time
    """
    seen = profiles(cases, bundle)
    reach = mf_reach(bundle, seen)
    bundle = with_manifest(bundle, {"mf_reach": reach})
    fewer, fewer_seen = cases[:dial_users], seen[:dial_users]
    entropy_mean = float(np.mean([one.entropy for one in seen]))
    tried: dict[float, float] = {}
    for days in HALF_LIVES_DAYS:
        asked = ask(with_manifest(bundle, {"query_half_life_days": days}), fewer, fewer_seen)
        tried[days] = mean_ndcg(asked, fit_near_top(asked))
        tick()
    half_life = max(tried, key=lambda days: tried[days])
    every = ask(with_manifest(bundle, {"query_half_life_days": half_life}), cases, seen)
    new = [question.of_new() for question in every]
    tick()
    report: dict[str, Any] = {
        "users": len(cases),
        "ndcg@10_by_half_life": {f"{days:g}": found for days, found in tried.items()},
    }
    allowing, report["signals"] = worthwhile(every)
    filtering, report["signals_new"] = worthwhile(new) if any(question.relevant.any() for question in new) else ({}, {})
    had = np.array([len(one.item_rows) for one in seen])
    bands, new_bands = by_activity(every, had, allowing), by_activity(new, had, filtering)
    report |= {"bands": bands.report, "bands_new": new_bands.report}
    learned = {
        "signal_weights": bands.many or allowing,
        "new_weights": new_bands.many or filtering,
        "few_items_max": bands.items_max,
        "few_weights": bands.few,
        "few_new_weights": new_bands.few,
        "query_half_life_days": half_life,
        "mf_reach": reach,
        "entropy_mean": min(max(entropy_mean, 0.0), 1.0),
    }
    repeats, report["repeats"] = choose_repeats(with_manifest(bundle, learned), fewer, fewer_seen)
    tick()
    learned["repeats_default"] = repeats
    learned["known_items"], report["known_items"] = choose_known_items(
        with_manifest(bundle, learned), fewer, fewer_seen, newcomers
    )
    tick()
    dial = choose_dial(with_manifest(bundle, learned), cases[:DIAL_USERS], seen[:DIAL_USERS])
    report["dial"] = dial.report
    tick()
    return Choice(learned | dial.manifest, report)


def steps() -> int:
    """How often `choose` ticks."""
    return len(HALF_LIVES_DAYS) + 4


def mf_reach(bundle: Bundle, seen: Sequence[Profile]) -> float:
    """The median over users of the largest product of their factor with any item, over the factor's length; 0 without
    factors."""
    factors = np.array([one.vectors.factor for one in seen[:REACH_USERS]], dtype=np.float32)
    lengths = np.linalg.norm(factors, axis=1) if len(factors) else np.zeros(0, dtype=np.float32)
    known = np.flatnonzero(lengths > 0)
    most = [float((bundle.arrays.item_factors @ factors[user]).max(initial=0.0) / lengths[user]) for user in known]
    return round(float(np.median(most)), 6) if most else 0.0


def ask(bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile]) -> list[Question]:
    """The signals of what would be retrieved for each user."""
    retriever, questions = Retriever(bundle), []
    for one, case in zip(seen, cases, strict=True):
        pulled = pull(bundle, one)
        rows = retriever.retrieve(one, CANDIDATES_MIN, pulled=pulled).rows
        found, new = signals(bundle, one, rows, pulled), np.setdiff1d(case.relevant, one.item_rows)
        had, relevant = np.isin(rows, one.item_rows), np.isin(rows, case.relevant)
        questions.append(Question(found, relevant, len(case.relevant), had, len(new), case.user))
    return questions


def choose_repeats(
    bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile]
) -> tuple[Literal["allow", "filter"], dict[str, float]]:
    """Whether what a user had may come again: whichever ranks what they did next better."""
    ranker = Ranker(bundle)
    allowed = served_ndcg(ranker, cases, seen, Query(size=SIZE, diversity=0.0, repeats="allow"))
    filtered = served_ndcg(ranker, cases, seen, Query(size=SIZE, diversity=0.0, repeats="filter"))
    return ("allow" if allowed >= filtered else "filter"), {"allow_ndcg@10": allowed, "filter_ndcg@10": filtered}


def served_ndcg(ranker: Ranker, cases: Sequence[Case], seen: Sequence[Profile], query: Query) -> float:
    """Mean NDCG@10 of the slates that would be served."""
    found = [slate_ndcg(ranker, one, case, query) for one, case in zip(seen, cases, strict=True)]
    return float(np.mean(found)) if found else 0.0
