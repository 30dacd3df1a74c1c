"""What comes back and what does not."""

import pytest

from tests.trainer.build import events
from trainer.links.repeats import repeat_rates, visit_shares


def test_milk_comes_back_and_a_film_does_not() -> None:
    milk = [(user, 0, float(week)) for user in range(30) for week in range(6)]
    film = [(user, 1, 0.5) for user in range(30)]
    rates = repeat_rates(events(milk + film, items=3))
    assert rates[0] > 0.75
    assert rates[1] < 0.15
    assert rates[1] < rates[2] < rates[0]  # never seen: as typical


def test_twice_in_one_basket_is_no_comeback() -> None:
    rates = repeat_rates(events([(0, 0, 1.0), (0, 0, 1.0), (1, 1, 1.0)]))
    assert rates == pytest.approx([0.0, 0.0])


def test_what_people_come_for_alone_is_a_visit_and_what_goes_with_twenty_others_is_not() -> None:
    fuel = [(user, 0, float(week)) for user in range(30) for week in range(6)]
    butter = [(user, item, week + 0.5) for user in range(30) for week in range(6) for item in range(1, 21)]
    shares = visit_shares(events(fuel + butter, items=22))
    assert shares[0] > 0.9
    assert shares[1] < 0.1
    assert shares[1] < shares[21] < shares[0]  # never seen: as typical


def test_of_single_acts_each_is_a_whole_visit() -> None:
    assert visit_shares(events([(0, 0, 1.0), (0, 0, 1.0), (1, 1, 1.0)])) == pytest.approx([1.0, 1.0])
