"""Weights lean towards a signal that ranks better by itself than a fit allows it to, or towards all good ones alike.

    leaned = (1 - lean) * weights / spread(weights)  +  lean * target / spread(target)
    targets: each of the signals that are best alone; and the even sum of signal / spread(signal) over those that are
             worth EVEN of the best one

spread: the median over users of the deviation of their candidates' scores. The fit is of a likelihood, and a signal
whose scale differs between users can rank each of them well and still be worth little to it; few users can mislead it
too. What counts is NDCG@10 of users that the fit did not see: the weights stand unless another is CLEAR standard errors
better, since the luckiest signal of a few users is often no good to others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.score import SIGNALS
from trainer.weights.questions import Question, ndcgs, only, parted

LEANS = (0.25, 0.5, 0.75, 1.0)
TOWARDS = 2  # of the signals that are best alone
EVEN = 0.6
CLEAR = 2.0  # standard errors

Doubles = npt.NDArray[np.float64]


def lean(
    questions: Sequence[Question], halves: Sequence[Doubles], weights: Doubles, alone: Sequence[float]
) -> tuple[Doubles, dict[str, Any]]:
    """The weights (S,) to use, and what they gain for the report; nothing where they stand.

    halves: weights fitted on each half of the users; weights: on all; alone (S,): NDCG@10 of each signal by itself
    """
    parts = parted(questions)
    standing = _crossed(parts, halves)
    if not len(standing):
        return weights, {}
    best, gain, report = weights, 0.0, dict[str, Any]()
    for name, places in _targets(alone):
        for share in LEANS:
            leaned = [_leaned(part, half, places, share) for part, half in zip(parts, halves, strict=True)]
            added = _crossed(parts, leaned) - standing
            if added.mean() > max(CLEAR * float(added.std()) / len(added) ** 0.5, gain):
                gain = float(added.mean())
                best = _leaned(questions, weights, places, share)
                report = {"towards": name, "by": share, "gain": gain}
    return best, report


def _targets(alone: Sequence[float]) -> list[tuple[str, list[int]]]:
    """Names, and signals that count alike."""
    order = np.argsort(-np.array(alone), kind="stable").tolist()
    found = [(SIGNALS[place], [place]) for place in order[:TOWARDS]]
    good = [place for place in order if alone[place] >= EVEN * alone[order[0]]]
    return [("even", good), *found]


def _crossed(parts: Sequence[Sequence[Question]], halves: Sequence[Doubles]) -> Doubles:
    found: Doubles = np.concatenate([ndcgs(part, halves[1 - at]) for at, part in enumerate(parts)])
    return found


def _leaned(questions: Sequence[Question], weights: Doubles, places: Sequence[int], share: float) -> Doubles:
    target = np.sum([only(place) / _spread(questions, only(place)) for place in places], axis=0)
    both: Doubles = (1 - share) * weights / _spread(questions, weights) + share * target / _spread(questions, target)
    scaled: Doubles = both / both.sum()
    return scaled


def _spread(questions: Sequence[Question], weights: Doubles) -> float:
    found = [float((one.signals @ weights).std()) for one in questions if len(one.relevant)]
    return max(float(np.median(found)), 1e-9) if found else 1.0
