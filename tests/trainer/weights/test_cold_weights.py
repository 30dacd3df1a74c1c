"""Weights of cold items are asked of what came later, and what came later is in nobody's state."""

import numpy as np

from tests.trainer.build import events
from trainer.weights.cold_weights import later_half


def test_the_later_half_begins_with_the_middle_group_of_each_user() -> None:
    four = [(0, item, float(day)) for item, day in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 3))]
    three = [(1, item, float(day)) for item, day in ((1, 0), (2, 5), (3, 9))]
    found = later_half(events([*four, *three, (2, 7, 0.0)]))
    assert found.tolist() == [False, False, False, True, True, False, True, True, True]


def test_it_is_the_same_where_some_of_the_events_are_left_out() -> None:
    known = events([(user, item, float(item)) for user in range(3) for item in range(6)])
    some = known.where(np.arange(18) % 6 != 0)
    assert later_half(some).reshape(3, 5).tolist() == [[False, False, True, True, True]] * 3
