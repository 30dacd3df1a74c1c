"""Measures: known answers, ties averaged, intervals that hold the mean."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from ranking.topics import calibration_kl
from trainer.evaluation.metrics import (
    BEYOND,
    Places,
    interval,
    intra_list_distance,
    listed,
    ndcg,
    ndcg_of_scores,
    ranked,
    recall,
)


def test_ndcg_and_recall_of_lists_worked_out_by_hand() -> None:
    assert ndcg([5, 1, 7], np.array([5, 7]), 3) == pytest.approx((1 + 0.5) / (1 + 1 / np.log2(3)))
    assert ndcg([1, 2], np.array([], dtype=np.int32), 2) == 0.0
    assert recall([5, 1], np.array([5, 7, 9]), 2) == pytest.approx(1 / 3)


def test_ties_count_as_the_average_over_their_orders() -> None:
    scores = np.array([3.0, 2.0, 2.0, 2.0, 1.0], dtype=np.float32)
    relevant = np.array([1, 4])
    orders = [[0, *middle, 4] for middle in itertools.permutations([1, 2, 3])]
    average = np.mean([ndcg(order, relevant, 2) for order in orders])
    assert ndcg_of_scores(scores, relevant, 2) == pytest.approx(average)
    _, places = ranked(scores, relevant, 2, 5, np.arange(5))
    assert places.ndcg(2) == pytest.approx(average)


def _over_all_orders(scores: list[int], relevant: set[int], measure: Callable[[list[int]], float]) -> float:
    """The mean of a measure over every order that the scores allow."""
    orders = itertools.permutations(range(len(scores)))
    allowed = [order for order in orders if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))]
    return float(np.mean([measure([place for place, row in enumerate(order) if row in relevant]) for order in allowed]))


@pytest.mark.parametrize("relevant", [{1}, {1, 2}, {0, 3, 5}, {4, 5}, {1, 2, 3}])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_every_measure_is_its_mean_over_the_orders_that_ties_allow(relevant: set[int], size: int) -> None:
    scores = [3, 2, 2, 2, 1, 1]
    _, places = ranked(np.array(scores, np.float32), np.array(sorted(relevant)), 3, 6, np.arange(6))
    assert places.hit(size) == pytest.approx(_over_all_orders(scores, relevant, lambda at: at[0] < size))
    assert places.recall(size) == pytest.approx(
        _over_all_orders(scores, relevant, lambda at: np.mean([place < size for place in at]))
    )
    assert places.reciprocal(size) == pytest.approx(
        _over_all_orders(scores, relevant, lambda at: 1 / (at[0] + 1) if at[0] < size else 0.0)
    )


def test_a_ranking_hides_what_has_no_score_and_looks_no_deeper_than_asked() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 40, 200).astype(np.float32)
    scores[[3, 50]] = -np.inf
    relevant = np.array([3, 60, 61, 62])
    shown, places = ranked(scores, relevant, 10, 30, rng.permutation(200))
    assert len(shown) == 10
    assert not {3, 50} & set(shown)
    assert scores[shown].tolist() == sorted(scores.tolist(), reverse=True)[:10]
    assert places.above[0] == BEYOND
    whole = np.array([(scores > scores[row]).sum() for row in relevant[1:]])
    assert [above for above in places.above[1:].tolist() if above != BEYOND] == [at for at in whole.tolist() if at < 30]
    assert places.ndcg(10) == pytest.approx(ndcg_of_scores(np.nan_to_num(scores, neginf=-1), relevant, 10))


def test_a_list_has_no_ties_and_what_it_lacks_is_beyond_it() -> None:
    places = listed([7, 5, 9], np.array([5, 8]))
    assert places.above.tolist() == [1, BEYOND]
    assert (places.hit(1), places.hit(2), places.reciprocal(100)) == (0.0, 1.0, 0.5)
    nothing = Places(np.array([], np.int64), np.array([], np.int64))
    assert (nothing.ndcg(10), nothing.hit(10), nothing.reciprocal(10)) == (0.0, 0.0, 0.0)


def test_distance_and_calibration_at_their_ends() -> None:
    same, apart = np.tile([1.0, 0.0], (3, 1)).astype(np.float32), np.eye(3, dtype=np.float32)
    assert intra_list_distance(same) == pytest.approx(0.0)
    assert intra_list_distance(apart) == pytest.approx(1.0)
    mix = np.array([0.5, 0.5], dtype=np.float32)
    assert calibration_kl(mix, mix) == pytest.approx(0.0)
    assert calibration_kl(mix, np.array([1.0, 0.0], dtype=np.float32)) > 1.0


def test_an_interval_holds_the_mean_and_narrows_with_users() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.random(30), rng.random(3000)
    (_, low, high), (_, low_many, high_many) = interval(few, 0), interval(many, 0)
    assert low < few.mean() < high
    assert high_many - low_many < (high - low) / 3
