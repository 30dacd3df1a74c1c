"""A partition that stands still while its log grows is noticed; nothing else is."""

from consumer.watchdog import Watchdog
from interests.events import LogPartition

A, B = LogPartition("log", 0), LogPartition("log", 1)


def test_a_partition_that_stands_still_for_two_minutes_while_its_end_grows_is_stuck():
    watchdog = Watchdog(patience_s=120)
    found = [(now_s, watchdog.look(now_s, {A: 5, B: now_s}, {A: 10 + now_s, B: now_s})) for now_s in range(0, 200, 10)]
    assert [now_s for now_s, stuck in found if stuck] == list(range(130, 200, 10))
    assert found[-1][1] == [A]


def test_one_record_that_is_never_read_is_enough():
    watchdog = Watchdog(patience_s=120)
    looks = {now_s: watchdog.look(now_s, {A: 5}, {A: 5 if now_s < 50 else 6}) for now_s in range(0, 200, 10)}
    assert [now_s for now_s, stuck in looks.items() if stuck] == [170, 180, 190]


def test_a_partition_that_moves_however_slowly_is_not_stuck():
    watchdog = Watchdog(patience_s=120)
    assert not any(watchdog.look(now_s, {A: now_s // 100}, {A: 10 * now_s + 100}) for now_s in range(0, 2000, 10))


def test_a_partition_at_its_end_or_behind_a_log_that_does_not_grow_is_not_stuck():
    watchdog = Watchdog(patience_s=120)
    assert not any(watchdog.look(now_s, {A: 5, B: 3}, {A: 5, B: 4}) for now_s in range(0, 2000, 10))


def test_waiting_for_a_store_and_being_stopped_are_not_being_stuck():
    watchdog = Watchdog(patience_s=120)
    watchdog.look(0, {A: 5}, {A: 10})
    watchdog.look(10, {A: 5}, {A: 20})
    assert watchdog.look(500, {}, {A: 500}) == []  # paused: it has no position
    assert watchdog.look(510, {A: 5}, {A: 510}) == []
    # Stopped for an hour and woken: the first look back sees growth, the next one movement.
    assert watchdog.look(4000, {A: 5}, {A: 4000}) == []
    assert watchdog.look(4010, {A: 900}, {A: 4001}) == []
