"""Candidates: a few hundred out of the whole, each with how it was found."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interests.bundle import Bundle
from ranking.pull import pull
from ranking.retrieve import Retriever, retrieve
from ranking.slate import Source
from ranking.topics import Mixes, main_topics
from tests.support.catalogue import catalogue, someone

COUNT = 300


@pytest.fixture(scope="module")
def shop() -> Bundle:
    return catalogue()


@pytest.fixture(scope="module")
def retriever(shop: Bundle) -> Retriever:
    return Retriever(shop)


def by_source(candidates, source):
    return candidates.rows[candidates.sources == source]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(seed=st.integers(0, 1000), interests=st.integers(0, 5), recent=st.integers(0, 30), share=st.floats(0, 1))
def test_only_allowed_items_enter_each_once_and_as_many_as_asked(shop, retriever, seed, interests, recent, share):
    allowed = shop.arrays.available & (np.random.default_rng(seed).random(shop.manifest.item_count) < share)
    found = retriever.retrieve(someone(shop, seed, recent=recent, interests=interests), COUNT, allowed)
    assert allowed[found.rows].all()
    assert (np.diff(found.rows) > 0).all()
    assert len(found.rows) >= min(COUNT, np.count_nonzero(allowed))
    assert len(found.rows) == len(found.sources)
    assert set(found.sources.tolist()) <= {int(source) for source in Source}


def test_what_is_unavailable_never_enters(shop, retriever):
    for seed in range(5):
        assert shop.arrays.available[retriever.retrieve(someone(shop, seed), COUNT).rows].all()


def test_the_nearest_items_of_each_interest_are_there(shop, retriever):
    user = someone(shop, 3)
    found = retriever.retrieve(user, COUNT)
    for vector in user.vectors.interests:
        cosines = np.where(shop.arrays.available, shop.arrays.item_vectors @ vector, -np.inf)
        assert set(np.argsort(-cosines)[:8]) <= set(found.rows.tolist())


def test_the_strongest_pulls_come_as_neighbours_unless_they_were_had(shop, retriever):
    user = someone(shop, 4)
    strongest = np.argsort(-np.where(shop.arrays.available, sum(pull(shop, user)[:2]), 0.0))[:20]
    found = retriever.retrieve(user, COUNT)
    assert set(strongest) <= set(by_source(found, Source.NEIGHBOUR)) | set(user.item_rows)


def test_what_the_user_had_is_a_repeat_however_it_was_found(shop, retriever):
    user = someone(shop, 5)
    found = retriever.retrieve(user, COUNT)
    assert set(by_source(found, Source.REPEAT)) == set(found.rows) & set(user.item_rows.tolist())
    assert len(by_source(found, Source.REPEAT)) > 20
    nothing_else = np.zeros(shop.manifest.item_count, dtype=np.bool_)
    nothing_else[user.item_rows] = shop.arrays.available[user.item_rows]
    assert set(retriever.retrieve(user, COUNT, nothing_else).sources) == {Source.REPEAT}


def test_new_items_get_a_place(shop, retriever):
    found = retriever.retrieve(someone(shop, 6), COUNT)
    newest = set(np.flatnonzero(shop.arrays.first_seen_ms > shop.manifest.cutoff_ms - 14 * 86_400_000))
    assert len(newest) == 5
    assert newest <= set(found.rows)
    assert set(by_source(found, Source.FRESH)) <= newest


def test_what_came_by_the_users_own_past_serves_its_nearest_interest_and_what_is_popular_serves_none(shop, retriever):
    user = someone(shop, 7)
    found = retriever.retrieve(user, COUNT)
    own = np.isin(found.sources, [Source.INTEREST, Source.NEIGHBOUR, Source.REPEAT])
    expected = (shop.arrays.item_vectors[found.rows] @ user.vectors.interests.T).argmax(axis=1)
    served = retriever.served(user, found.rows, found.sources)
    assert served[own].tolist() == expected[own].tolist()
    assert (served[~own] == -1).all()
    assert set(served[own]) == {0, 1, 2, 3}


def test_interests_are_counted_from_the_largest_share_whatever_the_encoders_order(shop, retriever):
    user = someone(shop, 8)
    flipped = replace(user.vectors, interests=user.vectors.interests[::-1], shares=user.vectors.shares[::-1])
    other = replace(user, vectors=flipped)
    found, again = retriever.retrieve(user, COUNT), retriever.retrieve(other, COUNT)
    assert found.rows.tolist() == again.rows.tolist()
    served = [retriever.served(each, found.rows, found.sources).tolist() for each in (user, other)]
    assert served[0] == served[1]


def test_a_small_interest_keeps_room(shop, retriever):
    user = someone(shop, 9, interests=2)
    lopsided = replace(user.vectors, shares=np.array([0.99, 0.01], dtype=np.float32))
    found = retriever.retrieve(replace(user, vectors=lopsided), COUNT)
    nearest = np.argsort(-np.where(shop.arrays.available, shop.arrays.item_vectors @ lopsided.interests[1], -2))[:12]
    assert set(nearest) <= set(found.rows)


def test_a_cold_user_gets_recent_popular_items_of_every_topic(shop, retriever):
    cold = someone(shop, 10, had=0, recent=0, interests=0)
    found = retriever.retrieve(cold, COUNT)
    topics = main_topics(Mixes(shop.arrays.item_topic_ids, shop.arrays.item_topic_shares))
    assert set(topics[found.rows]) == set(range(shop.manifest.topic_count))
    assert set(found.sources) == {Source.POPULAR, Source.FRESH}
    assert (retriever.served(cold, found.rows, found.sources) == -1).all()
    for topic in range(shop.manifest.topic_count):
        members = np.flatnonzero((topics == topic) & shop.arrays.available)
        assert members[shop.arrays.recent_popularity[members].argmax()] in found.rows


def test_a_cold_user_with_most_of_the_popular_taken_gets_the_next(shop, retriever):
    allowed = shop.arrays.available.copy()
    allowed[np.argsort(-shop.arrays.recent_popularity)[:2400]] = False
    found = retriever.retrieve(someone(shop, 10, had=0, recent=0, interests=0), COUNT, allowed)
    assert len(found.rows) >= COUNT
    assert allowed[found.rows].all()


def test_all_of_a_narrow_choice_are_candidates(shop, retriever):
    allowed = np.zeros(shop.manifest.item_count, dtype=np.bool_)
    allowed[np.flatnonzero(shop.arrays.available)[100:160]] = True
    found = retriever.retrieve(someone(shop, 11), COUNT, allowed)
    assert found.rows.tolist() == np.flatnonzero(allowed).tolist()


def test_the_plain_function_finds_what_the_prepared_one_finds(shop, retriever):
    user = someone(shop, 12)
    assert retrieve(shop, user, COUNT).rows.tolist() == retriever.retrieve(user, COUNT).rows.tolist()
