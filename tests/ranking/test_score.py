"""Relevance: what each signal says, and that it says it alike of candidates and of the whole catalogue."""

from dataclasses import replace

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.events import Action
from ranking.pull import pull
from ranking.score import SIGNALS, relevance, signals, trust, weights_for
from tests.support.tiny_bundle import ITEMS_A_TOPIC, item

COLUMN = {name: place for place, name in enumerate(SIGNALS)}


def with_weights(bundle: Bundle, **weights: float) -> Bundle:
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"signal_weights": weights}))


KNOWN_ITEMS = 20  # as a manifest has it that says nothing of it


def everything(bundle: Bundle) -> np.ndarray:
    return np.arange(bundle.manifest.item_count)


def rows_of_topic(topic: int) -> slice:
    return slice(topic * ITEMS_A_TOPIC, (topic + 1) * ITEMS_A_TOPIC)


def test_relevance_is_the_weighted_sum_of_the_signals(bundle, ada):
    weights = {name: 0.1 * (place + 1) for place, name in enumerate(SIGNALS)}
    rows = np.array([3, 17, 119, 40])
    own = 1 - (weights["popularity"] + weights["debut"]) / sum(weights.values())
    known = (len(ada.item_rows) / KNOWN_ITEMS) ** 0.5 / own
    expected = known * signals(bundle, ada, rows) @ np.array([weights[name] for name in SIGNALS])
    expected += (1 - known) * bundle.arrays.recent_popularity[rows]
    assert known < 1
    assert relevance(with_weights(bundle, **weights), ada, rows) == pytest.approx(expected, abs=1e-5)


def test_the_more_a_user_had_the_less_what_is_popular_counts_until_it_counts_nothing(bundle, person):
    acts = [(item(at % 6, at), Action.PURCHASE) for at in range(KNOWN_ITEMS - 1)]
    acts.append((item(5, KNOWN_ITEMS - 1), Action.PURCHASE))
    users = [person(acts[:count]) for count in (1, 5, KNOWN_ITEMS)]
    only = with_weights(bundle, repeat=1.0)
    never_had = bundle.row_of[item(0, 1)]
    found = [float(relevance(only, user, np.array([never_had]))[0]) for user in users]
    assert found[0] > found[1] > found[2] == 0.0


def test_a_signal_without_a_weight_counts_nothing(bundle, ada):
    rows = everything(bundle)
    only = relevance(with_weights(bundle, popularity=2.0), ada, rows)
    assert only == pytest.approx(2.0 * bundle.arrays.recent_popularity)


def test_what_the_weights_give_to_popularity_is_part_of_what_a_newcomer_is_given_of_it():
    few, many = KNOWN_ITEMS // 4, KNOWN_ITEMS
    assert trust({"content": 1.0}, few, KNOWN_ITEMS) == pytest.approx(0.5)
    assert trust({"content": 0.8, "popularity": 0.1, "debut": 0.1}, few, KNOWN_ITEMS) == pytest.approx(0.5 / 0.8)
    for weights in ({"content": 0.4, "popularity": 0.6}, {"popularity": 1.0}, {}):
        assert trust(weights, few if sum(weights.values()) else many, KNOWN_ITEMS) == 1.0
    assert trust({"content": 1.0}, 1, 0) == 1.0


def test_an_item_has_the_same_signals_among_candidates_and_among_all(bundle, ada):
    rows = np.array([5, 2, 77, 119])
    assert signals(bundle, ada, rows) == pytest.approx(signals(bundle, ada, everything(bundle))[rows], abs=1e-5)


def test_every_signal_is_about_one_at_most(bundle, ada):
    found = signals(bundle, ada, everything(bundle))
    assert found.dtype == np.float32
    assert found.shape == (bundle.manifest.item_count, len(SIGNALS))
    assert found.max() <= 1.3
    assert found.min() >= -1.0
    assert found[:, COLUMN["transition"]].max() == found[:, COLUMN["neighbour"]].max() == pytest.approx(1.0)


def test_where_what_was_had_is_filtered_the_weights_for_new_items_count(bundle, ada):
    both = replace(
        bundle,
        manifest=bundle.manifest.model_copy(
            update={"signal_weights": {"repeat": 1.0}, "new_weights": {"popularity": 1.0}, "repeats_default": "allow"}
        ),
    )
    assert weights_for(both, None, 9) == weights_for(both, "allow", 9) == {"repeat": 1.0}
    assert weights_for(both, "filter", 9) == {"popularity": 1.0}
    assert weights_for(with_weights(bundle, interest=1.0), "filter", 9) == {"interest": 1.0}


