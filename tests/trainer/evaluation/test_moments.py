"""Moments: what was known, what came next, and nothing of the second in the first."""

import numpy as np

from interests.events import Action
from tests.trainer.build import DAY_MS, events
from trainer.data import speaks
from trainer.evaluation.moments import asked, first_events, known_since, past, replayed, states_at
from trainer.evaluation.splits import SPLITS, TEST, VALIDATION, last_basket, prequential, time_split
from trainer.evaluation.variants import NEW_ITEMS, NEW_USERS, VARIANTS
from trainer.states import absorb_users

HISTORY = events([(0, 1, 0), (0, 2, 1), (0, 2, 2), (0, 3, 2), (0, 2, 9), (0, 4, 9), (1, 5, 3)])
KNOWN = speaks(HISTORY)
IDS = [f"i{row}" for row in range(HISTORY.item_count)]


def test_a_moment_stands_before_all_that_it_asks_for() -> None:
    rng = np.random.default_rng(2)
    known = events([(int(rng.integers(30)), int(rng.integers(40)), float(rng.integers(60))) for _ in range(900)])
    for split in SPLITS.values():
        part = split(known)
        for which in (VALIDATION, TEST):
            for moment in [*asked(known, part, which, 99, 0), *replayed(known, part, which, 99, 0)]:
                before = slice(moment.start, moment.end)
                assert set(known.users[before].tolist()) <= {moment.user}
                assert (known.times_ms[before] <= moment.time_ms).all()
                after = known.items[moment.end :][known.users[moment.end :] == moment.user]
                assert set(moment.relevant.tolist()) <= set(after.tolist())
                assert len(moment.relevant)


def test_a_replayed_moment_asks_for_one_group_and_knows_all_before_it() -> None:
    known = events([(0, item, float(day)) for day, item in enumerate((1, 2, 3, 4))] + [(0, 5, 3.0), (1, 6, 0.5)])
    moment = replayed(known, prequential(known), TEST, 99, 0)[-1]
    assert (moment.relevant.tolist(), known.items[moment.start : moment.end].tolist()) == ([4, 5], [1, 2, 3])


def test_a_time_split_asks_for_all_of_the_test_period_and_tells_users_without_a_past_apart() -> None:
    rows = [(user, user, float(user)) for user in range(16)]
    rows += [(0, 17, 17.0), (1, 18, 17.5), (0, 18, 18.0), (0, 0, 19.0), (99, 3, 19.0)]
    known = events([(user if user < 99 else 16, item, day) for user, item, day in rows])
    moments = {moment.user: moment for moment in asked(known, time_split(known), TEST, 99, 0)}
    assert moments[0].relevant.tolist() == [0, 18]
    pasts = {user: past(known, speaks(known), moment) for user, moment in moments.items()}
    warm, new, cold = VARIANTS["time-split"]
    assert (new.suffix, cold.suffix) == (NEW_ITEMS, NEW_USERS)
    assert warm.answers(moments[0], pasts[0]).tolist() == [0, 18]
    assert new.answers(moments[0], pasts[0]).tolist() == [18]
    assert new.hidden(pasts[0]).tolist() == [0, 17]
    assert [len(one.answers(moments[16], pasts[16])) for one in (warm, new, cold)] == [0, 0, 1]


def test_a_past_counts_distinct_times_and_leaves_out_what_speaks_for_nothing() -> None:
    known = events([(0, 1, 0), (0, 2, 1), (0, 3, 1), (0, 4, 4), (0, 5, 9)])
    known.actions[1] = Action.IMPRESSION
    moment = asked(known, last_basket(known), TEST, 9, 0)[0]
    found = past(known, speaks(known), moment)
    assert found.items.tolist() == [1, 3, 4]
    assert found.ranks.tolist() == [2, 1, 0]
    assert found.ages_days.tolist() == [4.0, 3.0, 0.0]


def test_states_of_moments_are_what_absorbing_the_past_gives_in_whatever_order_they_come() -> None:
    known = events([(user, item, float(item)) for user in range(3) for item in range(12)])
    ids = [f"i{row}" for row in range(known.item_count)]
    moments = replayed(known, prequential(known), TEST, 99, 0)
    shuffled = [moments[at] for at in np.random.default_rng(0).permutation(len(moments))]
    for moment, state in zip(shuffled, states_at(known, ids, shuffled), strict=True):
        assert state == absorb_users(known.where(slice(moment.start, moment.end)), ids, [moment.user])[moment.user]


def test_states_of_other_times_know_what_was_done_before_they_were_brought_up_to_date() -> None:
    hour = 1 / 24
    began = -1_600_000_000_000 % DAY_MS / DAY_MS  # a day of UTC begins so many days after the history
    days = [0.0, 0.01, began, began + 2 * hour + 1e-7, began + 2.5 * hour]
    known = events([(0, item, day) for item, day in enumerate(days)])
    part = np.array([0, 0, 2, 2, 2], dtype=np.int8)
    moment = max(replayed(known, part, TEST, 9, 0), key=lambda one: one.end)
    assert moment.end == 4
    assert known_since(known, part, moment, DAY_MS).end == 2  # what happens as a day begins is of that day
    assert known_since(known, part, moment, DAY_MS / 24).end == 3
    assert known_since(known, part, moment, None).end == 2
    assert known_since(known, part, moment, 1.0).end == moment.end


def test_the_first_events_of_a_user_are_counted_by_what_speaks() -> None:
    known = events([(0, item, float(item)) for item in range(6)])
    known.actions[0] = Action.IMPRESSION
    moment = asked(known, last_basket(known), TEST, 9, 0)[0]
    assert [first_events(known, speaks(known), moment, count).end for count in (0, 1, 3)] == [0, 2, 4]
