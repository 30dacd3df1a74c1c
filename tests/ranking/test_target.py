"""The mix that a slate is held to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.target import target


def shares(*numbers):
    return np.array(numbers, dtype=np.float32) / np.float32(sum(numbers) or 1)


MIXES = st.lists(st.integers(0, 100), min_size=6, max_size=6).map(lambda numbers: shares(*numbers))


def having(ada, anchor, recent=None, exposure=None, weight=0.0):
    nothing = shares(0, 0, 0, 0, 0, 0)
    return replace(
        ada,
        anchor=anchor,
        recent_mix=anchor if recent is None else recent,
        exposure_mix=nothing if exposure is None else exposure,
        exposure_weight=weight,
    )


@given(anchor=MIXES, recent=MIXES, exposure=MIXES, weight=st.floats(0, 1e4))
def test_it_is_a_mix_whatever_the_past(bundle, ada, anchor, recent, exposure, weight):
    mix = target(bundle, having(ada, anchor, recent, exposure, weight))
    assert mix.sum() == pytest.approx(1.0, abs=1e-5)
    assert (mix >= 0).all()


@given(anchor=MIXES, exposure=MIXES, weight=st.floats(0, 1e4))
def test_no_topic_of_the_user_dies_and_none_of_others_enters(bundle, ada, anchor, exposure, weight):
    if anchor.any():
        mix = target(bundle, having(ada, anchor, None, exposure, weight))
        assert ((mix > 0) == (anchor > 0)).all()


def test_a_small_interest_is_heard_louder_than_it_is(bundle, ada):
    mix = target(bundle, having(ada, shares(97, 3, 0, 0, 0, 0)))
    assert 0.03 < mix[1] < 0.06


def test_the_recent_mix_moves_it_and_the_anchor_holds_it(bundle, ada):
    mix = target(bundle, having(ada, shares(1, 1, 0, 0, 0, 0), shares(1, 0, 0, 0, 0, 0)))
    assert 0.5 < mix[0] < 0.75


def test_what_was_shown_beyond_its_share_gets_less_and_what_was_starved_more(bundle, ada):
    anchor = shares(1, 1, 0, 0, 0, 0)
    calm = target(bundle, having(ada, anchor))
    shown = target(bundle, having(ada, anchor, None, shares(1, 0, 0, 0, 0, 0), 40.0))
    little = target(bundle, having(ada, anchor, None, shares(1, 0, 0, 0, 0, 0), 1.0))
    assert shown[0] < little[0] < calm[0]
    assert shown[1] > little[1] > calm[1]


def test_a_cold_user_is_held_to_the_catalogue(bundle, cold):
    assert target(bundle, cold) == pytest.approx(bundle.arrays.topic_shares)
