"""How large cold items' weights are is what users make of new items, and never more than known ones can bear."""

from dataclasses import replace

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.profile import Profile
from interests.state import InterestState
from ranking.score import relevance
from tests.support.catalogue import catalogue, someone
from trainer.parts import with_manifest
from trainer.states import Case
from trainer.weights.cold_weights import NDCG_KEPT, SCALES, choose_scale

COLD = np.arange(0, 600, 5)
LEARNED = {"interest": 1.0}


@pytest.fixture(scope="module")
def shop() -> Bundle:
    """A fifth of 600 items nobody ever turned to; of all, the interests say most."""
    made = catalogue(items=600, topics=10)
    popularity = made.arrays.popularity.copy()
    popularity[COLD] = 0.0
    arrays = replace(made.arrays, popularity=popularity, recent_popularity=popularity)
    weights = {"signal_weights": {"interest": 1.0, "popularity": 0.5}, "known_items": 0}
    return with_manifest(replace(made, arrays=arrays), weights)


@pytest.fixture(scope="module")
def people(shop: Bundle) -> list[Profile]:
    return [someone(shop, seed, had=20) for seed in range(40)]


def turning_to(shop: Bundle, people: list[Profile], cold: bool) -> list[Case]:
    """Who turns to the three best of the known items, or of the new ones."""
    among = COLD if cold else np.setdiff1d(np.arange(600), COLD)
    cases = []
    for at, one in enumerate(people):
        rows = np.setdiff1d(among[shop.arrays.available[among]], one.item_rows)
        best = rows[np.argsort(-relevance(shop, one, rows))[:3]]
        cases.append(Case(at, InterestState(f"u{at}"), np.sort(best).astype(np.int32)))
    return cases


def test_where_nobody_turns_to_new_items_they_stand_behind_known_ones(shop: Bundle, people: list[Profile]) -> None:
    scale, report = choose_scale(shop, LEARNED, COLD, turning_to(shop, people, cold=False), people, 0.0)
    assert scale < max(SCALES)
    assert report[f"{scale:g}"] >= NDCG_KEPT * max(report.values())
    assert report[f"{max(SCALES):g}"] < NDCG_KEPT * max(report.values())


def test_where_all_turn_to_new_items_they_stand_before_known_ones(shop: Bundle, people: list[Profile]) -> None:
    scale, report = choose_scale(shop, LEARNED, COLD, turning_to(shop, people, cold=True), people, 1.0)
    assert scale == max(SCALES)
    assert report["1.5"] > report["0.25"]


def test_answers_that_are_rare_in_truth_count_little_however_many_there_are(
    shop: Bundle, people: list[Profile]
) -> None:
    warm, cold = (turning_to(shop, people, of) for of in (False, True))
    both = [replace(w, relevant=np.union1d(w.relevant, c.relevant)) for w, c in zip(warm, cold, strict=True)]
    rare, _ = choose_scale(shop, LEARNED, COLD, both, people, 0.01)
    often, _ = choose_scale(shop, LEARNED, COLD, both, people, 0.9)
    assert rare == choose_scale(shop, LEARNED, COLD, warm, people, 0.0)[0] < often


def test_what_a_user_had_is_in_nobodys_way_where_it_is_hidden(shop: Bundle, people: list[Profile]) -> None:
    filtering = with_manifest(shop, {"repeats_default": "filter"})
    asked = turning_to(shop, people, cold=False)
    hidden, shown = (choose_scale(one, LEARNED, COLD, asked, people, 0.0)[1]["0.25"] for one in (filtering, shop))
    assert hidden > shown
