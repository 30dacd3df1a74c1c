"""Weights lean towards a signal that ranks better by itself than a fit allows it to.

    leaned = (1 - lean) * weights / spread(weights)  +  lean * signal / spread(signal)

spread: the median over users of the deviation of their candidates' scores. The fit is of a likelihood, and a signal
whose scale differs between users can rank each of them well and still be worth little to it; few users can mislead it
too. What counts is NDCG@10 of users that the fit did not see: the weights stand unless another is CLEAR standard errors
better.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.score import SIGNALS
from trainer.weights.questions import Question, ndcgs, only, parted

LEANS = (0.25, 0.5, 0.75)
TOWARDS = 2  # of the signals that are best alone
CLEAR = 2.0

Doubles = npt.NDArray[np.float64]


def lean(
    questions: Sequence[Question], halves: Sequence[Doubles], weights: Doubles, alone: Sequence[float]
) -> tuple[Doubles, dict[str, Any]]:
    """The weights (S,) to use, and what they gain for the report; nothing where they stand.

    halves: weights fitted on each half of the users; weights: on all; alone (S,): NDCG@10 of each signal by itself
    """
    parts = parted(questions)
    standing = _crossed(parts, halves)
    best: tuple[float, int, float] = (0.0, 0, 0.0)
    for place in np.argsort(-np.array(alone), kind="stable")[:TOWARDS].tolist():
        for share in LEANS:
            leaned = [_leaned(part, half, place, share) for part, half in zip(parts, halves, strict=True)]
            added = _crossed(parts, leaned) - standing
            error = float(added.std()) / np.sqrt(max(len(added), 1))
            if len(added) and added.mean() > max(CLEAR * error, best[0]):
                best = float(added.mean()), place, share
    gain, place, share = best
    if not gain:
        return weights, {}
    return _leaned(questions, weights, place, share), {"towards": SIGNALS[place], "by": share, "gain": gain}


def _crossed(parts: Sequence[Sequence[Question]], halves: Sequence[Doubles]) -> Doubles:
    found: Doubles = np.concatenate([ndcgs(part, halves[1 - at]) for at, part in enumerate(parts)])
    return found


def _leaned(questions: Sequence[Question], weights: Doubles, place: int, share: float) -> Doubles:
    signal = only(place)
    both: Doubles = (1 - share) * weights / _spread(questions, weights) + share * signal / _spread(questions, signal)
    scaled: Doubles = both / both.sum()
    return scaled


def _spread(questions: Sequence[Question], weights: Doubles) -> float:
    found = [float((one.signals @ weights).std()) for one in questions if len(one.relevant)]
    return max(float(np.median(found)), 1e-9) if found else 1.0
