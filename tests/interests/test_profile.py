"""A state read through a bundle: mixes, what was had, what is blocked."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interests import bundle as bundles
from interests.absorb import absorb
from interests.bundle import Bundle
from interests.compiled import numba
from interests.encoder import Encoder
from interests.events import Action, LogEntry
from interests.items import items_had
from interests.profile import Profile, entropy, mix, profile
from interests.state import InterestState, InterestVectors
from tests.support import tiny_bundle
from tests.support.entries import DAY_MS, START_MS, did
from tests.support.tiny_bundle import TOPICS, item


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("bundle")))


def read(bundle: Bundle, *entries: LogEntry) -> Profile:
    state = absorb(InterestState("ada"), entries)
    return profile(state, bundle, Encoder(bundle).vectors([state])[0])


def blocked(bundle: Bundle, found: Profile) -> list[str]:
    return [bundle.item_ids[row] for row in found.blocked_rows]


def test_mixes_sum_to_one_and_weigh_what_was_done(bundle: Bundle) -> None:
    found = read(
        bundle,
        did("ada", 0, item(0, 1), Action.PURCHASE),
        did("ada", 1, item(0, 2), Action.PURCHASE),
        did("ada", 2, item(3, 1), Action.VIEW),
        did("ada", 3, item(5, 1), Action.IMPRESSION),
    )
    for shares in (found.anchor, found.recent_mix, found.exposure_mix):
        assert shares.sum() == pytest.approx(1.0, abs=1e-6)
    assert found.anchor[0] == pytest.approx(2.0 / 2.3, abs=1e-3)
    assert found.recent_mix[0] == pytest.approx(2 / 3, abs=1e-3)
    assert found.exposure_mix[5] == 1.0
    assert found.exposure_weight == pytest.approx(1.0)
    assert found.item_weights.sum() == pytest.approx(1.0)


def test_a_user_never_seen_is_cold_and_has_empty_mixes(bundle: Bundle) -> None:
    found = read(bundle)
    assert found.is_cold
    assert found.anchor.tolist() == [0.0] * TOPICS
    assert found.entropy == 0.0


def test_items_unknown_to_the_bundle_are_left_out_and_count_once_it_knows_them(bundle: Bundle) -> None:
    found = read(bundle, did("ada", 0, "of-another-catalogue"), did("ada", 1, item(1, 1)))
    assert [bundle.item_ids[row] for row in found.item_rows] == [item(1, 1)]
    assert found.anchor[1] == 1.0
    assert read(bundle, did("ada", 0, "of-another-catalogue")).is_cold


def test_a_dislike_blocks_its_item_and_nothing_else(bundle: Bundle) -> None:
    found = read(bundle, did("ada", 0, item(0, 1), Action.DISLIKE), did("ada", 1, item(0, 2)))
    assert blocked(bundle, found) == [item(0, 1)]
    assert [bundle.item_ids[row] for row in found.item_rows] == [item(0, 2)]


def test_a_dislike_takes_back_whatever_came_before_it(bundle: Bundle) -> None:
    bought = [did("ada", offset, item(0, 1), Action.PURCHASE, value=9.0) for offset in range(10)]
    found = read(bundle, *bought, did("ada", 10, item(0, 1), Action.DISLIKE))
    assert blocked(bundle, found) == [item(0, 1)]
    assert found.is_cold


def test_one_view_does_not_undo_a_dislike_and_buying_it_again_and_again_does(bundle: Bundle) -> None:
    disliked = did("ada", 0, item(0, 1), Action.DISLIKE)
    assert blocked(bundle, read(bundle, disliked, did("ada", 1, item(0, 1), Action.VIEW))) == [item(0, 1)]
    bought = [did("ada", 1 + n, item(0, 1), Action.PURCHASE) for n in range(4)]
    assert blocked(bundle, read(bundle, disliked, *bought)) == []


def test_the_order_is_strongest_first(bundle: Bundle) -> None:
    state = absorb(
        InterestState("ada"),
        [
            did("ada", 0, item(0, 1), Action.VIEW),
            did("ada", 1, item(0, 2), Action.PURCHASE),
            did("ada", 2, item(0, 3), Action.CART),
        ],
    )
    rows, weights, *_ = items_had(state, bundle)
    assert [bundle.item_ids[row] for row in rows] == [item(0, 2), item(0, 3), item(0, 1)]
    assert (np.diff(weights) <= 0).all()


def test_ages_count_from_the_last_event_and_not_from_any_clock(bundle: Bundle) -> None:
    def anchor(shift_ms: int) -> list[float]:
        first = did("ada", 0, item(0, 1), Action.VIEW, time_ms=START_MS - 400 * DAY_MS - shift_ms)
        second = did("ada", 1, item(1, 1), Action.LIKE, time_ms=START_MS - 300 * DAY_MS - shift_ms)
        return [float(share) for share in read(bundle, first, second).anchor]

    assert anchor(0) == pytest.approx(anchor(1000 * DAY_MS))


def test_vectors_of_another_bundle_are_refused(bundle: Bundle) -> None:
    stale = InterestVectors("another", np.zeros((0, 16), "f4"), np.zeros(0, "f4"), np.zeros(16, "f4"))
    with pytest.raises(ValueError, match="another"):
        profile(InterestState("ada"), bundle, stale)


@pytest.mark.parametrize(
    ("shares", "expected"), [([], 0.0), ([1.0], 0.0), ([1.0, 0.0], 0.0), ([0.5, 0.5], 1.0), ([0.25] * 4, 1.0)]
)
def test_entropy_is_none_for_one_topic_and_one_for_all_alike(shares: list[float], expected: float) -> None:
    assert entropy(np.array(shares, dtype=np.float32)) == pytest.approx(expected)


def test_items_without_topics_leave_a_mix_as_it_was(tmp_path: Path) -> None:
    arrays = tiny_bundle.arrays()
    arrays.item_topic_ids[0], arrays.item_topic_shares[0] = -1, 0.0
    said = bundles.load(tiny_bundle.write(tmp_path)).manifest
    bundle = Bundle(said, arrays, b"", b"")
    rows = np.array([0, 20], dtype=np.int32)
    assert mix(bundle, rows, np.ones(2, dtype=np.float32)).tolist() == [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.skipif(numba() is None, reason="numba is not installed")
@pytest.mark.parametrize("seed", range(12))
def test_a_profile_is_the_same_without_numba(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    rng = random.Random(seed)
    entries, count = [], rng.choice([0, 1, 5, 40, 200])
    for offset, days_ago in enumerate(sorted((rng.randrange(90) for _ in range(count)), reverse=True)):
        which, action = item(rng.randrange(TOPICS), rng.randrange(rng.choice([2, 20]))), rng.choice(list(Action)[1:])
        entries.append(did("ada", offset, which, action, time_ms=START_MS - days_ago * DAY_MS, value=4.0))
    state = absorb(InterestState("ada"), entries)
    vectors = Encoder(bundle).vectors([state])[0]
    single = replace(vectors, interests=vectors.interests[:1], shares=vectors.shares[:1])
    compiled = profile(state, bundle, single)
    for name in ("interests.profile.assembler", "interests.profile.loops", "interests.items.had_loop"):
        monkeypatch.setattr(name, lambda: None)
    plain = profile(state, bundle, single)
    for name in ("anchor", "recent_mix", "exposure_mix", "entropy"):
        assert getattr(compiled, name) == pytest.approx(getattr(plain, name), abs=1e-5), name
    for name in ("item_rows", "item_weights", "item_actions", "item_times_ms", "blocked_rows"):
        assert getattr(compiled, name).tolist() == getattr(plain, name).tolist(), name
    assert (compiled.topic_interests is None) == (plain.topic_interests is None)
    if compiled.topic_interests and plain.topic_interests:
        assert compiled.topic_interests.topics.tolist() == plain.topic_interests.topics.tolist()
        assert compiled.topic_interests.vectors == pytest.approx(plain.topic_interests.vectors, abs=1e-5)
        assert compiled.topic_interests.shares == pytest.approx(plain.topic_interests.shares, abs=1e-5)
