"""Protocol cold: what nobody turned to is ranked among itself, and nothing of it or of later days teaches."""

import json
from pathlib import Path

import numpy as np
import pytest

from interests import bundle as bundles
from interests.bundle import Bundle
from interests.encoder import Encoder
from interests.errors import HistoryRejected
from interests.events import Action
from tests.support import planted_history, tiny_bundle
from tests.support.people import profile_of, state_of
from tests.trainer.build import catalogue, events
from trainer.content.content import features
from trainer.data import Events
from trainer.evaluation.cold import category_affinity, category_popularity, cold_split, expected_recall
from trainer.weights.chilled import chill, pseudo_cold

N = tiny_bundle.TOPICS * tiny_bundle.ITEMS_A_TOPIC
DESCRIBED = features(catalogue([[f"topic-{row // 20}"] for row in range(N)]))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("bundle")))


def history() -> Events:
    rng = np.random.default_rng(0)
    return events([(user, int(rng.integers(50)), float(day)) for user in range(20) for day in range(10)], items=50)


def test_no_event_of_a_cold_item_teaches_and_none_is_later_than_what_is_asked() -> None:
    all_events = history()
    parted = cold_split(all_events, seed=0)
    assert parted.cold.sum() == len(np.unique(all_events.items)) // 5
    assert not parted.cold[parted.warm.items].any()
    assert parted.cold[parted.later.items].all()
    for user in np.unique(parted.later.users):
        asked = parted.later.times_ms[parted.later.users == user].min()
        assert parted.warm.times_ms[parted.warm.users == user].max() < asked


def test_the_last_fifth_of_each_history_is_later() -> None:
    parted = cold_split(history(), seed=1)
    first_day = parted.warm.times_ms.min()
    assert (parted.later.times_ms >= first_day + 8 * 86_400_000).all()


def test_the_same_seed_chooses_the_same_items_and_another_others() -> None:
    one, again, other = (cold_split(history(), seed).cold for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_history_in_which_nobody_comes_back_is_refused() -> None:
    with pytest.raises(HistoryRejected, match="--protocol cold: needs users with two timestamp groups"):
        cold_split(events([(user, user % 7, 0.0) for user in range(20)]), seed=0)


def test_affinity_is_the_share_of_the_categories(bundle: Bundle) -> None:
    acts = [(tiny_bundle.item(0, n), Action.PURCHASE) for n in range(3)] + [(tiny_bundle.item(2, 0), Action.PURCHASE)]
    one = profile_of(bundle, Encoder(bundle), state_of(acts))
    found = category_affinity(bundle, one, np.array([5, 45, 65]))
    assert found == pytest.approx([0.75, 0.25, 0.0], abs=0.01)


def test_popularity_of_a_category_is_the_mean_of_its_warm_items(bundle: Bundle) -> None:
    counts = np.zeros(N)
    counts[:10] = 6.0
    counts[20:40] = 2.0
    found = category_popularity(bundle, counts)
    assert found[[15, 25, 45]].tolist() == pytest.approx([6.0, 2.0, 0.0])


def test_equal_scores_share_the_places_there_are() -> None:
    assert expected_recall(np.zeros(10), np.array([3]), size=5) == 0.5
    assert expected_recall(np.arange(10.0), np.array([9, 0]), size=5) == 0.5


def test_a_chilled_item_keeps_nothing_of_its_evidence(bundle: Bundle) -> None:
    counts = np.full(N, 30)
    cold = pseudo_cold(DESCRIBED, counts, seed=0)
    assert len(cold) == N // 5
    arrays = chill(bundle, DESCRIBED, counts, cold, seed=0).arrays
    assert not arrays.popularity[cold].any()
    assert not arrays.item_factors[cold].any()
    assert (arrays.transition_rows[cold] == -1).all()
    assert not np.isin(arrays.transition_rows, cold).any()
    assert (arrays.neighbour_rows[cold] == -1).all()
    vectors = np.asarray(bundle.arrays.item_vectors)
    assert not np.allclose(arrays.item_vectors[cold], vectors[cold], atol=1e-3)
    warm = np.setdiff1d(np.arange(N), cold)
    assert np.array_equal(arrays.item_vectors[warm], vectors[warm])


def test_a_chilled_item_stands_by_its_content(bundle: Bundle) -> None:
    counts = np.full(N, 30)
    cold = pseudo_cold(DESCRIBED, counts, seed=0)
    arrays = chill(bundle, DESCRIBED, counts, cold, seed=0).arrays
    nearest = np.argmax(arrays.item_vectors[cold] @ bundle.arrays.topic_vectors.T, axis=1)
    assert (nearest == cold // 20).all()
    row, place = np.nonzero(np.isin(arrays.neighbour_rows, cold))
    assert len(row)
    assert (arrays.neighbour_rows[row, place] // 20 == row // 20).all()


@pytest.mark.slow
def test_cold_items_of_a_planted_shop_are_served_by_taste(tmp_path: Path) -> None:
    from trainer.app import main

    interactions, items = planted_history.write(tmp_path, users=120)
    out = tmp_path / "figures.json"
    arguments = ["--interactions", str(interactions), "--items", str(items), "--profile", "demo", "--json", str(out)]
    main(["evaluate", "--protocol", "cold", *arguments])
    found = {figure["row"]: figure for figure in json.loads(out.read_text())}
    assert {"random", "popular category", "category affinity", "content alone", "served"} <= set(found)
    assert found["served"]["low"] >= 0.9 * found["random"]["value"]
    assert found["served - category affinity"]["low"] <= found["served - category affinity"]["high"]
