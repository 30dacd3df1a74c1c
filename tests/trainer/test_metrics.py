"""Measures: known answers, ties averaged, intervals that hold the mean."""

import itertools

import numpy as np
import pytest

from ranking.topics import calibration_kl
from tests.trainer.build import events
from trainer.baselines import FixedRanking, popular, recent_popular
from trainer.metrics import interval, intra_list_distance, ndcg, ndcg_of_scores, recall


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
    assert FixedRanking("x", scores.astype(float)).places(relevant, relevant[:0]).ndcg(2) == pytest.approx(average)


def test_a_fixed_ranking_without_what_a_user_had_is_that_ranking_filtered() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, 30).astype(np.float64)
    ranking, hidden, relevant = FixedRanking("x", scores), np.array([2, 7, 11]), np.array([0, 5, 20])
    filtered = np.where(np.isin(np.arange(30), hidden), -1.0, scores).astype(np.float32)
    assert ranking.places(relevant, hidden).ndcg(10) == pytest.approx(ndcg_of_scores(filtered, relevant, 10))
    assert not set(ranking.first(10, hidden)) & set(hidden.tolist())


def test_popularity_counts_everything_and_recent_popularity_the_last_week() -> None:
    known = events([(user, 0, 0.0) for user in range(5)] + [(user, 1, 30.0) for user in range(3)])
    everywhere = np.ones(2, dtype=np.bool_)
    assert popular(known, everywhere).first(2, np.array([], dtype=np.int32)) == [0, 1]
    assert recent_popular(known, everywhere).first(2, np.array([], dtype=np.int32)) == [1, 0]


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
