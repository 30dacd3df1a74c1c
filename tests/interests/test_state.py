"""The stored form of a state: read back unchanged, refused where damaged or newer."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plural.v1 import storage_pb2

from interests.absorb import absorb
from interests.errors import StoreCorrupt
from interests.events import Action, LogPartition
from interests.state import (
    FORMAT,
    Faded,
    InterestState,
    InterestVectors,
    Recent,
    erased,
    from_bytes,
    to_bytes,
    with_vectors,
)
from tests.support.entries import random_log

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
times = st.integers(0, 2**42)
faded = st.builds(Faded, st.floats(allow_nan=False), times)
actions = st.sampled_from(Action)
states = st.builds(
    InterestState,
    user_id=ids,
    version=st.integers(1, 2**53),
    interaction_count=st.integers(0, 2**53),
    last_event_ms=times,
    memories=st.dictionaries(st.tuples(ids, actions), faded, max_size=8),
    recent=st.lists(st.builds(Recent, ids, actions, times), max_size=8).map(tuple),
    exposure=st.dictionaries(ids, faded, max_size=8),
    watermarks=st.dictionaries(st.builds(LogPartition, ids, st.integers(0, 2**31 - 1)), st.integers(0, 2**62)),
    event_id_hashes=st.lists(st.integers(0, 2**64 - 1), max_size=8).map(tuple),
    erased=st.booleans(),
)


def vectors(interest_count: int = 3) -> InterestVectors:
    rng = np.random.default_rng(0)
    return InterestVectors(
        "bundle-1",
        rng.normal(size=(interest_count, 8)).astype(np.float32),
        rng.random(interest_count).astype(np.float32),
        rng.normal(size=5).astype(np.float32),
    )


@settings(deadline=None)
@given(states)
def test_a_state_is_read_back_as_it_was(state: InterestState) -> None:
    read = from_bytes(to_bytes(state))
    assert read == state
    assert list(read.memories) == list(state.memories)  # the order is part of what pruning goes by
    assert list(read.exposure) == list(state.exposure)
    assert list(read.watermarks) == list(state.watermarks)
    assert to_bytes(read) == to_bytes(state)
    assert read.stored_version == state.version


@pytest.mark.parametrize("interest_count", [0, 1, 3])
def test_vectors_are_read_back_bit_for_bit(interest_count: int) -> None:
    made = vectors(interest_count)
    read = from_bytes(to_bytes(with_vectors(InterestState("ada", version=1), made))).vectors
    assert read is not None
    assert read.bundle_version == made.bundle_version
    assert len(read.interests) == interest_count
    assert read.interests.tobytes() == made.interests.tobytes()
    assert read.shares.tobytes() == made.shares.tobytes()
    assert read.factor.tobytes() == made.factor.tobytes()


def test_vectors_are_a_cache_and_no_part_of_what_a_state_says() -> None:
    state = absorb(InterestState("user-0"), random_log(0, 20, users=1))
    assert with_vectors(state, vectors()) == state


def test_a_state_read_back_goes_on_as_the_one_in_memory() -> None:
    entries = random_log(4, 400, users=1)
    kept = InterestState("user-0")
    stored = InterestState("user-0")
    for entry in entries:
        kept = absorb(kept, [entry])
        stored = from_bytes(to_bytes(absorb(stored, [entry])))
    assert to_bytes(stored) == to_bytes(kept)


@pytest.mark.parametrize("layout", [0, FORMAT + 1, 2**31])
def test_another_layout_is_refused_with_those_this_program_reads(layout: int) -> None:
    data = storage_pb2.StoredState(format=layout, user_id="ada").SerializeToString()
    with pytest.raises(StoreCorrupt, match=f"layout {layout}; this program reads 1 to {FORMAT}"):
        from_bytes(data)


def test_a_layout_up_to_ours_is_read() -> None:
    for layout in range(1, FORMAT + 1):
        data = storage_pb2.StoredState(format=layout, user_id="ada", version=7).SerializeToString()
        assert from_bytes(data) == InterestState("ada", version=7)


def test_a_field_that_a_later_program_added_does_not_stop_this_one() -> None:
    added = b"\xfa\x3e\x03abc"  # field 1007, three bytes
    assert from_bytes(to_bytes(InterestState("ada", version=2)) + added).version == 2


def test_bytes_that_are_no_state_are_called_corrupt() -> None:
    for data in (b"", b"\xff" * 20, to_bytes(InterestState("ada", version=1))[:-1] + b"\xff"):
        with pytest.raises(StoreCorrupt):
            from_bytes(data)


def test_columns_of_unequal_length_are_called_corrupt() -> None:
    stored = storage_pb2.StoredState(format=1, user_id="ada", version=1)
    stored.memories.item_ids.append("tea")
    with pytest.raises(StoreCorrupt, match="does not hold together"):
        from_bytes(stored.SerializeToString())


def test_an_action_that_nobody_knows_is_called_corrupt() -> None:
    stored = storage_pb2.StoredState(format=1, user_id="ada", version=1)
    stored.recent.item_ids.append("tea")
    stored.recent.actions.append(99)  # type: ignore[arg-type]
    stored.recent.times_ms.append(0)
    with pytest.raises(StoreCorrupt, match="99"):
        from_bytes(stored.SerializeToString())


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_damaged_bytes_are_a_state_or_corrupt_and_never_a_crash(place: int, byte: int) -> None:
    data = bytearray(to_bytes(with_vectors(absorb(InterestState("user-0"), random_log(5, 30, users=1)), vectors())))
    data[place % len(data)] = byte
    try:
        from_bytes(bytes(data))
    except StoreCorrupt as error:
        assert "user-0" not in str(error)


def test_a_tombstone_keeps_the_watermarks_and_what_the_store_is_fenced_by() -> None:
    state = replace(absorb(InterestState("user-0"), random_log(6, 20, users=1)), stored_version=5)
    tombstone = erased(state)
    assert tombstone == InterestState("user-0", version=state.version, watermarks=state.watermarks, erased=True)
    assert tombstone.stored_version == 5
