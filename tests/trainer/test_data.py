"""The history as arrays: split by timestamp group, weighed as states weigh."""

from pathlib import Path

import numpy as np
import pytest

from interests.absorb import DEFAULT_RULE, faded_weight
from interests.errors import HistoryRejected
from interests.events import Action
from interests.history import read_interactions
from tests.support import planted_history
from tests.trainer.build import events
from trainer.catalogue import read_catalogue
from trainer.data import TEST, TRAIN, VALIDATION, encode, faded_strengths, last_basket, positive
from trainer.states import absorb_users


def test_the_last_group_is_the_test_and_the_one_before_it_validation_whole() -> None:
    known = events([(0, 1, 0), (0, 2, 5), (0, 3, 5), (0, 4, 9), (0, 5, 9), (0, 6, 9)])
    assert last_basket(known).tolist() == [TRAIN, VALIDATION, VALIDATION, TEST, TEST, TEST]


def test_users_with_fewer_than_three_groups_are_learned_from_only() -> None:
    known = events([(0, 1, 0), (0, 2, 1), (1, 1, 0), (1, 2, 1), (1, 3, 2)])
    assert last_basket(known).tolist() == [TRAIN, TRAIN, TRAIN, VALIDATION, TEST]


def test_no_group_is_in_two_parts() -> None:
    rng = np.random.default_rng(3)
    rows = [(int(rng.integers(20)), int(rng.integers(50)), float(rng.integers(12))) for _ in range(600)]
    known = events(rows)
    part = last_basket(known)
    for group in np.unique(known.groups):
        assert len(set(part[known.groups == group].tolist())) == 1


def test_weights_are_those_that_a_state_would_hold() -> None:
    rows = [(0, 1, 0.0), (0, 1, 40.0), (0, 2, 90.0), (0, 3, 90.0)]
    known = events(rows)
    state = absorb_users(known, [f"i{row}" for row in range(known.item_count)], [0])[0]
    sums = np.bincount(known.items, weights=faded_strengths(known))
    half_life = DEFAULT_RULE.half_life_days[Action.PURCHASE]
    for (item_id, _), faded in state.memories.items():
        assert sums[int(item_id[1:])] == pytest.approx(faded_weight(faded, state.last_event_ms, half_life))


def test_absorbing_in_two_steps_gives_the_state_of_one() -> None:
    known = events([(0, 1, 0), (0, 2, 1), (0, 3, 2), (0, 4, 3)])
    ids = [f"i{row}" for row in range(known.item_count)]
    part = last_basket(known)
    first = absorb_users(known.where(part != TEST), ids, [0])
    assert absorb_users(known.where(part == TEST), ids, [0], first) == absorb_users(known, ids, [0])


def test_a_history_of_dislikes_alone_is_refused() -> None:
    known = events([(0, 1, 0)])
    known.actions[:] = Action.DISLIKE
    with pytest.raises(HistoryRejected, match="dislikes alone"):
        positive(known)


def test_encoded_events_are_the_history_row_by_row(tmp_path: Path) -> None:
    interactions, items = planted_history.write(tmp_path, users=5)
    history = read_interactions(interactions)
    catalogue = read_catalogue(items, history.frame["item_id"].unique().to_list())
    coded = encode(history, catalogue)
    ids, people = catalogue.item_ids, coded.user_ids
    rows = zip(coded.users.tolist(), coded.items.tolist(), coded.times_ms.tolist(), strict=True)
    assert sorted((people[u], ids[i], t) for u, i, t in rows) == sorted(
        history.frame.select("user_id", "item_id", "time_ms").iter_rows()
    )
