"""How far weights are trusted for newcomers is what validation says of them."""

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.profile import Profile
from interests.state import InterestState
from ranking.query import Query
from ranking.recommend import Ranker
from tests.support.catalogue import catalogue, someone
from trainer.parts import with_manifest
from trainer.states import Case
from trainer.weights.newcomers import KNOWN_ITEMS, choose_known_items

SIZE = 10


@pytest.fixture(scope="module")
def shop() -> Bundle:
    return catalogue()


@pytest.fixture(scope="module")
def people(shop: Bundle) -> list[Profile]:
    return [someone(shop, seed, had=4, recent=4) for seed in range(20)]


def choices(shop: Bundle, people: list[Profile], known: int) -> list[Case]:
    """Who turns to what a shop would show that trusts its weights from that many items on."""
    ranker = Ranker(with_manifest(shop, {"known_items": known}))
    slates = [ranker.recommend(one, Query(size=SIZE, diversity=0.0)).items for one in people]
    wanted = [np.array([shop.row_of[item.item_id] for item in slate], dtype=np.int32) for slate in slates]
    return [Case(n, InterestState(f"u{n}"), np.sort(rows)) for n, rows in enumerate(wanted)]


@pytest.mark.parametrize("known", [2, 20])
def test_who_follows_their_own_few_acts_is_taken_at_them_and_who_follows_the_crowd_is_not(
    shop: Bundle, people: list[Profile], known: int
) -> None:
    found, report = choose_known_items(shop, choices(shop, people, known), people, [])
    assert found == known
    assert set(report) == {str(one) for one in KNOWN_ITEMS}


def test_where_it_makes_no_difference_a_newcomer_is_not_taken_at_their_word(shop: Bundle) -> None:
    old = [someone(shop, seed, had=60) for seed in range(5)]
    assert choose_known_items(shop, choices(shop, old, 0), old, [])[0] == max(KNOWN_ITEMS)
