"""How much diversity a slate is made with."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.dial import FACTOR_MAX, FACTOR_MIN, diversity, personal_factor


@given(entropy=st.floats(0, 1))
def test_the_personal_factor_is_bounded(bundle, ada, entropy):
    assert FACTOR_MIN <= personal_factor(bundle, replace(ada, entropy=entropy)) <= FACTOR_MAX


@given(entropy=st.floats(0, 1), default=st.floats(0, 1), mean=st.floats(0, 1))
def test_the_dial_stays_in_its_range(bundle, ada, entropy, default, mean):
    manifest = bundle.manifest.model_copy(update={"diversity_default": default, "entropy_mean": mean})
    assert 0 <= diversity(replace(bundle, manifest=manifest), replace(ada, entropy=entropy), None) <= 1


def test_wide_interests_get_more_breadth_and_mean_ones_the_default(bundle, ada):
    narrow, mean, wide = (diversity(bundle, replace(ada, entropy=e), None) for e in (0.3, 0.5, 0.7))
    assert narrow < mean < wide
    assert mean == pytest.approx(bundle.manifest.diversity_default)


def test_over_users_around_the_mean_the_factor_means_one(bundle, ada):
    entropies = [0.3, 0.4, 0.5, 0.6, 0.7]
    factors = [personal_factor(bundle, replace(ada, entropy=entropy)) for entropy in entropies]
    assert sum(factors) / len(factors) == pytest.approx(1.0)


def test_a_cold_user_gets_the_default_and_a_request_gets_what_it_asks(bundle, ada, cold):
    assert diversity(bundle, cold, None) == bundle.manifest.diversity_default
    assert diversity(bundle, ada, 0.0) == 0.0
    assert diversity(bundle, ada, 1.0) == 1.0


@pytest.mark.parametrize("asked", [-0.1, 1.1, float("nan")])
def test_a_dial_outside_its_range_is_refused(bundle, ada, asked):
    with pytest.raises(ValueError, match="give 0 to 1"):
        diversity(bundle, ada, asked)
