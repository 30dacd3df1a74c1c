"""What is popular, and what people begin with."""

import numpy as np
import pytest

from tests.trainer.build import events
from trainer.links.popularity import debuts, recent_counts


def test_only_the_first_act_of_a_user_with_an_item_is_a_debut() -> None:
    found = debuts(events([(0, 0, 1.0), (0, 0, 2.0), (0, 1, 3.0), (1, 0, 4.0), (1, 0, 5.0)]))
    assert list(zip(found.users.tolist(), found.items.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0)]
    assert np.diff(found.times_ms[:2]) > 0


def test_milk_that_everybody_has_is_popular_and_what_many_now_begin_with_is_a_debut() -> None:
    milk = [(user, 0, float(day)) for user in range(20) for day in range(0, 100, 5)]
    novelty = [(user, 1, 99.0) for user in range(5)]
    log = events(milk + novelty)
    assert recent_counts(log)[0] > recent_counts(log)[1]
    assert recent_counts(debuts(log))[1] > recent_counts(debuts(log))[0]


def test_where_nothing_comes_twice_every_act_is_a_debut() -> None:
    films = events([(user, item, float(user + item)) for user in range(4) for item in range(3)])
    assert recent_counts(debuts(films)) == pytest.approx(recent_counts(films))
