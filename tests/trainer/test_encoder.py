"""The interest encoder: what a position may know, and what its sequences are made of."""

from typing import Any

import numpy as np
import pytest

from tests.trainer.build import events
from trainer.encoder.sequences import NOTHING, Sequences, one_by_one

DIM, LENGTH = 8, 6


@pytest.fixture(scope="module")
def encoder() -> Any:
    import keras

    from trainer.encoder.model import Encoder, Shape

    keras.utils.set_random_seed(3)
    built: Any = Encoder(Shape(dim=DIM, blocks=2, heads=2, interests=3))
    rng = np.random.default_rng(0)
    for weight in (*built.body.weights, *built.heads.weights):
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return built


def history(seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(1, LENGTH, DIM)).astype(np.float32)
    ages = np.array([[40.0, 12.0, 12.0, 5.0, 0.0, 0.0]], dtype=np.float32)
    actions = rng.integers(1, 8, (1, LENGTH)).astype(np.int32)
    return {"item_vectors": vectors, "ages_days": ages, "actions": actions, "mask": np.ones((1, LENGTH), np.float32)}


def outputs(encoder: Any, feed: dict[str, Any]) -> list[Any]:
    return [output.numpy() for output in encoder(**feed)]


def test_interests_are_unit_vectors_and_shares_sum_to_one(encoder: Any) -> None:
    interests, shares = outputs(encoder, history())
    assert interests.shape == (1, 3, DIM)
    assert np.allclose(np.linalg.norm(interests, axis=2), 1.0, atol=1e-5)
    assert np.allclose(shares.sum(axis=1), 1.0, atol=1e-5)


def test_one_interest_is_the_single_vector_with_all_of_the_share() -> None:
    from trainer.encoder.model import Encoder, Shape

    feed: dict[str, Any] = history()
    encoder = Encoder(Shape(dim=DIM))
    interests, shares = outputs(encoder, feed)
    hidden = encoder.hidden(**feed)
    single = encoder.single(encoder.now(hidden, feed["ages_days"], feed["mask"])).numpy()
    assert np.allclose(interests[:, 0], single, atol=1e-6)
    assert shares.tolist() == [[1.0]]


