"""Room for new interests, by a chance that is told."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.explore import EXPLORED_SHARE, NEW_SHARE, Explored, with_explored
from ranking.query import Query
from ranking.target import target
from ranking.topics import main_topics, mixes_of
from tests.support.tiny_bundle import item


def slates(ranker, user, query, count):
    return [ranker.recommend(replace(user, state_version=version), query) for version in range(count)]


def drawn(slate):
    return [place for place, each in enumerate(slate.items) if each.propensity is not None]


def test_as_often_as_it_says_the_last_place_goes_to_a_topic_the_user_never_had(bundle, ranker, ada):
    mix = target(bundle, ada).mix
    new = {name for name, share in zip(bundle.topic_names, mix, strict=True) if share < NEW_SHARE}
    found = slates(ranker, ada, Query(size=20), 1_000)
    explored = [slate for slate in found if drawn(slate)]
    assert len(explored) / len(found) == pytest.approx(20 * EXPLORED_SHARE, abs=0.03)
    for slate in explored:
        assert drawn(slate) == [19]
        assert slate.items[-1].topic in new
        assert slate.items[-1].propensity == pytest.approx(20 * EXPLORED_SHARE / len(new))
        assert slate.items[-1].causes == ()
    assert {slate.items[-1].topic for slate in explored} == new


def test_the_same_state_and_request_explore_the_same(ranker, ada):
    assert slates(ranker, ada, Query(size=20), 30) == slates(ranker, ada, Query(size=20), 30)


def test_relevance_alone_small_slates_and_cold_users_never_explore(ranker, ada, cold):
    for user, query in ((ada, Query(size=20, diversity=0.0)), (ada, Query(size=4)), (cold, Query(size=20))):
        assert not any(map(drawn, slates(ranker, user, query, 60)))


def test_what_may_not_be_shown_is_not_explored(ranker, ada):
    query = Query(size=20, exclude_categories=frozenset({"topic-1"}), exclude_items=frozenset({item(3, 0)}))
    shown = {slate.items[-1].item_id for slate in slates(ranker, ada, query, 200) if drawn(slate)}
    assert shown
    assert not any(name.startswith("t1-") for name in shown)
    assert item(3, 0) not in shown


def test_a_slate_that_explores_repeats_nothing(ranker, ada):
    for slate in slates(ranker, ada, Query(size=50), 60):
        ids = [each.item_id for each in slate.items]
        assert len(set(ids)) == len(ids) == 50
        scores = np.array([each.score for each in slate.items])
        assert (np.diff(scores) <= 1e-6).all()


def test_no_interest_of_the_user_leaves_a_slate_for_what_chance_draws(bundle, ranker, ada):
    rows = ranker.choose(ada, Query(size=40, diversity=0.5)).chosen
    topics = main_topics(mixes_of(bundle, rows.rows))
    small, large = topics[0], next(topic for topic in topics if topic != topics[0])
    twice = [int(place) for place in np.flatnonzero(topics == large)[:2]]
    chosen = rows.take(np.array(sorted([*twice, int(np.flatnonzero(topics == small)[-1])])))
    found = with_explored(bundle, chosen, Explored(119, 0.1))
    assert found.rows[-1] == 119
    assert len(found) == 3
    assert set(main_topics(mixes_of(bundle, found.rows[:-1])).tolist()) == {small, large}
