"""Training of the encoder: what it starts from, how long it goes on, what it leaves, what validation chooses."""

from typing import Any

import numpy as np
import pytest

from tests.trainer.build import events
from tests.trainer.conftest import Fitted
from trainer.data import Events
from trainer.encoder import schedule, spectral
from trainer.encoder.sequences import Sequences
from trainer.encoder.yardstick import Reading, Yardstick

RING = 12


def ring(users: int = 40, length: int = 20, seed: int = 0) -> Events:
    """Everyone goes around one ring of items, from a place of their own: what comes next is certain."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        place = int(rng.integers(RING))
        rows += [(user, (place + step) % RING, float(step)) for step in range(length)]
    return events(rows, users, RING)


def trainer(known: Events, monkeypatch: pytest.MonkeyPatch, *, full: bool, seed: int = 0) -> Any:
    from trainer.encoder import training as encoder_training
    from trainer.encoder.learn import seed_everything
    from trainer.encoder.model import Encoder, Shape

    monkeypatch.setattr(encoder_training, "FULL_SOFTMAX_ITEMS_MAX", RING if full else 0)
    seed_everything(seed)
    start = np.random.default_rng(seed).normal(size=(RING, 8)).astype(np.float32)
    counts = np.bincount(known.items, minlength=RING)
    rule = encoder_training.TrainingRule(batch=16, negatives=8, learning_rate=1e-2)
    return encoder_training.Trainer(Encoder(Shape(dim=8), 0.0), start, counts, rule, seed)


def passes(made: Any, known: Events, count: int) -> list[float]:
    windows = Sequences(known, 8).every_position(np.random.default_rng(0))
    return [made.train(windows, lambda: 1e-2, None, lambda: None) for _ in range(count)]


def reading(made: Any, known: Events) -> Reading:
    from trainer.encoder.reading import read

    last = {user: np.array([(known.items[known.users == user][-1] + 1) % RING]) for user in range(known.user_count)}
    return read(made, Sequences(known, 8), Yardstick(known, last))


@pytest.mark.parametrize("full", [True, False])
def test_what_always_comes_next_is_learned_over_all_items_and_over_drawn_ones(
    full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ring()
    made = trainer(known, monkeypatch, full=full)
    before = reading(made, known).ndcg
    losses = passes(made, known, 25)
    assert losses[-1] < 0.5 * losses[0]
    assert reading(made, known).ndcg > 0.9 > before


def test_the_same_seed_trains_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    known, snapshots = ring(users=8), []
    for _ in range(2):
        made = trainer(known, monkeypatch, full=True)
        passes(made, known, 2)
        snapshots.append(made.snapshot())
    for one, other in zip(*snapshots, strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_snapshot_brings_all_weights_back(monkeypatch: pytest.MonkeyPatch) -> None:
    known = ring(users=8)
    made = trainer(known, monkeypatch, full=True)
    before = made.snapshot()
    passes(made, known, 1)
    assert not np.array_equal(made.snapshot()[0], before[0])
    made.restore(before)
    for one, other in zip(made.snapshot(), before, strict=True):
        assert np.array_equal(one, other)


def test_pruned_weights_stay_zero_while_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.encoder.prune import Pruned, compressed_bytes

    known = ring(users=8)
    made = trainer(known, monkeypatch, full=True)
    variables = made.encoder.body.trainable_variables
    kernels = [variable for variable in variables if variable.name == "kernel"]
    passes(made, known, 1)
    size = compressed_bytes(variables)
    made.pruned = Pruned(variables, 0.5)
    passes(made, known, 2)
    for kernel in kernels:
        assert np.count_nonzero(kernel.numpy() == 0) >= kernel.numpy().size // 2
    assert made.pruned.zeros == sum(kernel.numpy().size // 2 for kernel in kernels) > 500
    assert compressed_bytes(variables) < 0.8 * size


def test_averages_lag_behind_the_weights_and_swapping_twice_changes_nothing() -> None:
    import tensorflow as tf

    from trainer.encoder.averages import EVERY, Averages

    weight = tf.Variable([0.0])
    averages = Averages([weight], memory_steps=20 * EVERY)
    for step in range(1, 100 * EVERY + 1):
        weight.assign([float(step)])
        averages.step()
    averages.swap()
    assert 50 * EVERY < float(weight[0]) < 99 * EVERY
    averages.swap()
    assert float(weight[0]) == 100 * EVERY


def test_interest_heads_learn_and_leave_body_and_items_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.encoder.heads_training import TARGETS, HeadsTrainer

    rng = np.random.default_rng(0)
    rows = [
        (user, int(rng.integers(4)) + 6 * int(rng.integers(2)), float(step)) for user in range(60) for step in range(9)
    ]
    known = events(rows, 60, RING)
    made = trainer(known, monkeypatch, full=True)
    made.encoder.set_interests(2)
    heads = HeadsTrainer(made, made.encoder.heads)
    windows = Sequences(known, 8).whole_moments(400, TARGETS, np.random.default_rng(0))
    losses = [heads.train(windows, lambda: None) for _ in range(6)]
    assert losses[-1] < losses[0]
    body = made.snapshot()
    heads.train(windows, lambda: None)
    assert all(np.array_equal(one, other) for one, other in zip(made.snapshot(), body, strict=True))


@pytest.mark.parametrize(
    ("multi", "wins"),
    [
        (Reading(0.1, 0.6, 0.5), True),
        (Reading(0.3, 0.6, 0.3), False),  # finds more, shows less
        (Reading(0.3, 0.4, 0.9), False),  # shows more, finds less
        (Reading(0.2, 0.5, 0.4), False),
    ],
)
def test_several_interests_ship_only_where_they_find_more_and_show_more(multi: Reading, wins: bool) -> None:
    from trainer.encoder.chosen import several_win

    assert several_win(Reading(0.2, 0.5, 0.4), multi) is wins


def test_the_report_says_what_one_vector_and_several_found_and_the_bundle_ships_the_winner(fitted: Fitted) -> None:
    from trainer.encoder.chosen import several_win

    said = fitted.report["interests"]
    won = several_win(Reading(**said["single"]), Reading(**said["multi"]))
    assert said["shipped"] == (said["tried"] if won else 1) == fitted.bundle.manifest.interest_count


def test_a_small_history_has_many_epochs_with_items_that_go_no_further_than_in_a_few() -> None:
    assert schedule.epochs(100_000, 4_000_000, 30) == 30
    assert schedule.epochs(1_000_000, 4_000_000, 30) == 4
    assert schedule.epochs(50_000_000, 4_000_000, 30) == 1
    small = [
        schedule.epochs(events, 3_000_000, 30, small_catalogue=True) for events in (10**5, 10**6, 3 * 10**6, 10**7)
    ]
    assert small == [30, 9, 3, 1], "a small catalogue pays for up to nine passes, at up to three times the budget"
    assert schedule.item_pace(3) == 1.0
    assert 20 * schedule.item_pace(20) == pytest.approx(40 * schedule.item_pace(40))
    assert schedule.dropout(10_000) > schedule.dropout(100_000) > schedule.dropout(5_000_000)


def test_the_learning_rate_rises_over_the_warm_steps_and_ends_at_its_floor() -> None:
    rate = schedule.Schedule(1.0, warm_steps=10, total_steps=100)
    rates = [rate() for _ in range(101)]
    assert np.argmax(rates) in (9, 10)
    assert rates[0] < 0.2
    assert rates[-1] == pytest.approx(schedule.FLOOR)


def test_items_that_stand_near_each_other_begin_near_each_other() -> None:
    rows = np.array([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4], [-1, -1], [0, -1]], dtype=np.int32)
    weights = np.where(rows >= 0, 1.0, 0.0).astype(np.float32)
    weights[7] = [0.1, 0.0]
    found = spectral.of_links(rows, weights, 3)
    cosines = found @ found.T
    assert cosines[0, 1] > 0.9
    assert abs(cosines[0, 3]) < 0.5
    assert not found[6].any(), "what nothing stands near to has no place"
    assert spectral.of_links(rows, weights, 3).tobytes() == found.tobytes()


def test_items_that_follow_each_other_in_histories_begin_near_each_other() -> None:
    rng = np.random.default_rng(0)
    rows = [(user, 6 * (user % 2) + int(rng.integers(6)), float(step)) for user in range(40) for step in range(8)]
    known = events(rows, 40, 13)
    found = spectral.of_events(known, 0.9, 3)
    cosines = found @ found.T
    assert cosines[:6, :6].min() > cosines[:6, 6:12].max()
    assert not found[12].any(), "nobody had it"
    assert not spectral.of_events(known, 0.9, 64).any(), "fewer items than dimensions"


def test_a_history_in_which_no_two_items_share_a_user_has_no_spectrum() -> None:
    alone = events([(user, user, 0.0) for user in range(20)], 20, 20)
    assert not spectral.of_events(alone, 0.9, 3).any()


def test_a_catalogue_of_fewer_items_than_dimensions_has_no_spectrum() -> None:
    rows = np.array([[1], [0]], dtype=np.int32)
    assert not spectral.of_links(rows, np.ones((2, 1), np.float32), 8).any()


def test_validation_leaves_out_what_a_user_had_where_hardly_anything_is_had_again() -> None:
    known = events([(0, 0, 0.0), (0, 1, 1.0), (1, 0, 0.0)], 2, 4)
    items, queries = np.eye(4, dtype=np.float32), np.ones((2, 1, 4), np.float32) * [4, 3, 2, 1]
    fresh = Yardstick(known, {0: np.array([2]), 1: np.array([1])})
    assert fresh.leaves_out_had
    assert fresh.read(queries.astype(np.float32), items).ndcg == pytest.approx(1.0)
    again = Yardstick(known, {0: np.array([0]), 1: np.array([0])})
    assert not again.leaves_out_had
    assert again.read(queries.astype(np.float32), items).ndcg == pytest.approx(1.0)


def test_coverage_is_the_share_of_items_in_anyones_first_hundred() -> None:
    known = events([(0, 299, 0.0), (1, 299, 0.0)], 2, 300)
    items = np.eye(300, dtype=np.float32)
    queries = np.zeros((2, 1, 300), np.float32)
    queries[0, 0, :100], queries[1, 0, 50:150] = 1.0, 1.0
    found = Yardstick(known, {0: np.array([10]), 1: np.array([200])}).read(queries, items)
    assert found.coverage == pytest.approx(0.5)
    assert found.recall == pytest.approx(0.5)