def test_a_short_past_may_count_otherwise_than_a_long_one(bundle, ada):
    said = {
        "signal_weights": {"repeat": 1.0}, "new_weights": {"mf": 1.0}, "repeats_default": "allow",
        "few_items_max": 30, "few_weights": {"popularity": 1.0}, "few_new_weights": {},
    }  # fmt: skip
    banded = replace(bundle, manifest=bundle.manifest.model_copy(update=said))
    assert weights_for(banded, None, 30) == {"popularity": 1.0}
    assert weights_for(banded, None, 31) == {"repeat": 1.0}
    assert weights_for(banded, "filter", 30) == {"mf": 1.0}
    plain = with_weights(bundle, popularity=1.0)
    assert relevance(banded, ada, everything(bundle)) == pytest.approx(relevance(plain, ada, everything(bundle)))


def test_what_comes_back_by_itself_counts_for_who_had_it_alone(bundle, person):
    rates = np.linspace(0.0, 1.0, bundle.manifest.item_count, dtype=np.float32)
    known = replace(bundle, arrays=replace(bundle.arrays, repeat_rates=rates))
    user = person([(item(0, 1), Action.PURCHASE), (item(5, 2), Action.PURCHASE)])
    rebuy = signals(known, user, everything(known))[:, COLUMN["rebuy"]]
    rows = [known.row_of[item(0, 1)], known.row_of[item(5, 2)]]
    assert rebuy[rows] == pytest.approx(rates[rows])
    assert np.count_nonzero(rebuy) == 2


def test_what_was_had_lately_counts_more_than_what_was_had_long_ago(bundle, person):
    user = person([(item(0, 1), Action.PURCHASE), (item(5, 2), Action.PURCHASE)])
    rows = [bundle.row_of[item(0, 1)], bundle.row_of[item(5, 2)]]
    half_life_ms = int(bundle.manifest.query_half_life_days * 86_400_000)
    times_ms = np.where(user.item_rows == rows[0], user.last_event_ms, user.last_event_ms - half_life_ms)
    lately = signals(bundle, replace(user, item_times_ms=times_ms), everything(bundle))[:, COLUMN["lately"]]
    assert lately[rows] == pytest.approx([1.0, 0.5])
    assert np.count_nonzero(lately) == 2


def test_an_order_inside_a_basket_changes_nothing(bundle, person):
    user = person([(item(0, 0), Action.PURCHASE), (item(3, 0), Action.PURCHASE), (item(4, 4), Action.PURCHASE)])
    same = replace(user, recent_times_ms=np.full(3, user.last_event_ms))
    other = replace(same, recent_rows=same.recent_rows[::-1].copy())
    rows = everything(bundle)
    for name in ("transition", "neighbour"):
        assert signals(bundle, same, rows)[:, COLUMN[name]] == pytest.approx(
            signals(bundle, other, rows)[:, COLUMN[name]]
        )


def test_a_cold_user_is_scored_by_recent_popularity(bundle, cold):
    rows = np.array([60, 0, 19])
    assert relevance(with_weights(bundle, interest=1.0), cold, rows) == pytest.approx(
        bundle.arrays.recent_popularity[rows]
    )


def test_a_bundle_that_learned_no_weights_ranks_by_recent_popularity(bundle, ada):
    rows = np.array([60, 0, 19])
    for nothing in (with_weights(bundle), with_weights(bundle, interest=0.0)):
        assert relevance(nothing, ada, rows) == pytest.approx(bundle.arrays.recent_popularity[rows])


def test_what_follows_the_latest_items_pulls_more_than_what_followed_old_ones(bundle, person):
    user = person([(item(0, 0), Action.PURCHASE), (item(3, 0), Action.PURCHASE)])  # ten minutes apart
    transition = signals(bundle, user, everything(bundle))[:, COLUMN["transition"]]
    assert transition[bundle.row_of[item(3, 1)]] > transition[bundle.row_of[item(0, 1)]] > 0


