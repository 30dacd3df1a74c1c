"""What may be in a slate, and what is said when it had to be less strict."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interests.bundle import Bundle
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.slate import Relaxation
from tests.support.catalogue import catalogue, someone
from tests.support.tiny_bundle import item


@pytest.fixture(scope="module")
def shop() -> Bundle:
    return catalogue(items=800, topics=12)


@pytest.fixture(scope="module")
def shop_ranker(shop: Bundle) -> Ranker:
    return Ranker(shop)


def ids(slate):
    return [each.item_id for each in slate.items]


def names(*topics):
    return frozenset(f"c{topic}" for topic in topics)


some_ids = st.frozensets(st.integers(0, 820).map(lambda row: f"i{row}"), max_size=40)
some_topics = st.frozensets(st.integers(0, 13).map(lambda topic: f"c{topic}"), max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(
    query=st.builds(
        Query,
        size=st.integers(1, 60),
        diversity=st.none() | st.floats(0, 1),
        repeats=st.sampled_from([None, "allow", "filter"]),
        exclude_items=some_ids,
        only_items=some_ids,
        exclude_categories=some_topics,
        only_categories=some_topics,
    ),
    skip=some_ids,
    seed=st.integers(0, 50),
    warm=st.booleans(),
)
def test_no_filter_is_ever_violated_and_no_slate_is_shorter_than_it_must_be(shop, shop_ranker, query, skip, seed, warm):
    user = someone(shop, seed) if warm else someone(shop, seed, had=0, recent=0, interests=0)
    slate = shop_ranker.recommend(user, query, skip)
    shown = ids(slate)
    topics = [
        {f"c{t}" for t, share in zip(*row, strict=True) if share > 0}
        for row in zip(shop.arrays.item_topic_ids.tolist(), shop.arrays.item_topic_shares.tolist(), strict=True)
    ]
    blocked = set(user.blocked_rows.tolist())
    may = {
        item_id
        for row, item_id in enumerate(shop.item_ids)
        if shop.arrays.available[row]
        and row not in blocked
        and item_id not in query.exclude_items | skip
        and (not query.only_items or item_id in query.only_items)
        and not topics[row] & query.exclude_categories
        and (not query.only_categories or topics[row] & query.only_categories)
    }
    assert set(shown) <= may
    assert len(set(shown)) == len(shown) == min(query.size, len(may))
    assert (Relaxation.SIZE in slate.relaxed) == (len(shown) < query.size)
    had = {shop.item_ids[row] for row in user.item_rows}
    let_in = query.repeats == "filter" and bool(had & set(shown))
    assert (Relaxation.REPEATS in slate.relaxed) == let_in
    if let_in:
        assert may - had <= set(shown)


def test_a_rare_category_still_fills_the_slate(shop, shop_ranker):
    slate = shop_ranker.recommend(someone(shop, 1), Query(size=40, only_categories=names(7)))
    assert len(slate.items) == 40
    assert slate.relaxed == ()


def test_only_items_are_the_candidates_however_unlikely(shop, shop_ranker):
    user = someone(shop, 2)
    least = np.argsort(shop.arrays.recent_popularity + shop.arrays.item_vectors @ user.vectors.interests.sum(axis=0))
    wanted = [shop.item_ids[row] for row in least[:60] if shop.arrays.available[row] and row not in user.blocked_rows]
    slate = shop_ranker.recommend(user, Query(size=len(wanted), only_items=frozenset(wanted)))
    assert set(ids(slate)) == set(wanted)


def test_an_unknown_category_or_item_matches_nothing_and_says_so(ranker, ada):
    for query in (Query(only_categories=frozenset({"no such"})), Query(only_items=frozenset({"no such"}))):
        slate = ranker.recommend(ada, query)
        assert slate.items == ()
        assert slate.relaxed == (Relaxation.SIZE,)
    assert len(ranker.recommend(ada, Query(exclude_categories=frozenset({"no such"}))).items) == 20


def test_the_bundle_says_whether_repeats_may_come_and_the_request_overrides_it(bundle, ada):
    strict = replace(bundle, manifest=bundle.manifest.model_copy(update={"repeats_default": "filter"}))
    had = {bundle.item_ids[row] for row in ada.item_rows}
    assert not had & set(ids(Ranker(strict).recommend(ada, Query())))
    assert had & set(ids(Ranker(strict).recommend(ada, Query(repeats="allow"))))
    assert had & set(ids(Ranker(bundle).recommend(ada, Query())))
    assert not had & set(ids(Ranker(bundle).recommend(ada, Query(repeats="filter"))))


def test_repeats_that_had_to_come_in_stand_last_and_are_told(ranker, ada, bundle):
    query = Query(size=20, repeats="filter", only_categories=frozenset({"topic-0"}))
    slate = ranker.recommend(ada, query)
    had = {bundle.item_ids[row] for row in ada.item_rows}
    repeats = [item_id in had for item_id in ids(slate)]
    assert slate.relaxed == (Relaxation.REPEATS, Relaxation.SIZE)  # the disliked item stays out
    assert any(repeats)
    assert repeats == sorted(repeats)


def test_a_disliked_item_comes_back_under_no_filter(ranker, ada):
    disliked = item(0, 11)
    for query in (Query(size=120), Query(only_items=frozenset({disliked})), Query(size=120, repeats="filter")):
        assert disliked not in ids(ranker.recommend(ada, query))
