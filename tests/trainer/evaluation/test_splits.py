"""Protocols: what teaches, what chooses and what is reported on never mix."""

import numpy as np
import pytest

from interests.errors import HistoryRejected
from interests.events import Action
from tests.trainer.build import events
from trainer.evaluation.splits import (
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    last_basket,
    last_out,
    natural,
    prequential,
    split,
    time_split,
)


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


def test_last_out_takes_single_events_and_breaks_ties_by_their_place_in_the_file() -> None:
    known = events([(0, 1, 0), (0, 2, 5), (0, 3, 5), (0, 4, 5), (1, 1, 0), (1, 2, 1)])
    assert last_out(known).tolist() == [TRAIN, TRAIN, VALIDATION, TEST, TRAIN, TRAIN]


def test_what_speaks_for_nothing_is_nobodys_answer() -> None:
    known = events([(0, item, float(item)) for item in range(6)])
    known.actions[[2, 5]] = Action.IMPRESSION, Action.DISLIKE
    assert last_out(known).tolist() == [TRAIN, TRAIN, TRAIN, VALIDATION, TEST, TEST]
    assert last_basket(known).tolist() == last_out(known).tolist()


def test_a_time_split_is_one_moment_for_everybody_and_cuts_no_time_in_two() -> None:
    rng = np.random.default_rng(1)
    known = events([(int(rng.integers(30)), int(rng.integers(9)), float(rng.integers(40))) for _ in range(800)])
    part = time_split(known)
    last = [known.times_ms[part == which].max() for which in (TRAIN, VALIDATION)]
    first = [known.times_ms[part == which].min() for which in (VALIDATION, TEST)]
    assert last[0] < first[0]
    assert last[1] < first[1]
    assert np.mean(part == TRAIN) == pytest.approx(0.8, abs=0.05)
    assert np.mean(part == TEST) == pytest.approx(0.1, abs=0.05)


def test_prequential_learns_from_the_first_half_alone() -> None:
    known = events([(item % 7, item, float(item)) for item in range(100)])
    part = prequential(known)
    assert known.times_ms[part == TEST].min() == np.sort(known.times_ms)[50]
    assert (np.count_nonzero(part == TRAIN), np.count_nonzero(part == VALIDATION)) == (40, 10)


@pytest.mark.parametrize("protocol", SPLITS)
def test_a_history_of_one_moment_is_refused_in_one_line(protocol: str) -> None:
    known = events([(user, item, 0.0) for user in range(3) for item in range(1)])
    with pytest.raises(HistoryRejected, match=f"--protocol {protocol}: needs"):
        split(known, protocol)  # type: ignore[arg-type]


def test_a_history_whose_moments_mostly_hold_one_event_is_measured_by_events_and_baskets_by_baskets() -> None:
    assert natural(events([(0, 1, 0), (0, 2, 1), (0, 3, 2), (0, 4, 2)])) == "last-out"
    assert natural(events([(0, 1, 0), (0, 2, 0), (0, 3, 2), (0, 4, 2)])) == "last-basket"
