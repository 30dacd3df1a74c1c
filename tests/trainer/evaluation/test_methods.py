"""Other methods of diversifying, each at the strength that validation keeps."""

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.profile import Profile
from interests.state import InterestState
from ranking.diversify import METHODS
from ranking.query import Query
from ranking.recommend import Ranker
from tests.support.catalogue import catalogue, someone
from trainer.evaluation.methods import COMPARED, STRENGTHS, TICKS, choose_strengths
from trainer.states import Case

USERS = 12


@pytest.fixture(scope="module")
def shop() -> Bundle:
    return catalogue()


@pytest.fixture(scope="module")
def people(shop: Bundle) -> list[Profile]:
    return [someone(shop, seed) for seed in range(USERS)]


def cases(answers: list[list[int]]) -> list[Case]:
    return [Case(n, InterestState(f"u{n}"), np.array(rows, dtype=np.int32)) for n, rows in enumerate(answers)]


def test_where_only_the_most_relevant_is_wanted_no_method_may_go_far(shop: Bundle, people: list[Profile]) -> None:
    ranker, ticks = Ranker(shop), []
    wanted = [ranker.choose(one, Query(size=10, diversity=0.0)).chosen.rows.tolist() for one in people]
    found = choose_strengths(shop, cases(wanted), people, lambda: ticks.append(1))
    assert set(found) == set(COMPARED) < set(METHODS)
    assert len(ticks) == TICKS
    assert max(found[method] for method in ("dpp", "msd", "steck")) < 0.1


def test_where_anything_is_wanted_all_of_them_may_go_all_the_way(shop: Bundle, people: list[Profile]) -> None:
    everything = list(range(shop.manifest.item_count))
    assert set(choose_strengths(shop, cases([everything] * USERS), people).values()) == {STRENGTHS[-1]}
