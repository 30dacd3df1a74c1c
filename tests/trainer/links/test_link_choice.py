"""Links are chosen by what they are for: histories whose order tells get nearness, others get the whole past."""

import numpy as np

from tests.trainer.build import events
from trainer.links.link_choice import RIDGES, choose_links


def walks() -> tuple[list[tuple[int, int, float]], dict[int, np.ndarray]]:
    """Users who walk along a ring of items."""
    rng = np.random.default_rng(0)
    rows, after = [], {}
    for user in range(150):
        start = int(rng.integers(40))
        path = [(start + step) % 40 for step in range(14)]
        rows += [(user, item, float(day)) for day, item in enumerate(path[:13])]
        after[user] = np.array([path[13]])
    return rows, after


def tastes(users: int = 200) -> tuple[list[tuple[int, int, float]], dict[int, np.ndarray]]:
    """Users with three of twelve tastes, who take any of their items at any time."""
    rng = np.random.default_rng(0)
    rows, after = [], {}
    for user in range(users):
        mine = rng.choice(12, 3, replace=False)
        path = rng.permutation([8 * taste + item for taste in mine for item in range(8)])[:20]
        rows += [(user, int(item), float(day)) for day, item in enumerate(path[:16])]
        after[user] = path[16:]
    return rows, after


def test_where_order_tells_recent_items_ask_loudest() -> None:
    rows, after = walks()
    found = choose_links(events(rows, items=40), after)
    assert found.rule.lasting < 1.0
    assert found.rule.transition_half_life <= 3.0
    assert found.report["transition"] > 0.8


def test_where_order_says_nothing_the_past_asks_as_a_whole() -> None:
    rows, after = tastes()
    rule = choose_links(events(rows, items=96), after).rule
    assert rule.neighbour_half_life >= 7.0 or rule.neighbour_had > 0
    assert rule.transition_half_life >= 7.0


def test_links_of_few_users_are_held_back_less() -> None:
    rows, after = tastes(users=50)
    assert choose_links(events(rows, items=96), after).rule.ridge == min(RIDGES) < 50


def test_without_anything_to_choose_by_the_rule_is_the_usual_one() -> None:
    rows, _ = walks()
    assert choose_links(events(rows, items=40), {}).report == {"neighbour": 0.0, "transition": 0.0}
