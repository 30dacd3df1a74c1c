"""The caller's own candidates, chosen and ordered for one user."""

from dataclasses import replace

import numpy as np
import pytest

from interests.errors import InvalidRequest
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.score import relevance
from ranking.slate import Relaxation, Source
from tests.support.tiny_bundle import item


def ids(slate):
    return [each.item_id for each in slate.items]


def test_the_callers_relevance_orders_what_is_chosen(ranker, ada):
    candidates = [(item(topic, 3), float(topic)) for topic in range(6)]
    slate = ranker.rerank(ada, candidates, Query(size=4, diversity=0.0))
    assert ids(slate) == [item(topic, 3) for topic in (5, 4, 3, 2)]
    assert [each.score for each in slate.items] == [5.0, 4.0, 3.0, 2.0]
    assert {each.source for each in slate.items} == {Source.CALLER}
    assert slate.relaxed == ()


def test_without_the_callers_relevance_ours_orders(bundle, ranker, ada):
    names = [item(topic, 4) for topic in range(6)]
    slate = ranker.rerank(ada, [(name, None) for name in names], Query(size=6, diversity=0.0))
    rows = np.array([bundle.row_of[name] for name in names])
    assert ids(slate) == [names[place] for place in np.argsort(-relevance(bundle, ada, rows), kind="stable")]


def test_a_dial_brings_the_users_small_interests_in(ranker, ada):
    candidates = [(item(0, 9 + n), 1.0 - n / 100) for n in range(10) if n != 2]
    candidates += [(item(2, 9), 0.8), (item(4, 9), 0.8), (item(5, 9), 0.8)]
    plain, wide = (ranker.rerank(ada, candidates, Query(size=6, diversity=dial)) for dial in (0.0, 0.8))
    assert {each.topic for each in plain.items} == {"topic-0"}
    assert {"topic-0", "topic-2", "topic-4"} == {each.topic for each in wide.items}


def test_an_item_the_bundle_does_not_know_keeps_its_relevance_and_has_no_topic(ranker, ada):
    slate = ranker.rerank(ada, [(item(0, 1), 0.2), ("elsewhere", 0.9)], Query(size=2, diversity=0.5))
    first = slate.items[0]
    assert (first.item_id, first.score, first.topic, first.interest) == ("elsewhere", pytest.approx(0.9), "", None)


def test_an_unknown_item_without_relevance_comes_behind_the_known_ones(ranker, ada):
    slate = ranker.rerank(ada, [("elsewhere", None), (item(5, 19), None), (item(0, 1), None)], Query(size=3))
    assert ids(slate) == [item(0, 1), item(5, 19), "elsewhere"]


def test_only_unknown_items_are_served_in_the_order_given(ranker, ada):
    slate = ranker.rerank(ada, [("x", None), ("y", None)], Query(size=2))
    assert ids(slate) == ["x", "y"]


def test_what_the_user_disliked_and_what_is_unavailable_is_left_out_and_told(bundle, ada):
    available = bundle.arrays.available.copy()
    available[bundle.row_of[item(0, 2)]] = False
    ranker = Ranker(replace(bundle, arrays=replace(bundle.arrays, available=available)))
    slate = ranker.rerank(ada, [(item(0, 11), 1.0), (item(0, 2), 1.0), (item(0, 3), 0.1)], Query(size=3))
    assert ids(slate) == [item(0, 3)]
    assert slate.relaxed == (Relaxation.SIZE,)


def test_the_querys_filters_hold_for_known_and_unknown_items(ranker, ada):
    candidates = [(item(0, 1), 1.0), (item(2, 2), 0.9), ("x", 0.8), ("y", 0.7)]
    assert ids(ranker.rerank(ada, candidates, Query(exclude_items=frozenset({"x", item(0, 1)})))) == [item(2, 2), "y"]
    assert ids(ranker.rerank(ada, candidates, Query(only_items=frozenset({"x", item(0, 1)})))) == [item(0, 1), "x"]
    assert ids(ranker.rerank(ada, candidates, Query(only_categories=frozenset({"topic-2"})))) == [item(2, 2)]
    assert ids(ranker.rerank(ada, candidates, Query(repeats="filter"))) == [item(2, 2), "x", "y"]


def test_a_cold_users_candidates_are_ordered_too(ranker, cold):
    slate = ranker.rerank(cold, [(item(1, 5), None), (item(1, 0), None)], Query(size=2))
    assert ids(slate) == [item(1, 0), item(1, 5)]


def test_other_candidates_are_another_slate(ranker, ada):
    one, other = (ranker.rerank(ada, [(item(0, 1), score)], Query(size=1)) for score in (0.1, 0.2))
    assert one.slate_id != other.slate_id


@pytest.mark.parametrize(
    ("candidates", "field"),
    [
        ([("a", 1.0), ("b", 0.5), ("a", 0.2)], r"candidates\[2\].item_id"),
        ([("a", 1.0), ("b", None)], r"candidates\[1\].relevance"),
        ([("a", None), ("b", 0.1)], r"candidates\[1\].relevance"),
        ([("a", float("nan"))], r"candidates\[0\].relevance"),
        ([("a", 1.0), ("b", float("inf"))], r"candidates\[1\].relevance"),
        ([("a", 1e300)], r"candidates\[0\].relevance"),
    ],
)
def test_candidates_that_make_no_sense_are_refused_by_name(ranker, ada, candidates, field):
    with pytest.raises(InvalidRequest, match=field):
        ranker.rerank(ada, candidates, Query(size=2))
