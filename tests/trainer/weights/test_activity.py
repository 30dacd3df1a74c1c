"""Weights differ by how much a user had where, and only where, that ranks better for users they never saw."""

import numpy as np

from ranking.score import SIGNALS
from trainer.weights.activity import USERS_MIN, by_activity
from trainer.weights.questions import Question

POPULAR, REPEAT = SIGNALS.index("popularity"), SIGNALS.index("repeat")
WHOLE = {"popularity": 0.5, "repeat": 0.5}


def people(tells: list[int]) -> list[Question]:
    """Users each of whose answer is the candidate with the largest of the signal that tells."""
    rng, found = np.random.default_rng(0), []
    for signal in tells:
        signals = np.zeros((40, len(SIGNALS)), dtype=np.float32)
        signals[:, [POPULAR, REPEAT]] = rng.random((40, 2))
        relevant = np.arange(40) == signals[:, signal].argmax()
        found.append(Question(signals, relevant, 1))
    return found


def test_where_newcomers_follow_others_and_regulars_themselves_weights_differ() -> None:
    had = np.tile([3, 50], 2 * USERS_MIN)
    found = by_activity(people([POPULAR if count == 3 else REPEAT for count in had]), had, WHOLE)
    assert 3 <= found.items_max < 50
    assert found.few["popularity"] > 0.8 > 0.2 > found.many.get("popularity", 0.0)
    assert found.report["ndcg@10_by_band"] > found.report["ndcg@10_together"]


def test_where_all_are_alike_one_set_of_weights_serves_all() -> None:
    had = np.tile([3, 50], 2 * USERS_MIN)
    found = by_activity(people([REPEAT] * len(had)), had, WHOLE)
    assert (found.few, found.many) == ({}, {})
    assert found.report


def test_a_handful_of_users_is_no_band() -> None:
    had = np.tile([3, 50], USERS_MIN // 4)
    assert by_activity(people([POPULAR if count == 3 else REPEAT for count in had]), had, WHOLE).report == {}
    assert by_activity([], np.zeros(0, dtype=int), {}).report == {}


def test_bands_that_win_by_luck_alone_are_none() -> None:
    rng = np.random.default_rng(2)
    won = 0
    for _ in range(6):
        asked = people([POPULAR if tells else REPEAT for tells in rng.random(2 * USERS_MIN + 40) < 0.5])
        won += bool(by_activity(asked, rng.integers(1, 50, len(asked)), WHOLE).few)
    assert won <= 1
