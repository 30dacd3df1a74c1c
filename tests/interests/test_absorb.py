"""How log entries move a state: what counts, what does not, and what it must not depend on."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interests.absorb import DEFAULT_RULE, MS_PER_DAY, AbsorbRule, absorb, faded_weight
from interests.events import Action, LogEntry, LogPartition
from interests.state import InterestState, to_bytes
from tests.support.entries import DAY_MS, LOG, START_MS, bits, did, erased_at, random_log, replayed

TIGHT = AbsorbRule(memories_max=16, recent_max=8, exposure_max=8, event_ids_max=8, watermarks_max=3)
seeds = st.integers(0, 2**32 - 1)


def of_ada(seed: int, length: int) -> list[LogEntry]:
    return random_log(seed, length, users=1)


def fresh() -> InterestState:
    return InterestState("user-0")


def weight(state: InterestState, item_id: str, action: Action) -> float:
    return state.memories[item_id, action].weight


@settings(deadline=None, max_examples=50)
@given(seeds, st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_batches_do_not_matter(seed: int, sizes: list[int]) -> None:
    for rule in (DEFAULT_RULE, TIGHT):
        entries = of_ada(seed, 120)
        one_by_one = fresh()
        for entry in entries:
            one_by_one = absorb(one_by_one, [entry], rule)
        batched, at = fresh(), 0
        for size in sizes:
            batched = absorb(batched, entries[at : at + size], rule)
            at += size
        batched = absorb(batched, entries[at:], rule)
        assert to_bytes(batched) == to_bytes(one_by_one)


@settings(deadline=None, max_examples=50)
@given(seeds, st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=10))
def test_replays_of_any_part_change_nothing(seed: int, replays: list[tuple[int, int]]) -> None:
    entries = of_ada(seed, 100)
    state = absorb(fresh(), entries)
    for start, end in replays:
        assert absorb(state, entries[start:end]) is state


@settings(deadline=None, max_examples=50)
@given(seeds)
def test_deliveries_at_least_once_have_the_effect_of_once(seed: int) -> None:
    rng = random.Random(seed)
    entries = of_ada(seed, 100)
    state, at = fresh(), 0
    while at < len(entries):
        start = max(0, at - rng.randrange(30))  # a crash or a rebalance reads some of it again
        at = min(len(entries), at + rng.randint(1, 15))
        state = absorb(state, entries[start:at])
    assert to_bytes(state) == to_bytes(absorb(fresh(), entries))


def test_without_watermarks_a_replay_would_count_twice() -> None:
    """The negative control of the three above: they can fail."""
    entries = [did("user-0", 0), did("user-0", 1)]
    state = absorb(fresh(), entries)
    forgetful = InterestState("user-0", state.version, state.interaction_count, state.last_event_ms, state.memories)
    assert absorb(forgetful, entries).interaction_count == 4


def test_a_recreated_topic_is_another_log() -> None:
    state = absorb(fresh(), [did("user-0", 7)])
    again = absorb(state, [did("user-0", 0, partition=LogPartition("recreated", 0))])
    assert again.interaction_count == 2


def test_partitions_have_watermarks_of_their_own() -> None:
    state = absorb(fresh(), [did("user-0", 7), did("user-0", 3, partition=LogPartition(LOG.incarnation, 1))])
    assert state.interaction_count == 2
    assert absorb(state, [did("user-0", 6)]) is state


def test_another_users_entry_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="one user"):
        absorb(fresh(), [did("somebody", 0)])


def test_every_half_life_leaves_half() -> None:
    days = DEFAULT_RULE.half_life_days[Action.LIKE]
    state = absorb(fresh(), [did("user-0", 0, time_ms=START_MS)])
    later = START_MS + int(2 * days * MS_PER_DAY)
    assert faded_weight(state.memories["tea", Action.LIKE], later, days) == pytest.approx(0.25)


def test_what_was_fades_before_what_happens_is_added() -> None:
    after_ms = int(DEFAULT_RULE.half_life_days[Action.LIKE] * MS_PER_DAY)
    first = LogEntry(LOG, 0, START_MS, "user-0", did("user-0", 0, time_ms=START_MS).interaction)
    second = LogEntry(LOG, 1, START_MS + after_ms, "user-0", did("user-0", 1, time_ms=START_MS + after_ms).interaction)
    assert weight(absorb(fresh(), [first, second]), "tea", Action.LIKE) == pytest.approx(1.5)


def test_a_late_event_counts_by_its_age_in_whatever_order_it_comes() -> None:
    now, before = START_MS, START_MS - 60 * DAY_MS
    in_order = absorb(fresh(), [did("user-0", 0, time_ms=before), did("user-0", 1, time_ms=now)])
    late = absorb(fresh(), [did("user-0", 0, time_ms=now), did("user-0", 1, time_ms=before)])
    assert weight(late, "tea", Action.LIKE) == pytest.approx(weight(in_order, "tea", Action.LIKE))
    assert late.last_event_ms == in_order.last_event_ms == now
    assert late.memories["tea", Action.LIKE].as_of_ms == now


def test_a_future_event_is_taken_as_of_when_the_log_took_it() -> None:
    state = absorb(fresh(), [did("user-0", 0, time_ms=START_MS + 365 * DAY_MS)])
    assert state.last_event_ms == START_MS
    assert state.recent[0].time_ms == START_MS


def test_a_clock_that_is_a_little_fast_is_believed() -> None:
    state = absorb(fresh(), [did("user-0", 0, time_ms=START_MS + 300_000)])
    assert state.last_event_ms == START_MS + 300_000
    assert absorb(fresh(), [did("user-0", 0, time_ms=START_MS + 300_001)]).last_event_ms == START_MS


def test_an_event_without_a_time_has_the_logs() -> None:
    assert absorb(fresh(), [did("user-0", 5)]).last_event_ms == START_MS + 5000


def test_a_retry_counts_once_and_a_second_act_twice() -> None:
    retried = absorb(fresh(), [did("user-0", 0, event_id="e1"), did("user-0", 1, event_id="e1")])
    assert retried.interaction_count == 1
    assert retried.version == 2
    assert weight(retried, "tea", Action.LIKE) == 1.0
    assert absorb(retried, [did("user-0", 2, event_id="e2")]).interaction_count == 2
    assert absorb(retried, [did("user-0", 2), did("user-0", 3)]).interaction_count == 3


def test_a_retry_is_known_across_batches() -> None:
    state = absorb(fresh(), [did("user-0", 0, event_id="e1")])
    assert absorb(state, [did("user-0", 1, event_id="e1")]).interaction_count == 1


def test_event_ids_are_remembered_up_to_their_bound() -> None:
    entries = [did("user-0", offset, event_id=f"e{offset}") for offset in range(9)]
    state = absorb(fresh(), entries, TIGHT)
    assert len(state.event_id_hashes) == 8
    assert absorb(state, [did("user-0", 9, event_id="e1")], TIGHT).interaction_count == 9
    assert absorb(state, [did("user-0", 9, event_id="e0")], TIGHT).interaction_count == 10  # forgotten by now


def test_impressions_feed_exposure_alone() -> None:
    state = absorb(fresh(), [did("user-0", 0, action=Action.IMPRESSION), did("user-0", 1, action=Action.IMPRESSION)])
    assert state.exposure["tea"].weight == pytest.approx(2.0, abs=1e-4)
    assert not state.memories
    assert not state.recent
    assert state.interaction_count == 0
    assert state.is_cold


def test_a_dislike_is_remembered_and_no_recent_interest() -> None:
    state = absorb(fresh(), [did("user-0", 0, action=Action.DISLIKE)])
    assert weight(state, "tea", Action.DISLIKE) < 0
    assert not state.recent


@pytest.mark.parametrize(
    ("action", "value", "expected"),
    [
        (Action.VIEW, None, 0.3),
        (Action.PURCHASE, 1.0, 1.0),
        (Action.PURCHASE, 3.0, 2.0),
        (Action.PURCHASE, 1_000_000.0, 4.0),
        (Action.PURCHASE, 0.0, 0.0),
        (Action.RATING, 5.0, 1.0),
        (Action.RATING, 2.5, 0.5),
        (Action.RATING, 0.0, 0.0),
        (Action.DISLIKE, None, -2.0),
    ],
)
def test_an_act_counts_by_its_action_and_value(action: Action, value: float | None, expected: float) -> None:
    state = absorb(fresh(), [did("user-0", 0, action=action, value=value)])
    assert weight(state, "tea", action) == pytest.approx(expected)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_caps_hold_after_any_log(seed: int) -> None:
    state = absorb(fresh(), of_ada(seed, 400), TIGHT)
    assert len(state.memories) <= 16 * 9 // 8
    assert len(state.recent) <= 8
    assert len(state.exposure) <= 8
    assert len(state.event_id_hashes) <= 8
    assert len(state.watermarks) <= 3


def test_the_latest_watermarks_are_kept() -> None:
    partitions = [LogPartition("log", number) for number in range(5)]
    state = absorb(fresh(), [did("user-0", 0, partition=partition) for partition in partitions], TIGHT)
    assert list(state.watermarks) == partitions[2:]


def test_pruning_keeps_the_strongest_and_every_dislike_however_old() -> None:
    disliked = did("user-0", 0, "bad", Action.DISLIKE, time_ms=START_MS - 3650 * DAY_MS)
    loved = [did("user-0", 1 + n, "loved", value=3.0) for n in range(5)]
    passing = [did("user-0", 6 + n, f"seen-{n}", Action.VIEW) for n in range(40)]
    state = absorb(fresh(), [disliked, *loved, *passing], TIGHT)
    assert ("bad", Action.DISLIKE) in state.memories
    assert ("loved", Action.LIKE) in state.memories


def test_a_thousand_different_items_are_all_remembered_so_that_each_can_be_filtered_out() -> None:
    entries = [did("user-0", at, f"item-{at}") for at in range(1000)]
    assert {item for item, _ in absorb(fresh(), entries).memories} == {f"item-{at}" for at in range(1000)}


def test_an_erasure_leaves_the_watermarks_alone() -> None:
    state = absorb(fresh(), [did("user-0", 0, event_id="e"), did("user-0", 1, action=Action.IMPRESSION)])
    gone = absorb(state, [erased_at("user-0", 2)])
    assert gone == InterestState("user-0", version=3, watermarks={LOG: 2}, erased=True)


def test_a_replay_from_the_start_does_not_bring_an_erased_user_back() -> None:
    entries = [did("user-0", 0), did("user-0", 1, "coffee"), erased_at("user-0", 2)]
    gone = absorb(fresh(), entries)
    assert gone.erased
    assert absorb(gone, entries) is gone


def test_what_comes_after_an_erasure_starts_anew() -> None:
    entries = [did("user-0", 0), erased_at("user-0", 1), did("user-0", 2, "coffee")]
    state = absorb(fresh(), entries)
    assert not state.erased
    assert list(state.memories) == [("coffee", Action.LIKE)]
    assert state.interaction_count == 1
    assert state.version == 3


def test_absorbing_says_by_the_version_how_many_entries_it_took() -> None:
    states = replayed(random_log(seed=1, length=300))
    assert sum(state.version for state in states.values()) == 300


def test_the_state_before_is_left_as_it_was() -> None:
    before = absorb(fresh(), of_ada(3, 50))
    kept = to_bytes(before)
    absorb(before, of_ada(3, 100))
    assert to_bytes(before) == kept


def test_vectors_do_not_outlive_the_state_they_were_made_from() -> None:
    states = replayed(random_log(seed=1, length=10))
    assert all(state.vectors is None for state in states.values())
    assert bits(states) == bits(dict(states))
