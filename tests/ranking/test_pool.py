"""What a slate is chosen from holds the most relevant, and something of every topic owed."""

import numpy as np

from ranking.pool import TOPIC_PLACES, pool
from ranking.topics import Mixes


def mixes(topics: np.ndarray) -> Mixes:
    return Mixes(topics[:, None].astype(np.int32), np.ones((len(topics), 1), dtype=np.float32))


def test_the_most_relevant_are_all_there():
    scores = np.random.default_rng(0).random(1000).astype(np.float32)
    kept = pool(scores, np.arange(len(scores)), mixes(np.zeros(1000)), np.ones(1, dtype=np.float32), 100)
    assert set(np.argsort(-scores)[:100]) <= set(kept)
    assert (np.diff(kept) > 0).all()


def test_a_topic_owed_keeps_its_best_though_none_is_among_the_most_relevant():
    rng = np.random.default_rng(1)
    topics = np.r_[np.zeros(900), np.ones(50), np.full(50, 2)]
    scores = np.r_[1 + rng.random(900), rng.random(100)].astype(np.float32)
    kept = pool(scores, np.arange(len(scores)), mixes(topics), np.array([0.9, 0.1, 0.0], dtype=np.float32), 100)
    best = 900 + np.argsort(-scores[900:950])[:TOPIC_PLACES]
    assert set(best) == set(kept[topics[kept] == 1])
    assert not (topics[kept] == 2).any()  # nothing is owed there


def test_few_candidates_are_all_kept():
    scores = np.arange(5, dtype=np.float32)
    kept = pool(scores, np.arange(len(scores)), mixes(np.zeros(5)), np.ones(1, dtype=np.float32), 10)
    assert kept.tolist() == [0, 1, 2, 3, 4]
