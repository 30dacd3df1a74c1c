"""Why: interests named by what they are made of, items by what brought them."""

from dataclasses import replace

import numpy as np
import pytest

from interests.events import Action
from interests.profile import profile as read_profile
from ranking.explain import named_interests
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.slate import Source
from tests.ranking.conftest import Person
from tests.support.catalogue import catalogue, someone
from tests.support.people import NOW_MS, profile_of, state_of
from tests.support.tiny_bundle import item


def with_interests(profile, rows, shares, bundle):
    vectors = replace(
        profile.vectors,
        interests=bundle.arrays.item_vectors[np.array(rows, dtype=np.int64)],
        shares=np.array(shares, dtype=np.float32),
    )
    return replace(profile, vectors=vectors)


def test_each_interest_is_named_by_its_topic_and_explained_by_the_strongest_of_its_items(bundle, ada):
    rows = [bundle.row_of[item(2, 0)], bundle.row_of[item(0, 0)], bundle.row_of[item(4, 0)]]
    named = named_interests(bundle, with_interests(ada, rows, [0.3, 0.5, 0.2], bundle))
    assert [each.index for each in named] == [0, 1, 2]
    assert [each.topic for each in named] == ["topic-0", "topic-2", "topic-4"]
    assert [each.share for each in named] == pytest.approx([0.5, 0.3, 0.2])
    assert len(named[0].causes) == 5
    assert {cause.item_id for cause in named[1].causes} == {item(2, 1), item(2, 5)}
    assert [cause.item_id for cause in named[2].causes] == [item(4, 3)]


@pytest.mark.parametrize("count", [0, 1, 2, 6])
def test_any_number_of_interests_is_explained(bundle, ada, count):
    rows = [bundle.row_of[item(topic, 2)] for topic in range(count)]
    user = with_interests(ada, rows, [1 / max(count, 1)] * count, bundle)
    named = named_interests(bundle, user)
    assert len(named) == count
    assert all(each.topic for each in named)
    explained = {cause.item_id for each in named for cause in each.causes}
    assert explained <= {bundle.item_ids[row] for row in user.item_rows}
    if count:
        assert explained


def one_vector(profile, bundle):
    """The same user through an encoder of one vector."""
    vectors = with_interests(profile, [bundle.row_of[item(0, 1)]], [1.0], bundle).vectors
    state = state_of(
        [
            (bundle.item_ids[row], Action(int(action)))
            for row, action in zip(profile.recent_rows, profile.recent_actions, strict=True)
        ]
    )
    return read_profile(state, bundle, vectors)


def test_one_vector_is_told_apart_by_the_topics_that_the_user_lives_in(bundle, ada):
    user = one_vector(ada, bundle)
    named = named_interests(bundle, user)
    assert len(named) > 1
    assert len({each.topic for each in named}) == len(named)
    assert sum(each.share for each in named) == pytest.approx(1.0)
    assert [each.share for each in named] == sorted((each.share for each in named), reverse=True)
    assert named[0].topic == bundle.topic_names[int(user.anchor.argmax())]
    for each in named:
        assert each.causes
        topic = each.topic.removeprefix("topic-")
        assert {cause.item_id for cause in each.causes} <= {item(int(topic), place) for place in range(10)}


def test_items_of_a_slate_serve_the_interest_of_their_topic_where_there_is_one_vector(bundle, ranker, ada):
    user = one_vector(ada, bundle)
    named = named_interests(bundle, user)
    slate = ranker.recommend(user, Query(size=20, diversity=0.5))
    served = [each.interest for each in slate.items if each.interest is not None and each.interest >= 0]
    assert len(set(served)) > 1
    assert set(served) <= {each.index for each in named}


def test_one_interest_without_topics_takes_all_that_the_user_had(bundle, ada):
    (only,) = named_interests(bundle, with_interests(ada, [bundle.row_of[item(0, 1)]], [1.0], bundle))
    assert only.topic == "topic-0"
    assert [cause.item_id for cause in only.causes] == [bundle.item_ids[row] for row in ada.item_rows[:5]]


def test_an_interest_that_nothing_belongs_to_takes_the_nearest_topic(bundle, ada):
    rows = [bundle.row_of[item(topic, 0)] for topic in (0, 2, 4, 5)]
    named = named_interests(bundle, with_interests(ada, rows, [0.4, 0.3, 0.2, 0.1], bundle))
    assert named[3].topic == "topic-5"
    assert named[3].causes == ()


def test_a_cold_user_has_no_interests(bundle, cold):
    assert named_interests(bundle, cold) == ()


def test_every_cause_is_something_the_user_did(bundle, encoder, ranker):
    acts = [(item(0, 1), Action.VIEW), (item(0, 1), Action.PURCHASE), (item(3, 2), Action.LIKE)]
    acts += [(item(3, 9), Action.DISLIKE), (item(5, 5), Action.CLICK), (item(1, 0), Action.CART)]
    state = state_of(acts)
    times = [NOW_MS - (len(acts) - 1 - place) * 600_000 for place in range(len(acts))]
    did = {(item_id, action, time_ms) for (item_id, action), time_ms in zip(acts, times, strict=True)}
    user = profile_of(bundle, encoder, state)
    slate = ranker.recommend(user, Query(size=60, diversity=0.5))
    causes = [cause for each in (*slate.items, *named_interests(bundle, user)) for cause in each.causes]
    assert causes
    assert {(cause.item_id, cause.action, cause.time_ms) for cause in causes} <= did
    assert item(3, 9) not in {cause.item_id for cause in causes}


def test_each_source_has_the_causes_it_promises():
    shop = catalogue()
    user, ranker = someone(shop, 3), Ranker(shop)
    slate = ranker.recommend(user, Query(size=300, diversity=0.2))
    had = {shop.item_ids[row] for row in user.item_rows}
    assert {each.source for each in slate.items} >= {Source.INTEREST, Source.NEIGHBOUR, Source.REPEAT, Source.POPULAR}
    for each in slate.items:
        causes = [cause.item_id for cause in each.causes]
        assert len(causes) == len(set(causes)) <= 3
        assert set(causes) <= had
        if each.source is Source.REPEAT:
            assert causes == [each.item_id]
        elif each.source is Source.NEIGHBOUR:
            assert causes
            assert all(_links(shop, cause, each.item_id) for cause in causes)
        elif each.source is Source.INTEREST:
            assert causes
        else:
            assert causes == []
            assert each.interest is None


def test_an_item_of_an_interest_is_explained_by_its_nearest_items_of_that_interest(bundle, ranker, person: Person):
    user = person([(item(topic, n), Action.PURCHASE) for topic in (0, 3) for n in range(5)])
    rows = [bundle.row_of[item(topic, 0)] for topic in (0, 3)]
    user = with_interests(user, rows, [0.6, 0.4], bundle)
    slate = ranker.recommend(user, Query(size=60, diversity=0.0))
    explained = [each for each in slate.items if each.source is Source.INTEREST and each.topic == "topic-3"]
    vectors, row_of = bundle.arrays.item_vectors, bundle.row_of
    assert explained
    for each in explained:
        likeness = [float(vectors[row_of[item(3, n)]] @ vectors[row_of[each.item_id]]) for n in range(5)]
        assert each.interest == 1
        assert each.causes[0].item_id == item(3, int(np.argmax(likeness)))


def _links(bundle, cause, item_id):
    row, arrays = bundle.row_of[cause], bundle.arrays
    return bundle.row_of[item_id] in {*arrays.neighbour_rows[row].tolist(), *arrays.transition_rows[row].tolist()}
