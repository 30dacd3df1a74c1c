"""Weights of cold items are asked of what came later, and what came later is in nobody's state."""

from pathlib import Path

import numpy as np
import pytest

from interests import bundle as bundles
from tests.support import tiny_bundle
from tests.trainer.build import catalogue, events
from trainer.content.content import features
from trainer.data import Events
from trainer.states import Case, absorb_users
from trainer.weights import cold_weights
from trainer.weights.chilled import pseudo_cold
from trainer.weights.cold_weights import DRAWS, TICKS, choose_cold, later_half

ITEMS = tiny_bundle.TOPICS * tiny_bundle.ITEMS_A_TOPIC


def faithful() -> Events:
    """Users who keep to one topic of the tiny bundle."""
    rng = np.random.default_rng(0)
    rows = [
        (user, tiny_bundle.ITEMS_A_TOPIC * (user % 3) + int(item), float(day))
        for user in range(30)
        for day, item in enumerate(rng.permutation(tiny_bundle.ITEMS_A_TOPIC)[:12])
    ]
    return events(rows, items=ITEMS)


@pytest.mark.parametrize(("answers", "draws"), [(1, 1), (10_000, DRAWS)])
def test_items_are_drawn_until_there_are_answers_enough(
    answers: int, draws: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def counting(described: object, counts: object, seed: int) -> object:
        drawn.append(seed)
        return pseudo_cold(described, counts, seed)  # type: ignore[arg-type]

    monkeypatch.setattr(cold_weights, "ANSWERS", answers)
    monkeypatch.setattr(cold_weights, "pseudo_cold", counting)
    bundle, known, ticks = bundles.load(tiny_bundle.write(tmp_path)), faithful(), list[int]()
    described = features(catalogue([[f"topic-{row // tiny_bundle.ITEMS_A_TOPIC}"] for row in range(ITEMS)]))
    states = absorb_users(known, bundle.item_ids, range(30))
    cases = [Case(user, states[user], np.array([20 * (user % 3)], dtype=np.int32)) for user in range(30)]
    found = choose_cold(bundle, known, described, cases, 0, lambda: ticks.append(1))
    assert found.weights
    assert set(drawn) == set(range(draws))
    assert len(ticks) == TICKS


def test_the_later_half_begins_with_the_middle_group_of_each_user() -> None:
    four = [(0, item, float(day)) for item, day in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 3))]
    three = [(1, item, float(day)) for item, day in ((1, 0), (2, 5), (3, 9))]
    found = later_half(events([*four, *three, (2, 7, 0.0)]))
    assert found.tolist() == [False, False, False, True, True, False, True, True, True]


def test_it_is_the_same_where_some_of_the_events_are_left_out() -> None:
    known = events([(user, item, float(item)) for user in range(3) for item in range(6)])
    some = known.where(np.arange(18) % 6 != 0)
    assert later_half(some).reshape(3, 5).tolist() == [[False, False, True, True, True]] * 3
