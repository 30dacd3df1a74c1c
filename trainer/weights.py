"""What validation chooses: signal weights, how fast the past stops asking, repeats, and the dial's default.

    weights = argmin  mean over users of -log softmax(w . signals)[relevant]  +  RIDGE * |w * scale|^2,   w >= 0

over the candidates that serving would retrieve, so the weights answer the question that serving asks. Convex, so the
same cases give the same weights. They are scaled to sum to 1. Listwise softmax: Cao et al., "Learning to rank", ICML
2007.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.pull import pull
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.retrieve import Retriever
from ranking.score import SIGNALS, signals
from trainer.metrics import ndcg, ndcg_of_scores
from trainer.parts import with_manifest
from trainer.states import Case, profiles

CANDIDATES = 500
RIDGE = 1e-3
HALF_LIVES_DAYS = (3.0, 7.0, 14.0, 30.0, 60.0)
DIALS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
NDCG_KEPT = 0.99
SIZE = 10

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Question:
    """One user's candidates: signals (c, S), and which of them were relevant (c,) bool."""

    signals: Floats
    relevant: npt.NDArray[np.bool_]
    relevant_count: int


@dataclass(frozen=True)
class Choice:
    """What was chosen, as fields of the manifest, and what is known of the choice."""

    manifest: dict[str, Any]
    report: dict[str, Any]


def choose(bundle: Bundle, cases: Sequence[Case], dial_users: int, tick: Callable[[], None]) -> Choice:
    """Choose everything on these validation cases; `tick` is called once a step, see `steps`."""
    seen = profiles(cases, bundle)
    entropy_mean = float(np.mean([one.entropy for one in seen]))
    best: tuple[float, float, dict[str, float]] | None = None
    tried = {}
    for half_life in HALF_LIVES_DAYS:
        asked = ask(with_manifest(bundle, {"query_half_life_days": half_life}), cases, seen)
        weights = fit_weights(asked)
        found = mean_ndcg(asked, weights)
        tried[f"{half_life:g}"] = found
        if best is None or found > best[0]:
            best = (found, half_life, dict(zip(SIGNALS, weights.tolist(), strict=True)))
        tick()
    assert best is not None
    learned = {
        "signal_weights": {name: round(weight, 6) for name, weight in best[2].items() if weight > 0},
        "query_half_life_days": best[1],
        "entropy_mean": min(max(entropy_mean, 0.0), 1.0),
    }
    fewer, seen = cases[:dial_users], seen[:dial_users]
    repeats, repeats_report = choose_repeats(with_manifest(bundle, learned), fewer, seen)
    tick()
    dial, dial_report = choose_dial(with_manifest(bundle, learned | {"repeats_default": repeats}), fewer, seen)
    tick()
    report = {"users": len(cases), "ndcg@10_by_half_life": tried, "repeats": repeats_report, "dial": dial_report}
    return Choice(learned | {"repeats_default": repeats, "diversity_default": dial}, report)


def steps() -> int:
    """How often `choose` ticks."""
    return len(HALF_LIVES_DAYS) + 2


def ask(bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile]) -> list[Question]:
    """The signals of what would be retrieved for each user."""
    retriever, questions = Retriever(bundle), []
    for one, case in zip(seen, cases, strict=True):
        pulled = pull(bundle, one)
        rows = retriever.retrieve(one, CANDIDATES, pulled=pulled).rows
        found = signals(bundle, one, rows, pulled)
        questions.append(Question(found, np.isin(rows, case.relevant), len(case.relevant)))
    return questions


def fit_weights(questions: Sequence[Question]) -> Doubles:
    """Weights (S,) >= 0 that sum to 1; equal ones where no candidate was ever relevant."""
    useful = [question for question in questions if question.relevant.any()]
    if not useful:
        return np.full(len(SIGNALS), 1.0 / len(SIGNALS))
    stacked = np.concatenate([question.signals for question in useful]).astype(np.float64)
    scale = np.maximum(stacked.std(axis=0), 1e-6)
    stacked /= scale
    starts = np.cumsum([0, *(len(question.relevant) for question in useful)])[:-1]
    share = np.concatenate([question.relevant / question.relevant.sum() for question in useful])
    owner = np.repeat(np.arange(len(useful)), [len(question.relevant) for question in useful])
    wanted = share @ stacked

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        scores = stacked @ weights
        top = np.maximum.reduceat(scores, starts)
        raised = np.exp(scores - top[owner])
        total = np.add.reduceat(raised, starts)
        value = float((np.log(total) + top).sum() - wanted @ weights) / len(useful)
        slope = ((raised / total[owner]) @ stacked - wanted) / len(useful)
        return value + RIDGE * float(weights @ weights), slope + 2 * RIDGE * weights

    start = np.full(len(SIGNALS), 0.1)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(SIGNALS))
    weights: Doubles = np.asarray(found.x) / scale
    total = float(weights.sum())
    return weights / total if total > 0 else np.full(len(SIGNALS), 1.0 / len(SIGNALS))


def mean_ndcg(questions: Sequence[Question], weights: Doubles) -> float:
    """Mean NDCG@10 of ordering the candidates by these weights; what was not retrieved counts as missed."""
    found = []
    for question in questions:
        scores = (question.signals @ weights).astype(np.float32)
        ideal = np.arange(min(question.relevant_count, SIZE))
        gain = ndcg_of_scores(scores, np.flatnonzero(question.relevant), SIZE)
        hit = np.arange(min(int(question.relevant.sum()), SIZE))
        found.append(gain * float((1 / np.log2(hit + 2)).sum() / (1 / np.log2(ideal + 2)).sum()) if len(ideal) else 0.0)
    return float(np.mean(found)) if found else 0.0


def choose_repeats(
    bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile]
) -> tuple[Literal["allow", "filter"], dict[str, float]]:
    """Whether what a user had may come again: whichever ranks what they did next better."""
    ranker = Ranker(bundle)
    allowed = served_ndcg(ranker, bundle, cases, seen, Query(size=SIZE, diversity=0.0, repeats="allow"))
    filtered = served_ndcg(ranker, bundle, cases, seen, Query(size=SIZE, diversity=0.0, repeats="filter"))
    return ("allow" if allowed >= filtered else "filter"), {"allow_ndcg@10": allowed, "filter_ndcg@10": filtered}


def choose_dial(bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile]) -> tuple[float, dict[str, float]]:
    """The largest default, personal factor included, up to which NDCG_KEPT of relevance-only NDCG stays."""
    plain = served_ndcg(Ranker(bundle), bundle, cases, seen, Query(size=SIZE, diversity=0.0))
    curve, kept = {"0": plain}, 0.0
    for dial in DIALS:
        turned = with_manifest(bundle, {"diversity_default": dial})
        found = served_ndcg(Ranker(turned), turned, cases, seen, Query(size=SIZE))
        curve[f"{dial:g}"] = found
        if found < NDCG_KEPT * plain:
            break
        kept = dial
    return kept, curve


def served_ndcg(ranker: Ranker, bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile], query: Query) -> float:
    """Mean NDCG@10 of the slates that would be served."""
    found = [
        ndcg([bundle.row_of[item.item_id] for item in ranker.recommend(one, query).items], case.relevant, SIZE)
        for one, case in zip(seen, cases, strict=True)
    ]
    return float(np.mean(found)) if found else 0.0
