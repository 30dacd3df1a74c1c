"""How much diversity a slate is made with."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interests.manifest import DialPoint
from ranking.dial import FACTOR_MAX, FACTOR_MIN, dial_of, diversity, openness, personal_factor, strength

STEEP = [(0.0, 0.9), (0.1, 0.5), (0.2, 0.3), (0.5, 0.15), (1.0, 0.1)]  # strength, KL


def saying(bundle, **changes):
    return replace(bundle, manifest=bundle.manifest.model_copy(update=changes))


def with_curve(bundle, points, **changes):
    curve = [DialPoint(strength=at, ndcg_kept=1.0, ild=0.5, kl=kl) for at, kl in points]
    return saying(bundle, dial_curve=curve, **changes)


@given(entropy=st.floats(0, 1))
def test_the_personal_factor_is_bounded(bundle, ada, entropy):
    assert FACTOR_MIN <= personal_factor(bundle, replace(ada, entropy=entropy)) <= FACTOR_MAX


@given(entropy=st.floats(0, 1), default=st.floats(0, 1), mean=st.floats(0, 1))
def test_the_dial_stays_in_its_range(bundle, ada, entropy, default, mean):
    for shop in (bundle, with_curve(bundle, STEEP)):
        turned = saying(shop, diversity_default=default, entropy_mean=mean)
        assert 0 <= diversity(turned, replace(ada, entropy=entropy), None) <= 1


def test_wide_interests_get_more_breadth_and_mean_ones_the_default(bundle, ada):
    narrow, mean, wide = (diversity(bundle, replace(ada, entropy=e), None) for e in (0.3, 0.5, 0.7))
    assert narrow < mean < wide
    assert mean == pytest.approx(bundle.manifest.diversity_default)


def test_over_users_around_the_mean_the_factor_means_one(bundle, ada):
    entropies = [0.3, 0.4, 0.5, 0.6, 0.7]
    factors = [personal_factor(bundle, replace(ada, entropy=entropy)) for entropy in entropies]
    assert sum(factors) / len(factors) == pytest.approx(1.0)


def shown(ada, rows):
    return replace(ada, exposure_rows=np.array(rows, dtype=np.int32), exposure_weights=np.ones(len(rows), dtype="f4"))


def test_who_takes_the_rarer_of_what_is_shown_gets_more_breadth_and_who_passes_it_over_gets_less(bundle, ada):
    by_topic = {topic: ada.item_rows[ada.item_rows // 20 == topic].tolist() for topic in (0, 4)}
    others = [row for row in range(20) if row not in ada.item_rows.tolist()], list(range(100, 120))
    takes_rare = shown(ada, [*others[0][:5], *by_topic[4]])
    takes_main = shown(ada, [*by_topic[0][:5], *others[1][:5]])
    assert openness(bundle, takes_rare) > 0 > openness(bundle, takes_main)
    assert openness(bundle, ada) == openness(bundle, shown(ada, others[1])) == 0.0
    factors = [personal_factor(bundle, replace(one, entropy=0.5)) for one in (takes_main, ada, takes_rare)]
    assert factors == sorted(factors)
    assert factors[0] < factors[1] < factors[2]


def test_a_cold_user_gets_the_default_and_a_request_gets_what_it_asks(bundle, ada, cold):
    assert diversity(bundle, cold, None) == bundle.manifest.diversity_default
    assert diversity(bundle, ada, 0.0) == 0.0
    assert diversity(bundle, ada, 1.0) == 1.0


@pytest.mark.parametrize("asked", [-0.1, 1.1, float("nan")])
def test_a_dial_outside_its_range_is_refused(bundle, ada, asked):
    with pytest.raises(ValueError, match="give 0 to 1"):
        diversity(bundle, ada, asked)


def test_a_dial_means_how_far_slates_come_and_not_how_strong_a_method_is(bundle):
    steep, slow = with_curve(bundle, STEEP), with_curve(bundle, [(0.0, 0.9), (0.5, 0.8), (0.9, 0.5), (1.0, 0.1)])
    assert strength(steep, 0.5) == pytest.approx(0.1)
    assert strength(slow, 0.5) == pytest.approx(0.9)
    assert strength(bundle, 0.5) == 0.5


@given(dial=st.floats(0, 1))
def test_strengths_rise_with_the_dial_and_turn_back_into_it(bundle, dial):
    for shop in (bundle, with_curve(bundle, STEEP)):
        assert dial_of(shop, strength(shop, dial)) == pytest.approx(dial, abs=1e-9)
        assert strength(shop, dial) <= strength(shop, min(1.0, dial + 0.01))


@pytest.mark.parametrize("points", [[], [(0.0, 0.5)], [(0.0, 0.5), (1.0, 0.5)], [(0.0, 0.2), (0.5, 0.2), (1.0, 0.2)]])
def test_a_curve_that_says_nothing_leaves_the_dial_as_it_is(bundle, points):
    assert strength(with_curve(bundle, points), 0.3) == pytest.approx(0.3)


def test_a_curve_with_dents_still_rises(bundle):
    dented = with_curve(bundle, [(0.0, 0.9), (0.1, 0.4), (0.2, 0.45), (0.4, 0.4), (0.6, 0.05), (1.0, 0.1)])
    strengths = [strength(dented, dial / 20) for dial in range(21)]
    assert strengths == sorted(strengths)
    assert (strengths[0], strengths[-1]) == (0.0, 1.0)
