"""One step of any writer: what moves, who wakes, and what happens when it fails halfway."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from interests import bundle as bundles
from interests.apply import apply
from interests.encoder import Encoder
from interests.errors import Fenced
from interests.events import Action, LogEntry
from interests.stores.memory import MemoryStore
from tests.support import tiny_bundle
from tests.support.entries import LOG, bits, did, erased_at, random_log, replayed, users_of


def claimed() -> MemoryStore:
    store = MemoryStore()
    store.claim([LOG])
    return store


def woken(store: MemoryStore, entries: Sequence[LogEntry]) -> set[str]:
    start = store.end_of_changes()
    apply(entries, {LOG: entries[-1].offset + 1}, store)
    return {change.user_id for change in store.changes(start).entries if change.wakes}


def test_a_step_leaves_the_states_of_a_replay_entry_by_entry() -> None:
    entries, store = random_log(seed=1, length=300), claimed()
    for start in range(0, 300, 37):
        batch = entries[start : start + 37]
        apply(batch, {LOG: start + len(batch)}, store)
    assert bits(store.get(users_of(entries))) == bits(replayed(entries))


def test_a_step_taken_again_moves_nothing_and_says_how_much_it_skipped() -> None:
    entries, store = random_log(seed=2, length=50), claimed()
    assert apply(entries, {LOG: 50}, store).skipped == 0
    start = store.end_of_changes()
    again = apply(entries, {LOG: 50}, store)
    assert again.skipped == 50
    assert again.states == []
    assert store.changes(start).entries == []


def test_offsets_move_even_where_no_state_does() -> None:
    store = claimed()
    apply([], {LOG: 8}, store)
    assert store.claim([LOG]) == {LOG: 8}


def test_a_fenced_step_can_be_taken_again_after_a_claim() -> None:
    entries, store = random_log(seed=3, length=60), claimed()
    rival = store.handle()
    rival.claim([LOG])
    apply(entries[:30], {LOG: 30}, rival)
    with pytest.raises(Fenced):
        apply(entries[:40], {LOG: 40}, store)
    at = store.claim([LOG])[LOG]
    apply(entries[at:], {LOG: 60}, store)
    assert bits(store.get(users_of(entries))) == bits(replayed(entries))


def test_interactions_and_erasures_wake_followers() -> None:
    store = claimed()
    assert woken(store, [did("ada", 0), did("bob", 1, action=Action.DISLIKE)]) == {"ada", "bob"}
    assert woken(store, [erased_at("ada", 2)]) == {"ada"}


def test_impressions_and_retries_wake_nobody() -> None:
    store = claimed()
    assert woken(store, [did("ada", 0, event_id="e1")]) == {"ada"}
    assert woken(store, [did("ada", 1, event_id="e1"), did("ada", 2, action=Action.IMPRESSION)]) == set()


def test_an_erasure_wakes_even_where_as_many_interactions_follow_it_in_one_batch() -> None:
    store = claimed()
    assert woken(store, [did("ada", 0), did("ada", 1)]) == {"ada"}
    assert woken(store, [erased_at("ada", 2), did("ada", 3, "coffee"), did("ada", 4, "cake")]) == {"ada"}


def test_states_are_written_with_the_vectors_of_the_bundle(tmp_path: Path) -> None:
    bundle = bundles.load(tiny_bundle.write(tmp_path))
    store = claimed()
    apply([did("ada", 0, tiny_bundle.item(2, 3))], {LOG: 1}, store, Encoder(bundle))
    vectors = store.get(["ada"])["ada"].vectors
    assert vectors is not None
    assert vectors.bundle_version == bundle.version
    assert vectors.interests.shape == (2, tiny_bundle.DIM)
