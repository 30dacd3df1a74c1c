"""The history as arrays, weighed as states weigh."""

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
from trainer.data import encode, faded_strengths, positive
from trainer.evaluation.splits import TEST, last_basket
from trainer.states import absorb_users


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
