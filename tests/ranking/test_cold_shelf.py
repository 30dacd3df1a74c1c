"""Items that nobody ever turned to are found by what the catalogue says of them, at a bounded cost."""

from dataclasses import replace

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.profile import Profile
from ranking import cold_shelf
from ranking.cold_shelf import ColdShelf
from ranking.recommend import Query, Ranker
from ranking.retrieve import Retriever
from ranking.topics import Mixes, main_topics
from tests.support import tiny_bundle

N = tiny_bundle.TOPICS * tiny_bundle.ITEMS_A_TOPIC
NUMBER = np.arange(N) % tiny_bundle.ITEMS_A_TOPIC
COLD = np.flatnonzero(NUMBER >= 15)  # five of each topic


@pytest.fixture(scope="module")
def stocked(bundle: Bundle) -> Bundle:
    """The last items of each topic were never turned to; each item says its topic."""
    arrays = bundle.arrays
    popularity = np.where(NUMBER >= 15, 0.0, arrays.popularity).astype(np.float32)
    return replace(
        bundle,
        manifest=bundle.manifest.model_copy(update={"cold_weights": {"content": 1.0}}),
        arrays=replace(
            arrays,
            popularity=popularity,
            recent_popularity=popularity,
            content_ids=arrays.item_topic_ids,
            content_weights=np.ones((N, 1), dtype=np.float32),
        ),
    )


def shelf(bundle: Bundle) -> ColdShelf:
    return ColdShelf(bundle, main_topics(Mixes(bundle.arrays.item_topic_ids, bundle.arrays.item_topic_shares)))


ALL = np.ones(N, dtype=np.bool_)


def test_only_items_that_nobody_turned_to_are_on_it_and_those_that_fit_come(stocked: Bundle, ada: Profile) -> None:
    found = shelf(stocked).table(ada, ALL).find(5)
    assert set(found.tolist()) == {row for row in COLD if row < 20}, "ada has most of topic 0"


def test_what_is_not_allowed_is_not_found(stocked: Bundle, ada: Profile) -> None:
    allowed = ALL.copy()
    allowed[:20] = False
    found = shelf(stocked).table(ada, allowed).find(5)
    assert len(found)
    assert (found >= 20).all()


def test_what_does_not_fit_at_all_is_not_found_however_many_are_asked_for(stocked: Bundle, ada: Profile) -> None:
    topics = set((shelf(stocked).table(ada, ALL).find(N) // 20).tolist())
    assert topics == {0, 2, 4}


def test_of_a_large_shelf_the_topics_of_the_user_are_looked_at(
    stocked: Bundle, ada: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cold_shelf, "LOOKED_AT", 10)
    found = shelf(stocked).table(ada, ALL).find(N)
    assert {0} <= set((found // 20).tolist()) <= {0, 2, 4}
    assert len(found) <= 15


def test_who_has_just_come_gets_nothing_from_it(stocked: Bundle, cold: Profile) -> None:
    assert not len(shelf(stocked).table(cold, ALL).find(5))


def test_a_bundle_without_weights_for_such_items_has_none(bundle: Bundle, ada: Profile) -> None:
    assert not len(shelf(bundle).table(ada, ALL).find(5))


def test_retrieval_narrowed_to_a_few_still_returns_all_of_them(stocked: Bundle, ada: Profile) -> None:
    allowed = np.zeros(N, dtype=np.bool_)
    allowed[COLD] = True
    assert Retriever(stocked).retrieve(ada, 200, allowed).rows.tolist() == COLD.tolist()
    assert len(Retriever(stocked).retrieve(ada, 10, allowed).rows) >= 10


def test_a_slate_of_such_items_alone_is_led_by_those_that_fit(stocked: Bundle, ada: Profile) -> None:
    available = np.zeros(N, dtype=np.bool_)
    available[COLD] = True
    only = replace(stocked, arrays=replace(stocked.arrays, available=available))
    slate = Ranker(only).recommend(ada, Query(size=5, diversity=0.0))
    assert {only.row_of[item.item_id] // 20 for item in slate.items} == {0}