def test_the_order_of_rows_with_one_time_changes_nothing(encoder: Any) -> None:
    feed = history()
    swapped = {name: value[:, [0, 2, 1, 3, 5, 4]] for name, value in feed.items()}
    for one, other in zip(outputs(encoder, feed), outputs(encoder, swapped), strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_the_order_of_rows_with_different_times_changes_something(encoder: Any) -> None:
    feed = history()
    moved = feed | {"item_vectors": feed["item_vectors"][:, [3, 1, 2, 0, 4, 5]]}
    assert not np.allclose(outputs(encoder, feed)[0], outputs(encoder, moved)[0], atol=1e-3)


def test_padding_in_front_changes_nothing(encoder: Any) -> None:
    feed = history()
    padded = {name: np.concatenate([np.zeros_like(value[:, :2]), value], axis=1) for name, value in feed.items()}
    padded["item_vectors"][:, :2] = 7.0  # whatever stands there
    for one, other in zip(outputs(encoder, feed), outputs(encoder, padded), strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_a_position_knows_nothing_that_is_later_than_itself(encoder: Any) -> None:
    feed = history()
    changed = feed | {"item_vectors": feed["item_vectors"].copy()}
    changed["item_vectors"][:, 3:] += 1.0  # later than the first three
    before, after = encoder.hidden(**feed).numpy(), encoder.hidden(**changed).numpy()
    assert np.allclose(before[:, :3], after[:, :3], atol=1e-5)
    assert not np.allclose(before[:, 3:], after[:, 3:], atol=1e-3)


def test_moments_seconds_apart_stay_apart_where_ages_of_months_cannot_tell_them(encoder: Any) -> None:
    second = 1 / 86_400
    feed = history() | {"ages_days": np.array([[400 + second, 400, 399, 5, 1, 0]], dtype=np.float32)}
    assert feed["ages_days"][0, 0] == feed["ages_days"][0, 1], "float32 tells them apart: the case is no case"
    moments = np.array([[-5, -4, -3, -2, -1, 0]], dtype=np.int32)
    changed = feed | {"item_vectors": feed["item_vectors"].copy()}
    changed["item_vectors"][:, 1] += 1.0
    before, after = (encoder.hidden(**one, moments=moments).numpy() for one in (feed, changed))
    assert np.allclose(before[:, 0], after[:, 0], atol=1e-5)


def test_a_history_counts_the_same_whenever_it_is_asked(encoder: Any) -> None:
    feed = history()
    later = feed | {"ages_days": feed["ages_days"] + 3.0}
    for one, other in zip(outputs(encoder, feed), outputs(encoder, later), strict=True):
        assert np.allclose(one, other, atol=1e-4)


def test_targets_are_items_of_the_next_group_of_the_same_user() -> None:
    rng = np.random.default_rng(0)
    rows = [(int(rng.integers(6)), int(rng.integers(40)), float(rng.integers(10))) for _ in range(200)]
    known = events(rows)
    windows = Sequences(known, 16).every_position(rng)
    after = _next_items(known)
    for items, ages, targets, mask in zip(windows.items, windows.ages_days, windows.targets, windows.mask, strict=True):
        assert (np.diff(ages[mask > 0]) <= 0).all()
        assert (targets[mask == 0] == NOTHING).all()
        for item, target in zip(items[mask > 0].tolist(), targets[mask > 0].tolist(), strict=True):
            assert target == NOTHING or any(target in later for later in after[item])


def test_moments_of_a_window_are_its_timestamp_groups() -> None:
    windows = Sequences(events([(0, 1, 0.0), (0, 2, 1.0), (0, 3, 1.0), (0, 4, 5.0)]), 4).latest(np.array([0]))
    assert windows.moments.tolist() == [[-2, -1, -1, 0]]


def test_a_users_last_group_asks_for_nothing() -> None:
    windows = Sequences(events([(0, 1, 0.0), (0, 2, 1.0), (0, 3, 1.0)]), 4).every_position(np.random.default_rng(0))
    whole = windows.take(np.flatnonzero(windows.mask.sum(axis=1) == 3))
    assert len(whole)
    assert (whole.targets[:, -2:] == NOTHING).all()
    assert set(whole.targets[:, -3].tolist()) <= {2, 3}


def test_whole_moments_never_cut_a_group() -> None:
    known = events([(0, item, float(item // 3)) for item in range(12)] + [(1, 20, 0.0)])
    windows = Sequences(known, 8).whole_moments(100, 4, np.random.default_rng(0))
    assert len(windows) == 3
    assert [int(items[-1]) for items in windows.items] == [2, 5, 8]
    assert [set((targets // 3).tolist()) for targets in windows.targets] == [{1}, {2}, {3}]


def test_ticks_of_a_coarse_clock_come_one_by_one_in_every_order_and_stay_in_their_group() -> None:
    known = events([(0, 9, 0.0), (0, 1, 1.0), (0, 2, 1.0), (0, 3, 1.0), (1, 7, 1.0)])
    rng = np.random.default_rng(0)
    seen = {tuple(one_by_one(known, rng).items.tolist()) for _ in range(200)}
    assert len(seen) == 6
    assert {items[0] for items in seen} == {9}
    assert {items[4] for items in seen} == {7}
    assert one_by_one(known, rng).groups.tolist() == [0, 1, 2, 3, 4]


def _next_items(known: Any) -> dict[int, list[set[int]]]:
    found: dict[int, list[set[int]]] = {}
    for group in np.unique(known.groups):
        mine, later = known.groups == group, known.groups == group + 1
        same_user = later.any() and known.users[mine][0] == known.users[later][0]
        for item in known.items[mine].tolist():
            found.setdefault(item, []).append(set(known.items[later].tolist()) if same_user else set())
    return found
