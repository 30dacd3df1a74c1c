"""The mix that a slate is held to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.target import narrowing, plain, target


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


@given(anchor=MIXES, recent=MIXES, exposure=MIXES, weight=st.floats(0, 1e4), size=st.integers(1, 500))
def test_it_and_what_is_owed_are_mixes_whatever_the_past(bundle, ada, anchor, recent, exposure, weight, size):
    aim = target(bundle, having(ada, anchor, recent, exposure, weight))
    for mix in (aim.mix, aim.owed(size)):
        assert mix.sum() == pytest.approx(1.0, abs=1e-4)
        assert (mix >= 0).all()
    assert aim.protection >= 1.0


@given(anchor=MIXES, exposure=MIXES, weight=st.floats(0, 1e4))
def test_no_topic_of_the_user_dies_and_none_of_others_enters(bundle, ada, anchor, exposure, weight):
    if anchor.any():
        mix = target(bundle, having(ada, anchor, None, exposure, weight)).mix
        assert ((mix > 0) == (anchor > 0)).all()


def test_a_small_interest_is_heard_louder_than_it_is(bundle, ada):
    mix = target(bundle, having(ada, shares(99, 1, 0, 0, 0, 0))).mix
    assert 0.01 < mix[1] <= 0.02


def test_the_recent_mix_moves_it_and_the_anchor_holds_it(bundle, ada):
    mix = target(bundle, having(ada, shares(1, 1, 0, 0, 0, 0), shares(2, 1, 0, 0, 0, 0))).mix
    assert 0.5 < mix[0] < 0.6


def test_what_was_shown_beyond_its_share_is_owed_less_and_what_was_starved_more(bundle, ada):
    anchor = shares(1, 1, 0, 0, 0, 0)
    calm = target(bundle, having(ada, anchor)).owed(20)
    shown = target(bundle, having(ada, anchor, None, shares(1, 0, 0, 0, 0, 0), 15.0)).owed(20)
    little = target(bundle, having(ada, anchor, None, shares(1, 0, 0, 0, 0, 0), 1.0)).owed(20)
    assert shown[0] < little[0] < calm[0]
    assert shown[1] > little[1] > calm[1]


def test_protection_grows_as_slates_are_shown_and_as_the_recent_mix_narrows_against_the_anchor(bundle, ada):
    anchor = shares(3, 2, 2, 1, 1, 1)
    calm = target(bundle, having(ada, anchor))
    shown = target(bundle, having(ada, anchor, None, anchor, 40.0))
    narrow = target(bundle, having(ada, anchor, shares(9, 1, 0, 0, 0, 0)))
    narrower = target(bundle, having(ada, anchor, shares(1, 0, 0, 0, 0, 0)))
    assert calm.protection == 1.0
    assert calm.protection < shown.protection
    assert calm.protection < narrow.protection < narrower.protection


def test_a_burst_is_held_against_firmly_and_weeks_that_are_a_little_narrower_hardly(bundle, ada):
    busy = replace(ada, recent_rows=np.resize(ada.recent_rows, 60))
    anchor = shares(3, 2, 2, 1, 1, 1)
    burst, weeks = (
        target(bundle, having(busy, anchor, shares(*mix))) for mix in ((9, 1, 0, 0, 0, 0), (4, 2, 2, 1, 1, 0))
    )
    assert narrowing(having(busy, anchor, shares(4, 2, 2, 1, 1, 0))) > 0.05
    assert weeks.protection < 1.5
    assert burst.protection > 8.0


def test_it_knows_whether_what_was_had_may_come_again(bundle, ada, cold):
    for default, again in (("allow", True), ("filter", False)):
        said = replace(bundle, manifest=bundle.manifest.model_copy(update={"repeats_default": default}))
        assert target(said, ada).again is target(said, cold).again is again


def test_the_narrower_the_recent_mix_the_less_it_says(bundle, ada):
    anchor = shares(1, 1, 1, 1, 1, 1)
    wide = target(bundle, having(ada, anchor, shares(2, 2, 1, 1, 1, 1))).mix
    narrow = target(bundle, having(ada, anchor, shares(1, 0, 0, 0, 0, 0))).mix
    moved_wide, moved_narrow = wide[0] / (0.25 - 1 / 6), narrow[0] / (1 - 1 / 6)
    assert moved_narrow < moved_wide


def test_a_few_narrow_interactions_say_little_of_narrowing(bundle, ada):
    having_little = replace(ada, recent_rows=ada.recent_rows[:1])
    anchor, recent = shares(1, 1, 1, 1, 1, 1), shares(1, 0, 0, 0, 0, 0)
    assert narrowing(having(having_little, anchor, recent)) < 0.5 * narrowing(having(ada, anchor, recent))


def test_a_cold_user_is_held_to_the_catalogue(bundle, cold):
    assert target(bundle, cold).mix == pytest.approx(bundle.arrays.topic_shares)


def test_an_empty_target_owes_nothing():
    assert plain(np.zeros(0, dtype=np.float32)).owed(20).tolist() == []
