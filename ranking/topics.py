"""Topics of items and mixes of slates."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import mix_of_shares
from ranking.fast.mixes import mix_kernels

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer]

SMOOTHING = 0.01


class Mixes(NamedTuple):
    """What each of n items adds to a mix, at most m topics an item.

    topics (n, m) int32, -1 where there are fewer; shares (n, m) float32, a row sums to 1 or to 0
    """

    topics: npt.NDArray[np.int32]
    shares: Floats


def all_mixes(bundle: Bundle) -> Mixes:
    """The topics of every row, without a copy."""
    return Mixes(bundle.arrays.item_topic_ids, bundle.arrays.item_topic_shares)


def mixes_of(bundle: Bundle, rows: Rows) -> Mixes:
    """The topics of these rows; row -1, an item that the bundle does not know, has none."""
    unknown = rows < 0
    topics = bundle.arrays.item_topic_ids.take(rows, axis=0)
    shares = bundle.arrays.item_topic_shares.take(rows, axis=0)
    if unknown.any():
        topics[unknown], shares[unknown] = -1, 0.0
    return Mixes(topics, shares)


def main_topics(mixes: Mixes) -> npt.NDArray[np.int64]:
    """Each item's heaviest topic (n,), -1 where it has none."""
    if not mixes.topics.shape[1]:
        return np.full(len(mixes.topics), -1, dtype=np.int64)
    heaviest = np.where(mixes.topics >= 0, mixes.shares, -1.0).argmax(axis=1)
    topics: npt.NDArray[np.int64] = mixes.topics[np.arange(len(mixes.topics)), heaviest].astype(np.int64)
    return topics


def mix_of(mixes: Mixes, topic_count: int) -> Floats:
    """The mix (T,) of these items together; zeros where none has a topic."""
    return mix_of_shares(mixes.topics, mixes.shares, topic_count)


def made_of(bundle: Bundle, rows: npt.NDArray[np.int64], aim: Floats) -> tuple[npt.NDArray[np.int64], Floats, float]:
    """What a slate of these rows is: each item's main topic, the mix (T,), and its distance from what was aimed at."""
    if (fast := mix_kernels()) is not None:
        return fast.made_of(rows, bundle.arrays.item_topic_ids, bundle.arrays.item_topic_shares, aim)
    mixes = mixes_of(bundle, rows)
    mix = mix_of(mixes, bundle.manifest.topic_count)
    return main_topics(mixes), mix, calibration_kl(aim, mix)


def calibration_kl(target: Floats, mix: Floats) -> float:
    """KL(target || mix) in nats, the mix smoothed by 1% of the target; 0 is equal, log 100 has nothing in common.

    Steck, "Calibrated recommendations", RecSys 2018.
    """
    held = target > 0
    p, q = target[held].astype(np.float64), mix[held].astype(np.float64)
    return max(0.0, float((p * np.log(p / ((1 - SMOOTHING) * q + SMOOTHING * p))).sum()))