def test_an_old_purchase_pulls_less_by_the_half_life_of_the_query(bundle, person):
    user = person([(item(0, 0), Action.PURCHASE), (item(3, 0), Action.PURCHASE)])
    early = replace(user, recent_times_ms=user.recent_times_ms - np.array([14 * 86_400_000, 0]))  # two half-lives
    pulls = [pull(bundle, each).transition for each in (user, early)]
    place = bundle.row_of[item(0, 1)]
    assert pulls[1][place] == pytest.approx(pulls[0][place] / 4, rel=0.01)


def test_a_purchase_pulls_harder_than_a_later_view(bundle, person):
    user = person([(item(4, 5), Action.PURCHASE), (item(1, 5), Action.VIEW)])
    transition = signals(bundle, user, everything(bundle))[:, COLUMN["transition"]]
    assert transition[bundle.row_of[item(4, 0)]] > transition[bundle.row_of[item(1, 0)]] > 0


def test_what_was_bought_and_then_disliked_asks_for_nothing(bundle, person):
    acts = [(item(4, 5), Action.PURCHASE), (item(1, 5), Action.PURCHASE), (item(4, 5), Action.DISLIKE)]
    found = signals(bundle, person(acts), everything(bundle))
    for name in ("transition", "neighbour", "repeat"):
        assert found[rows_of_topic(1), COLUMN[name]].any()
        assert not found[rows_of_topic(4), COLUMN[name]].any()


def test_repeat_is_one_for_the_item_had_most_and_zero_for_what_was_never_had(bundle, person):
    twice = person([(item(0, 1), Action.PURCHASE), (item(0, 1), Action.PURCHASE), (item(2, 2), Action.VIEW)])
    repeat = signals(bundle, twice, everything(bundle))[:, COLUMN["repeat"]]
    assert repeat[bundle.row_of[item(0, 1)]] == pytest.approx(1.0)
    assert 0 < repeat[bundle.row_of[item(2, 2)]] < 0.5
    assert np.count_nonzero(repeat) == 2


def test_one_interest_scores_by_its_cosine(bundle, ada):
    vector = bundle.arrays.item_vectors[7:8]
    single = replace(ada, vectors=replace(ada.vectors, interests=vector, shares=np.ones(1, dtype=np.float32)))
    rows = everything(bundle)
    found = signals(bundle, single, rows)[:, COLUMN["interest"]]
    assert found == pytest.approx(bundle.arrays.item_vectors @ vector[0], abs=1e-5)


def test_no_interest_vector_leaves_the_other_signals_standing(bundle, ada):
    none = replace(ada, vectors=replace(ada.vectors, interests=np.zeros((0, 0), np.float32), shares=np.zeros(0)))
    rows = everything(bundle)
    found, full = signals(bundle, none, rows), signals(bundle, ada, rows)
    assert not found[:, COLUMN["interest"]].any()
    assert np.array_equal(found[:, 1:], full[:, 1:])


def test_what_people_now_begin_with_counts_the_same_for_everybody(bundle, person):
    begun = np.linspace(0.0, 1.0, bundle.manifest.item_count, dtype=np.float32)
    known = replace(bundle, arrays=replace(bundle.arrays, debut_popularity=begun))
    for user in (person([(item(0, 1), Action.VIEW)]), person([(item(5, 2), Action.PURCHASE)])):
        assert signals(known, user, everything(known))[:, COLUMN["debut"]] == pytest.approx(begun)


def test_a_factor_product_counts_by_what_was_had_or_by_what_is_usual_where_that_is_more(bundle, ada):
    rows, mf = everything(bundle), COLUMN["mf"]
    factors, factor = bundle.arrays.item_factors, ada.vectors.factor
    products, length = factors @ factor, float(np.linalg.norm(factor))
    own = float(products[ada.item_rows].max())
    for reach in (0.0, 0.5 * own / length, 4.0 * own / length):
        said = replace(bundle, manifest=bundle.manifest.model_copy(update={"mf_reach": reach}))
        found = signals(said, ada, rows)[:, mf]
        assert found == pytest.approx(products / max(own, reach * length), abs=1e-5)
        assert relevance(with_weights(said, mf=1.0), ada, rows) == pytest.approx(
            signals(with_weights(said, mf=1.0), ada, rows)[:, mf] * trust({"mf": 1.0}, len(ada.item_rows), KNOWN_ITEMS)
            + (1 - trust({"mf": 1.0}, len(ada.item_rows), KNOWN_ITEMS)) * bundle.arrays.recent_popularity,
            abs=1e-5,
        )
