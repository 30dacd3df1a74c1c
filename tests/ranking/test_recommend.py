"""From a profile to a slate."""

from dataclasses import replace

import numpy as np
import pytest

from interests.errors import InvalidRequest
from interests.events import Action
from ranking.diversify import METHODS
from ranking.pick import CANDIDATES_MIN
from ranking.query import SIZE_MAX, Query
from ranking.recommend import Ranker
from ranking.retrieve import retrieve
from ranking.score import relevance
from ranking.slate import Relaxation, Source
from tests.support.catalogue import catalogue, someone
from tests.support.tiny_bundle import ITEMS_A_TOPIC, TOPICS, item


def ids(slate):
    return [each.item_id for each in slate.items]


def test_the_same_question_gets_the_same_slate_from_any_ranker(bundle, ranker, ada):
    assert ranker.recommend(ada, Query()) == Ranker(bundle).recommend(ada, Query())


def test_the_slate_id_names_user_state_and_question(ranker, ada):
    base = ranker.recommend(ada, Query())
    others = [
        ranker.recommend(replace(ada, user_id="bob"), Query()),
        ranker.recommend(replace(ada, state_version=ada.state_version + 1), Query()),
        ranker.recommend(ada, Query(size=19)),
        ranker.recommend(ada, Query(diversity=0.2)),
        ranker.recommend(ada, Query(repeats="allow")),
        ranker.recommend(ada, Query(exclude_items=frozenset({"a"}))),
        ranker.recommend(ada, Query(only_categories=frozenset({"topic-0"}))),
        ranker.recommend(ada, Query(exclude_categories=frozenset({"topic-0"}))),
        ranker.recommend(ada, Query(), frozenset({"a"})),
    ]
    assert len({base.slate_id, *(slate.slate_id for slate in others)}) == len(others) + 1
    assert base.slate_id == ranker.recommend(ada, Query()).slate_id


def test_callers_without_an_id_have_slates_of_their_own(ranker, person):
    one, other = person([(item(0, 1), Action.VIEW)]), person([(item(3, 1), Action.VIEW)])
    slates = [ranker.recommend(replace(each, user_id=""), Query()) for each in (one, other)]
    assert slates[0].slate_id != slates[1].slate_id


def test_a_slate_says_whose_it_is_and_what_it_was_made_with(bundle, ranker, ada):
    slate = ranker.recommend(ada, Query(size=7, diversity=0.4))
    assert (slate.user_id, slate.state_version, slate.bundle_version) == ("ada", ada.state_version, bundle.version)
    assert slate.diversity == 0.4
    assert len(slate.items) == 7
    assert sum(share for _, share in slate.mix) == pytest.approx(1.0, abs=1e-5)
    assert sum(share for _, share in slate.target_mix) == pytest.approx(1.0, abs=1e-5)
    assert slate.calibration_kl >= 0


def test_a_slate_names_at_most_sixteen_topics_largest_first():
    shop = catalogue()
    slate = Ranker(shop).recommend(someone(shop, 1), Query(size=100))
    for mix in (slate.mix, slate.target_mix):
        shares = [share for _, share in mix]
        assert len(mix) == 16
        assert shares == sorted(shares, reverse=True)


def test_without_diversity_the_most_relevant_candidates_come_in_order():
    shop = catalogue()
    for seed in range(5):
        user = someone(shop, seed)
        slate = Ranker(shop).recommend(user, Query(size=30, diversity=0.0))
        rows = retrieve(shop, user, CANDIDATES_MIN).rows
        rows = rows[~np.isin(rows, user.blocked_rows)]
        best = rows[np.argsort(-relevance(shop, user, rows), kind="stable")[:30]]
        assert ids(slate) == [shop.item_ids[row] for row in best]


@pytest.mark.parametrize("dial", [0.0, 0.5, 1.0, None])
def test_items_come_by_falling_score(ranker, ada, dial):
    scores = [each.score for each in ranker.recommend(ada, Query(diversity=dial)).items]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("size", [1, 20, 119, SIZE_MAX])
def test_a_slate_has_the_size_asked_for_or_says_that_the_catalogue_ended(ranker, ada, size):
    slate = ranker.recommend(ada, Query(size=size))
    most = TOPICS * ITEMS_A_TOPIC - 1  # one is disliked
    assert len(set(ids(slate))) == len(slate.items) == min(size, most)
    assert (Relaxation.SIZE in slate.relaxed) == (size > most)


def test_interests_that_relevance_alone_would_lose_stay_in_the_slate(ranker, person):
    small = [(item(topic, n), Action.PURCHASE) for topic in (2, 3, 4) for n in range(2)]
    user = person([*small, *((item(0, n), Action.PURCHASE) for n in range(14))])
    plain, default = (ranker.recommend(user, Query(diversity=dial)) for dial in (0.0, None))
    own = {f"topic-{topic}" for topic in (0, 2, 3, 4)}
    assert own <= {topic for topic, _ in default.mix}
    assert not own <= {topic for topic, _ in plain.mix}
    assert default.calibration_kl < plain.calibration_kl / 2


