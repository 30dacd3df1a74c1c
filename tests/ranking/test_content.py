"""The content signal: what the catalogue says of an item against what it says of what a user had."""

from dataclasses import replace

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.events import Action
from interests.profile import Profile
from ranking.content import content, content_profile
from tests.ranking.conftest import Person
from tests.support import tiny_bundle

N = tiny_bundle.TOPICS * tiny_bundle.ITEMS_A_TOPIC


@pytest.fixture
def told(bundle: Bundle) -> Bundle:
    """Each item says its topic (feature 0 to 5) and its number (10 to 29); the last item says nothing."""
    topic, number = np.divmod(np.arange(N), tiny_bundle.ITEMS_A_TOPIC)
    ids = np.stack([topic, 10 + number, np.full(N, -1)], axis=1).astype(np.int32)
    weights = np.tile(np.array([0.8, 0.6, 0.0], dtype=np.float32), (N, 1))
    ids[-1], weights[-1] = -1, 0.0
    return replace(bundle, arrays=replace(bundle.arrays, content_ids=ids, content_weights=weights))


def everything(bundle: Bundle, profile: Profile) -> np.ndarray:
    return content(bundle, profile, np.arange(N))


def test_an_item_like_those_had_scores_above_one_unlike_them(told: Bundle, ada: Profile) -> None:
    found = everything(told, ada)
    row = told.row_of
    assert found[row["t0-15"]] > found[row["t2-15"]] > found[row["t5-15"]]


def test_the_signal_is_a_cosine(told: Bundle, person: Person) -> None:
    one = person([("t1-02", Action.PURCHASE)])
    found = everything(told, one)
    assert found[told.row_of["t1-02"]] == pytest.approx(1.0, abs=1e-5)
    assert found[told.row_of["t1-03"]] == pytest.approx(0.64, abs=1e-5)
    assert found[told.row_of["t3-02"]] == pytest.approx(0.36, abs=1e-5)
    assert found[told.row_of["t3-03"]] == 0.0
    assert (found >= 0).all()
    assert (found <= 1).all()


def test_an_item_of_which_nothing_is_said_scores_nothing(told: Bundle, ada: Profile) -> None:
    assert everything(told, ada)[-1] == 0.0


def test_features_beyond_all_that_the_user_met_count_nothing(told: Bundle, person: Person) -> None:
    ids = np.array(told.arrays.content_ids)
    ids[-1] = [900_000, -1, -1]
    weights = np.array(told.arrays.content_weights)
    weights[-1] = [1.0, 0.0, 0.0]
    far = replace(told, arrays=replace(told.arrays, content_ids=ids, content_weights=weights))
    assert everything(far, person([("t1-02", Action.PURCHASE)]))[-1] == 0.0


def test_who_had_nothing_gets_nothing(told: Bundle, cold: Profile) -> None:
    assert not everything(told, cold).any()


def test_a_bundle_without_content_scores_nothing(bundle: Bundle, ada: Profile) -> None:
    assert not everything(bundle, ada).any()


def test_encoded_texts_add_to_what_words_say(told: Bundle, person: Person) -> None:
    dense = np.zeros((N, 4), dtype=np.float32)
    dense[:, 0] = np.sqrt(0.5)
    dense[told.row_of["t3-03"]] = [-np.sqrt(0.5), 0, 0, 0]
    half = told.arrays.content_weights * np.float32(np.sqrt(0.5))
    both = replace(told, arrays=replace(told.arrays, content_weights=half, content_vectors=dense))
    found = everything(both, person([("t1-02", Action.PURCHASE)]))
    assert found[told.row_of["t1-02"]] == pytest.approx(1.0, abs=1e-5)
    assert found[told.row_of["t4-04"]] == pytest.approx(0.5, abs=1e-5)
    assert found[told.row_of["t3-03"]] == 0.0, "against the user in every way is 0, not below"


def test_the_profile_is_one_unit_vector_over_both_parts(told: Bundle, ada: Profile) -> None:
    sparse, dense = content_profile(told, ada)
    assert float(sparse @ sparse) + float(dense @ dense) == pytest.approx(1.0, abs=1e-5)
    assert sparse[-1] == 0.0
