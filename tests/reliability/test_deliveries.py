"""Events as the world delivers them: malformed, more than once, out of order across partitions, with wrong clocks."""

import math
import random

import pytest

from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.memory import MemoryLog, MemorySource
from interests.absorb import DEFAULT_RULE, absorb
from interests.apply import apply
from interests.events import Action, LogEntry, LogPartition
from interests.state import InterestState
from interests.stores.memory import MemoryStore
from tests.support.entries import DAY_MS, START_MS, bits, did, random_log, replayed
from tests.support.records import bad_value, event, oracle
from tests.support.soak import Seen, at_length

MALFORMED = at_length(2000, 100_000)
SEQUENCES = at_length(150, 10_000)
CLOCKS = at_length(50, 2000)


def damaged(rng: random.Random, user_id: str) -> tuple[bytes | None, bytes | None]:
    """A key and a value that no consumer can use: known mistakes, and good events with bytes changed or cut."""
    chance = rng.random()
    if chance < 0.3:
        return user_id.encode(), bad_value(rng, user_id)
    if chance < 0.5:
        key = rng.choice([None, b"", b"\xff\xfe", b"k" * 300, b"somebody-else"])
        return key, event(user_id, f"item-{rng.randrange(9)}")
    good = bytearray(event(user_id, f"item-{rng.randrange(9)}"))
    for _ in range(rng.randint(1, 4)):
        good[rng.randrange(len(good))] = rng.randrange(256)
    return user_id.encode(), bytes(good[: rng.randint(0, len(good))])


@pytest.mark.promise("R8")
def test_malformed_events_are_applied_or_dead_lettered_by_count_and_every_good_neighbour_is_applied(
    rng, seen: Seen, caplog
):
    caplog.set_level("CRITICAL")
    log, store, letters = MemoryLog(2), MemoryStore(), MemoryDeadLetters()
    good = 0
    for number in range(MALFORMED):
        user = f"user-{rng.randrange(50)}"
        log.append(number % 2, *damaged(rng, user), timestamp_ms=START_MS + number)
        if number % 10 == 0:
            good += 1
            log.append(number % 2, b"good", event("good", f"item-{number}"), START_MS + number)
    consumer = Consumer(MemorySource(log), store, letters, pace=Pace(500, 0.0), sleep_s=lambda _: None)
    total = sum(len(partition) for partition in log.records)
    consumer.run(lambda: sum(store.claim(log.partitions()).values()) < total)
    absorbed = consumer.metrics.registry.get_sample_value("plural_consumer_absorbed_total")
    assert absorbed is not None
    assert int(absorbed) + len(letters.letters) == total
    assert store.get(["good"])["good"].interaction_count == good
    assert bits(store.get(oracle(log))) == bits(oracle(log))
    seen(malformed=MALFORMED, dead_lettered=len(letters.letters), uncaught=0, good_neighbours_applied=good)


@pytest.mark.promise("R15")
def test_each_event_delivered_up_to_three_times_in_any_order_across_partitions_counts_once(rng, seen: Seen):
    delivered = 0
    for _ in range(SEQUENCES):
        seed = rng.randrange(10**9)
        entries = _of_partitions(seed, 30)
        store = MemoryStore()
        store.claim({entry.partition for entry in entries})
        at = dict.fromkeys((entry.partition for entry in entries), 0)
        while any(at[p] <= max(e.offset for e in entries if e.partition == p) for p in at):
            partition = rng.choice(list(at))
            begin = max(at[partition] - rng.choice([0, 0, 3, 9]), 0)  # some of it once more
            part = [e for e in entries if e.partition == partition and begin <= e.offset < at[partition] + 6]
            apply(part, {partition: at[partition] + 6}, store)
            at[partition] += 6
            delivered += len(part)
        expected = replayed(entries)
        found = store.get(expected)
        for user, state in expected.items():
            assert dict(found[user].watermarks) == dict(state.watermarks), f"seed {seed}"
            assert found[user].version == state.version, f"seed {seed}"
            assert bits({user: found[user]}) == bits({user: state}), f"seed {seed}"
    seen(sequences=SEQUENCES, deliveries=delivered, mismatches=0)


def _of_partitions(seed: int, length: int) -> list[LogEntry]:
    """Three partitions, each with users of its own, as keys make it."""
    found = []
    for number in range(3):
        partition = LogPartition("log", number)
        for entry in random_log(seed + number, length, users=3, partition=partition):
            name = f"{entry.user_id} of {number}"
            did_ = entry.interaction
            renamed = (
                did_
                and did(
                    name,
                    0,
                    did_.item_id,
                    did_.action,
                    time_ms=did_.time_ms,
                    value=did_.value,
                    event_id=did_.event_id,
                ).interaction
            )
            found.append(entry._replace(user_id=name, interaction=renamed))
    return found


@pytest.mark.promise("R14")
def test_clocks_set_back_and_forth_and_event_times_years_off_leave_weights_bounded_and_watermarks_alone(
    rng, seen: Seen
):
    largest = 0.0
    for _ in range(CLOCKS):
        state, received_ms = InterestState("ada"), START_MS
        for offset in range(40):
            received_ms += rng.choice([1000, -DAY_MS, DAY_MS, -400 * DAY_MS, 400 * DAY_MS])
            time_ms = rng.choice([None, received_ms - 500 * DAY_MS, received_ms + 500 * DAY_MS, 0, received_ms])
            entry = did("ada", offset, f"item-{rng.randrange(4)}", rng.choice(list(Action)), time_ms=time_ms, value=1.0)
            state = absorb(state, [entry._replace(received_ms=max(received_ms, 0))])
            assert dict(state.watermarks) == {entry.partition: offset}
        for (_, action), faded in state.memories.items():
            count = 40 * abs(DEFAULT_RULE.strengths[action])
            assert math.isfinite(faded.weight)
            assert abs(faded.weight) <= count, "a wrong clock made a weight that no number of acts could"
            largest = max(largest, abs(faded.weight))
    seen(logs=CLOCKS, largest_weight=f"{largest:.2f}")