def test_a_wider_dial_comes_closer_to_the_users_mix(ranker, ada):
    kls = [ranker.recommend(ada, Query(diversity=dial)).calibration_kl for dial in (0.0, 0.3, 1.0)]
    assert kls[0] > kls[1] >= kls[2]


def test_what_was_lately_shown_too_much_gives_way(ranker, ada):
    shown = np.zeros_like(ada.anchor)
    shown[0] = 1.0
    tired = replace(ada, exposure_mix=shown, exposure_weight=60.0)
    shares = [dict(ranker.recommend(each, Query(diversity=0.3)).mix).get("topic-0", 0.0) for each in (ada, tired)]
    assert shares[1] < shares[0]


def test_a_cold_user_gets_recent_popular_items_spread_over_topics(bundle, ranker, cold):
    slate = ranker.recommend(cold, Query(size=12))
    assert {each.topic for each in slate.items} == {f"topic-{topic}" for topic in range(TOPICS)}
    assert slate.items[0].item_id == item(0, 0)
    assert all(bundle.row_of[each.item_id] % ITEMS_A_TOPIC < 4 for each in slate.items)
    assert {each.source for each in slate.items} == {Source.POPULAR}
    assert all(each.causes == () and each.interest is None for each in slate.items)


def test_a_user_who_had_only_what_the_bundle_does_not_know_is_cold(ranker, person, cold):
    stranger = person([("not in the catalogue", Action.PURCHASE)])
    assert ids(ranker.recommend(stranger, Query())) == ids(ranker.recommend(cold, Query()))


def test_a_feed_goes_on_where_it_stopped_until_the_catalogue_ends(ranker, ada):
    seen: list[str] = []
    while slate := ids(ranker.recommend(ada, Query(size=25), frozenset(seen))):
        assert not set(slate) & set(seen)
        seen += slate
    assert len(seen) == TOPICS * ITEMS_A_TOPIC - 1


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_any_method_can_stand_in_the_same_place(bundle, ada, method):
    assert len(ids(Ranker(bundle, method).recommend(ada, Query(diversity=0.5)))) == 20


def test_a_catalogue_without_topics_is_served(bundle, ada, cold):
    arrays = replace(
        bundle.arrays,
        item_topic_ids=bundle.arrays.item_topic_ids[:, :0],
        item_topic_shares=bundle.arrays.item_topic_shares[:, :0],
        topic_vectors=bundle.arrays.topic_vectors[:0],
        topic_shares=bundle.arrays.topic_shares[:0],
        topic_names_bytes=bundle.arrays.topic_names_bytes[:0],
        topic_names_offsets=bundle.arrays.topic_names_offsets[:1],
    )
    plain = replace(bundle, arrays=arrays, manifest=bundle.manifest.model_copy(update={"topic_count": 0}))
    nothing = np.zeros(0, dtype=np.float32)
    for user in (ada, cold):
        slate = Ranker(plain).recommend(
            replace(user, anchor=nothing, recent_mix=nothing, exposure_mix=nothing), Query(diversity=0.5)
        )
        assert len(slate.items) == 20
        assert slate.mix == slate.target_mix == ()
        assert all(each.topic == "" for each in slate.items)


def test_similar_items_are_the_nearest_available_ones(bundle, ranker):
    found = ranker.similar(item(2, 3), Query(size=5))
    cosines = bundle.arrays.item_vectors @ bundle.arrays.item_vectors[bundle.row_of[item(2, 3)]]
    cosines[bundle.row_of[item(2, 3)]] = -1
    assert [each.item_id for each in found] == [bundle.item_ids[row] for row in np.argsort(-cosines)[:5]]
    assert [each.score for each in found] == pytest.approx(np.sort(cosines)[::-1][:5].tolist())


def test_similar_items_pass_the_filters_and_a_dial_spreads_them(ranker):
    query = Query(size=10, only_categories=frozenset({"topic-1"}), exclude_items=frozenset({item(1, 0)}))
    found = ranker.similar(item(2, 3), query)
    assert len(found) == 10
    assert {each.topic for each in found} == {"topic-1"}
    assert item(1, 0) not in {each.item_id for each in found}
    near, spread = (ranker.similar(item(2, 3), Query(size=10, diversity=dial)) for dial in (None, 0.9))
    assert len({each.topic for each in near}) < len({each.topic for each in spread})


def test_an_unknown_item_has_nothing_similar(ranker):
    with pytest.raises(InvalidRequest, match="item_id"):
        ranker.similar("no such item", Query())
