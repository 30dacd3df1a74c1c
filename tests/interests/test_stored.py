"""Profiles read straight from stored states: what the longer way makes, or nothing."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plural.v1 import storage_pb2

from interests import bundle as bundles
from interests.absorb import absorb
from interests.bundle import Bundle
from interests.compiled import numba
from interests.encoder import Encoder
from interests.events import Action
from interests.profile import Profile, fixed, of_parts, profile
from interests.state import InterestState, InterestVectors, from_bytes, to_bytes, with_vectors
from interests.stored_loop import Names, names_of, reader
from tests.support import tiny_bundle
from tests.support.entries import DAY_MS, START_MS, did
from tests.support.tiny_bundle import TOPICS, item

LIVELY = 7  # a seed of many interactions

pytestmark = pytest.mark.skipif(numba() is None, reason="numba is not installed")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("bundle")))


@pytest.fixture(scope="module")
def names(bundle: Bundle) -> Names:
    return names_of(bundle)


def read(bundle: Bundle, names: Names, stored: bytes) -> Profile | None:
    reading = reader()
    assert reading is not None
    found = reading(np.frombuffer(stored, dtype=np.uint8), names, fixed(bundle))
    vectors = InterestVectors(bundle.version, found.interests, found.shares, found.factor)
    made = of_parts(found.parts, "ada", found.version, bundle, found.last_event_ms, vectors)
    return made if found.fine else None


def somebody(bundle: Bundle, seed: int) -> InterestState:
    rng = random.Random(seed)
    entries = []
    for offset in range(rng.choice([1, 5, 40, 200])):
        which = rng.choice([item(rng.randrange(TOPICS), rng.randrange(20)), "unknown", "größer"])
        time_ms = START_MS - rng.randrange(90 * DAY_MS)
        entries.append(did("ada", offset, which, rng.choice(list(Action)), time_ms=time_ms, value=4.0))
    state = absorb(InterestState("ada"), entries)
    return with_vectors(state, Encoder(bundle).vectors([state])[0])


def told(found: Profile) -> list[object]:
    values = [getattr(found, name) for name in Profile.__dataclass_fields__]
    parts = [*found.vectors.__slots__] and [getattr(found.vectors, name) for name in found.vectors.__slots__]
    shown = found.topic_interests
    parts += [shown.vectors, shown.shares, shown.topics] if shown else [None]
    return [each.tolist() if isinstance(each, np.ndarray) else each for each in [*values[:-4], *parts]]


@pytest.mark.parametrize("seed", range(25))
def test_a_stored_state_gives_the_profile_that_the_longer_way_makes(bundle: Bundle, names: Names, seed: int) -> None:
    state = somebody(bundle, seed)
    if seed % 2 and state.vectors:
        single = replace(state.vectors, interests=state.vectors.interests[:1], shares=state.vectors.shares[:1])
        state = with_vectors(state, single)
    stored = to_bytes(state)
    found, back = read(bundle, names, stored), from_bytes(stored)
    assert back.vectors is not None
    if not len(back.vectors.interests):
        assert found is None, "who is unknown is shown what is popular, the longer way"
        return
    assert found is not None
    assert told(found) == told(profile(back, bundle, back.vectors))


def test_without_vectors_of_the_bundle_the_longer_way_is_left(bundle: Bundle, names: Names) -> None:
    state = somebody(bundle, LIVELY)
    assert state.vectors is not None
    assert read(bundle, names, to_bytes(replace(state, vectors=None))) is None
    assert read(bundle, names, to_bytes(with_vectors(state, replace(state.vectors, bundle_version="other")))) is None
    short = replace(state.vectors, interests=state.vectors.interests[:, :2])
    assert read(bundle, names, to_bytes(with_vectors(state, short))) is None


def test_a_later_layout_or_columns_that_do_not_fit_are_left_to_who_can_say_so(bundle: Bundle, names: Names) -> None:
    good = to_bytes(somebody(bundle, LIVELY))
    assert read(bundle, names, good) is not None
    for spoil in (
        lambda stored: setattr(stored, "format", 2),
        lambda stored: stored.memories.weights.append(1.0),
        lambda stored: stored.memories.item_ids.append("more"),
        lambda stored: stored.recent.times_ms.pop(),
        lambda stored: stored.recent.actions.__setitem__(0, 77),
        lambda stored: stored.vectors.shares.append(0.5),
    ):
        stored = storage_pb2.StoredState.FromString(good)
        spoil(stored)
        assert read(bundle, names, stored.SerializeToString()) is None
    assert read(bundle, names, good + good) is None
    # A field that a later layout adds is passed over, as protobuf does.
    assert read(bundle, names, good + b"\xa2\x06\x03new") is not None


@given(data=st.data())
def test_bytes_of_any_kind_are_read_or_left_and_never_more(bundle: Bundle, names: Names, data: st.DataObject) -> None:
    good = to_bytes(somebody(bundle, LIVELY))
    spoiled = bytearray(good[: data.draw(st.integers(0, len(good)))])
    for place in data.draw(st.lists(st.integers(0, max(len(spoiled) - 1, 0)), max_size=6)):
        if spoiled:
            spoiled[place] = data.draw(st.integers(0, 255))
    found = read(bundle, names, bytes(spoiled))
    assert found is None or len(found.item_rows) == len(found.item_weights)
