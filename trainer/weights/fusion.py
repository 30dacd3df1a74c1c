"""How signals are weighed: one convex fit to what users did next, and again near the top of the list.

    weights = argmin  mean over users of -log softmax(w . signals)[relevant]  +  RIDGE * |w * scale|^2,   w >= 0

Convex, so the same questions give the same weights. They are scaled to sum to 1. A signal without which the order is as
good is dropped: it costs time in every call. Listwise softmax: Cao et al., "Learning to rank", ICML 2007.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from ranking.score import SIGNALS
from trainer.weights.leaning import lean
from trainer.weights.questions import Question, mean_ndcg, ndcgs, only, parted

RIDGE = 3e-3
NEAR_TOP, NEAR_TOP_ROUNDS = 40, 2
WORTH = 0.002  # of NDCG: what a signal must add to be computed at all
SPREAD_MIN = 1e-6

Doubles = npt.NDArray[np.float64]


def worthwhile(questions: Sequence[Question]) -> tuple[dict[str, float], dict[str, Any]]:
    """Weights of the signals that pay, and for the report what each adds to NDCG@10.

    NDCG is that of weights fitted on the other half of the users. The signal that adds least goes first, and the rest
    are fitted again, as long as WORTH of it is not lost. One that is clearly better by itself than the fit allows it
    to be gets more, up to everything (trainer/weights/leaning.py).
    """
    places = list(range(len(SIGNALS)))
    weights = fit_near_top(questions, places)
    halves = _of_halves(questions, places)
    full = kept = _crossed(questions, halves)
    dropped: dict[str, float] = {}
    while len(places) > 1:
        adds = {SIGNALS[place]: _adds(questions, weights, place) for place in places}
        least = min(places, key=lambda place: adds[SIGNALS[place]])
        left = [place for place in places if place != least]
        fewer = _of_halves(questions, left, halves)
        found = _crossed(questions, fewer)
        if found < (1.0 - WORTH) * kept:
            break
        dropped[SIGNALS[least]] = kept - found
        places, halves, kept = left, fewer, max(found, kept)
        weights = fit_near_top(questions, places, weights)
    alone = [mean_ndcg(questions, only(place)) for place in range(len(SIGNALS))]
    weights, leaning = lean(questions, halves, weights, alone)
    kept += leaning.get("gain", 0.0)
    said = named(weights)
    adds = {name: _adds(questions, weights, SIGNALS.index(name)) for name in said}
    report = {"ndcg@10": kept, "ndcg@10_all_signals": full, "adds": adds, "dropped": dropped}
    report["leaning"] = leaning
    return said, report | {"alone": dict(zip(SIGNALS, alone, strict=True))}


def named(weights: Doubles) -> dict[str, float]:
    """Weights (S,) by signal, as a manifest says them; those of 0 are left out."""
    return {name: round(float(weight), 6) for name, weight in zip(SIGNALS, weights, strict=True) if weight > 0}


def crossed(questions: Sequence[Question], places: Sequence[int]) -> dict[Question, float]:
    """NDCG@10 of each question that has an answer, by weights fitted on the other half of the users."""
    parts, halves = parted(questions), _of_halves(questions, places)
    found: dict[Question, float] = {}
    for part, weights in zip(parts, reversed(halves), strict=True):
        answered = [one for one in part if one.relevant_count]
        found |= zip(answered, ndcgs(answered, weights).tolist(), strict=True)
    return found


def _of_halves(
    questions: Sequence[Question], places: Sequence[int], before: Sequence[Doubles | None] = (None, None)
) -> list[Doubles]:
    """Weights fitted on each half. before: those of each half with more signals."""
    return [fit_near_top(part, places, known) for part, known in zip(parted(questions), before, strict=True)]


def _crossed(questions: Sequence[Question], halves: Sequence[Doubles]) -> float:
    parts = parted(questions)
    found = [mean_ndcg(parts[half], halves[1 - half]) * len(parts[half]) for half in (0, 1)]
    return sum(found) / max(len(questions), 1)


def _adds(questions: Sequence[Question], weights: Doubles, place: int) -> float:
    without = weights.copy()
    without[place] = 0.0
    return mean_ndcg(questions, weights) - mean_ndcg(questions, without)


def fit_near_top(
    questions: Sequence[Question], places: Sequence[int] | None = None, before: Doubles | None = None
) -> Doubles:
    """`fit_weights`, then again over the NEAR_TOP best candidates alone, by the weights before: each fit is convex.

    A slate is decided near its top. Over all candidates most of the loss is of items that no slate would show.
    before: weights of the same questions with more signals, in place of the first fit, which takes most of the time
    """
    weights = fit_weights(questions, places) if before is None else before
    for _ in range(NEAR_TOP_ROUNDS):
        weights = fit_weights([question.best(weights, NEAR_TOP) for question in questions], places)
    return weights


def fit_weights(questions: Sequence[Question], places: Sequence[int] | None = None) -> Doubles:
    """Weights (S,) >= 0 that sum to 1; equal ones where no candidate was ever relevant.

    places: which signals may have one; None means all
    """
    useful = [question for question in questions if question.relevant.any()]
    if not useful:
        return np.full(len(SIGNALS), 1.0 / len(SIGNALS))
    columns = list(range(len(SIGNALS))) if places is None else sorted(places)
    stacked = np.concatenate([question.signals[:, columns] for question in useful]).astype(np.float64)
    spread = stacked.std(axis=0)
    scale = np.where(spread > SPREAD_MIN, spread, np.inf)  # a signal that is the same everywhere gets no weight
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

    bounds, start = [(0.0, None)] * len(columns), np.full(len(columns), 0.1)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    weights = np.zeros(len(SIGNALS))
    weights[columns] = found.x / scale
    total = float(weights.sum())
    return weights / total if total > 0 else np.full(len(SIGNALS), 1.0 / len(SIGNALS))
