"""Topics of items and mixes of slates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.topics import Mixes, calibration_kl, main_topics, mix_of, mixes_of

TWO = Mixes(
    np.array([[1, 2], [0, -1], [-1, -1]], dtype=np.int32),
    np.array([[0.25, 0.75], [1.0, 0.0], [0.0, 0.0]], dtype=np.float32),
)


def test_a_mix_adds_the_shares_of_its_items_and_leaves_out_those_without_a_topic():
    assert mix_of(TWO, 4).tolist() == pytest.approx([0.5, 0.125, 0.375, 0.0])
    assert mix_of(Mixes(TWO.topics[2:], TWO.shares[2:]), 4).tolist() == [0.0] * 4


def test_the_main_topic_is_the_heaviest_and_not_the_first():
    assert main_topics(TWO).tolist() == [2, 0, -1]


def test_an_unknown_item_adds_nothing(bundle):
    mixes = mixes_of(bundle, np.array([-1, 45]))
    assert main_topics(mixes).tolist() == [-1, 2]
    assert mixes.shares[0].sum() == 0
    assert bundle.arrays.item_topic_shares[-1].sum() == 1  # what row -1 would have been


@given(st.lists(st.integers(1, 50), min_size=4, max_size=4), st.lists(st.integers(0, 50), min_size=4, max_size=4))
def test_the_distance_is_kullback_leibler_with_a_smoothed_mix(wanted, given_):
    p, q = (np.array(numbers) / max(sum(numbers), 1) for numbers in (wanted, given_))
    smoothed = 0.99 * q + 0.01 * p
    expected = float((p * np.log(p / smoothed)).sum())
    assert calibration_kl(p.astype(np.float32), q.astype(np.float32)) == pytest.approx(max(expected, 0), abs=1e-5)


def test_equal_mixes_have_no_distance_and_disjoint_ones_the_most():
    a, b = np.array([0.5, 0.5, 0, 0], dtype=np.float32), np.array([0, 0, 1, 0], dtype=np.float32)
    assert calibration_kl(a, a) == pytest.approx(0, abs=1e-7)
    assert calibration_kl(a, b) == pytest.approx(np.log(100))
