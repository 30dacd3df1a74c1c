"""What a loop did to people, round by round.

kl            KL(first mix || all shown so far) in nats, smoothed by 1%: drift from the interests they came with
slate_kl      the same of the round's slate alone
entropy       of the round's slate over the topics, over its maximum
utility       mean true preference of what was chosen, in deviations of the person's own preferences: by all they did
              in their whole history, whatever the loop has made of them since
felt_utility  the same by what the loop has made of them. Who was narrowed comes to like what is narrow, so a loop that
              narrows flatters itself here (Carroll et al., "Estimating and penalizing induced preference shifts", 2022)
new_interests topics under NEW_SHARE of the first mix that they have chosen from so far
churn_risk    proxy: share of people none of whose choices is among the tenth of all items they liked best at first
coverage      share of the catalogue shown to anybody so far
gini          of how often items were shown so far, over the whole catalogue: 0 all alike, 1 one item only
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from ranking.topics import SMOOTHING
from trainer.simulation.loop import Trace
from trainer.simulation.people import Tastes

NEW_SHARE = 0.01
BY_PERSON = ("kl", "slate_kl", "entropy", "utility", "felt_utility", "new_interests", "churn_risk")
BY_ROUND = ("coverage", "gini")
METRICS = BY_PERSON + BY_ROUND

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measures:
    """of: each of BY_PERSON (r, u), each of BY_ROUND (r,)."""

    of: dict[str, Doubles]

    def mean(self, metric: str, number: int = -1) -> float:
        """The mean over people in one round."""
        return float(np.mean(self.of[metric][number]))


def measure_trace(trace: Trace, first: Doubles, tastes: Tastes, bundle: Bundle) -> Measures:
    """Everything above. first (u, T): the mixes people came with."""
    topics = first.shape[1]
    dense = topic_table(bundle)
    slate = np.stack([dense[shown].sum(axis=1) for shown in trace.shown])  # row -1 is empty
    own = _normal(slate)
    chosen = np.cumsum([dense[rows].sum(axis=1) > 0 for rows in trace.chosen], axis=0) > 0
    seen = np.zeros(bundle.manifest.item_count)
    coverage, gini = [], []
    for shown in trace.shown:
        seen += np.bincount(shown[shown >= 0], minlength=len(seen))
        coverage.append(float((seen > 0).mean()))
        gini.append(_gini(seen))
    return Measures(
        {
            "kl": divergence(first, _normal(np.cumsum(slate, axis=0))),
            "slate_kl": divergence(first, own),
            "entropy": np.asarray(-(own * np.log(np.where(own > 0, own, 1.0))).sum(axis=-1) / np.log(max(topics, 2))),
            "utility": _mean_of(trace, trace.true),
            "felt_utility": _mean_of(trace, trace.felt),
            "new_interests": np.asarray((chosen & (first < NEW_SHARE)).sum(axis=-1), dtype=np.float64),
            "churn_risk": np.asarray((trace.true < tastes.best[:, None]).all(axis=-1), dtype=np.float64),
            "coverage": np.array(coverage),
            "gini": np.array(gini),
        }
    )


def topic_table(bundle: Bundle) -> Doubles:
    """Topics of every item (n + 1, T), the last row empty for what is not there."""
    ids, shares = bundle.arrays.item_topic_ids, bundle.arrays.item_topic_shares
    dense = np.zeros((len(ids) + 1, bundle.manifest.topic_count + 1))
    for topic, share in zip(ids.T, shares.T, strict=True):
        dense[np.arange(len(ids)), topic] += share
    return dense[:, :-1]


def divergence(first: Doubles, shown: Doubles) -> Doubles:
    """KL(first || shown) over the last axis, nats, `shown` smoothed by 1% of `first`."""
    held = np.where(first > 0, first, 1.0)
    smoothed = (1 - SMOOTHING) * shown + SMOOTHING * first
    found: Doubles = np.asarray((first * np.log(held / np.where(first > 0, smoothed, 1.0))).sum(axis=-1))
    return found


def _mean_of(trace: Trace, preferences: npt.NDArray[np.float32]) -> Doubles:
    """The mean (r, u) over what was chosen; nothing, where a slate had too little to choose from, is worth nothing."""
    mean: Doubles = np.where(trace.chosen >= 0, preferences, 0.0).astype(np.float64).mean(axis=-1)
    return mean


def _normal(mixes: Doubles) -> Doubles:
    normal: Doubles = mixes / np.maximum(mixes.sum(axis=-1, keepdims=True), 1e-12)
    return normal


def _gini(counts: Doubles) -> float:
    rising = np.sort(counts)
    total, n = rising.sum(), len(rising)
    return float((2 * np.arange(1, n + 1) - n - 1) @ rising / (n * total)) if total else 0.0
