"""Feeds: breadth over every stretch of what somebody scrolls through, and not in each chunk by itself.

A chunk's set is chosen counting what the feed has shown so far; its order then takes the next item, place by place, by

    (1 - strength) / log2(rank + 2)  +  strength * WINDOW * sum over topics t of mix_t * log1p(share_t / held_t)

rank: by relevance among what is left of the chunk, from 0; held: the last WINDOW - 1 items of the feed and one place in
the mix. So no stretch of WINDOW items is all of one topic while the chunk holds others, across the borders of chunks
too. At a strength of 0 the order is that of relevance.
"""

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.target import Target
from ranking.topics import Mixes, mix_of, mixes_of

WINDOW = 10

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def continued(bundle: Bundle, profile: Profile, target: Target, before: Rows) -> Target:
    """The target of a chunk after the feed's rows so far; those whose impressions are known already count once."""
    new = before[~np.isin(before, profile.exposure_rows)]
    if not len(new):
        return target
    mix = mix_of(mixes_of(bundle, new), bundle.manifest.topic_count)
    return target._replace(shown=target.shown + np.float32(len(new)) * mix)


def spread(mixes: Mixes, mix: Floats, before: Mixes, strength: float) -> Rows:
    """The order (n,) of a chunk's items, given by falling relevance. before: the feed's latest items, oldest first."""
    count = len(mixes.topics)
    if strength == 0.0 or not mix.any():
        return np.arange(count)
    topics = np.where(mixes.topics >= 0, mixes.topics, len(mix))  # one topic more takes padding and gains nothing
    wanted = np.append(np.maximum(mix, 0.0), 0.0).astype(np.float64)
    held = np.append(np.maximum(mix, 1e-6), 1.0).astype(np.float64)
    window = [(topic, share) for topic, share in zip(*before, strict=True)][1 - WINDOW :]
    for topic, share in window:
        np.add.at(held, np.where(topic >= 0, topic, len(mix)), share)
    left, order = np.arange(count), []
    while len(left):
        gains = (wanted[topics[left]] * np.log1p(mixes.shares[left] / held[topics[left]])).sum(axis=1)
        worth = (1.0 - strength) / np.log2(np.arange(len(left)) + 2.0)
        pick = int((worth + strength * WINDOW * gains).argmax())
        row = int(left[pick])
        order.append(row)
        left = np.delete(left, pick)
        window.append((mixes.topics[row], mixes.shares[row]))
        np.add.at(held, topics[row], mixes.shares[row])
        if len(window) >= WINDOW:
            topic, share = window.pop(0)
            np.subtract.at(held, np.where(topic >= 0, topic, len(mix)), share)
    return np.array(order, dtype=np.int64)
