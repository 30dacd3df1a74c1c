"""Baselines: closed forms against their definitions, and settings that validation chooses."""

import numpy as np
import pytest

from tests.trainer.build import events
from trainer.baselines.baseline import Popular, Repeat
from trainer.baselines.chosen import FULL, SHORT, Material, choose
from trainer.baselines.factors import ALS
from trainer.baselines.items import ItemItem, Pairs
from trainer.data import Events, speaks
from trainer.evaluation.moments import Past, asked, past
from trainer.evaluation.splits import TRAIN, VALIDATION, last_basket
from trainer.evaluation.variants import NEW_ITEMS, VARIANTS


def people(seed: int = 0, users: int = 60, items: int = 30) -> Events:
    """Two tastes: users of even number have items of even number, mostly."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        for day in range(8):
            taste = user % 2 if rng.random() < 0.9 else 1 - user % 2
            rows.append((user, int(2 * rng.integers(items // 2) + taste), float(day)))
    return events(rows, items=items)


def having(items: list[int], ranks: list[int] | None = None) -> Past:
    count = len(items)
    places = np.array(ranks if ranks is not None else range(count - 1, -1, -1), dtype=np.int64)
    return Past(np.array(items, dtype=np.int32), places, places.astype(np.float64))


def test_ease_is_the_ridge_regression_of_each_item_on_the_others() -> None:
    known = people()
    pairs = Pairs(known, 100)
    x = np.zeros((known.user_count, known.item_count))
    x[known.users, known.items] = 1.0
    weights = pairs.ease(7.0)
    for item in (0, 11, 29):
        others = np.delete(np.arange(known.item_count), item)
        gram = x[:, others].T @ x[:, others] + 7.0 * np.eye(len(others))
        expected = np.linalg.solve(gram, x[:, others].T @ x[:, item])
        assert weights[others, item] == pytest.approx(expected, abs=1e-5)
        assert weights[item, item] == 0.0


def test_items_beyond_the_cap_score_nothing_and_the_rest_are_the_most_popular() -> None:
    known = people()
    pairs = Pairs(known, 12)
    counts = np.bincount(known.items, minlength=known.item_count)
    assert set(counts[pairs.columns]) >= {counts.max()}
    assert counts[pairs.columns].min() >= np.sort(counts)[-12]
    scores = ItemItem(pairs.columns, pairs.ease(5.0), 1.0, known.item_count).scores([having([0, 2, 4])])
    assert np.flatnonzero(scores[0]).tolist() == [row for row in np.flatnonzero(scores[0]) if row in pairs.columns]


def test_a_query_that_fades_listens_to_the_latest() -> None:
    weights = np.array([[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=np.float32)
    ranking = ItemItem(np.arange(4), weights, 0.5, 4)
    assert ranking.scores([having([0, 1])])[0].tolist() == [0.0, 0.0, 0.5, 1.0]
    assert ranking.scores([having([0, 1], ranks=[0, 0])])[0].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_transitions_fade_with_the_times_between_and_stop_at_the_window() -> None:
    known = events([(0, 0, 0), (0, 1, 1), (0, 2, 1), (0, 3, 5)])
    weights = Pairs(known, 10).transitions
    raw = np.array([[0, 0.9, 0.9, 0.81], [0.9, 0, 1, 0.9], [0.9, 1, 0, 0.9], [0.81, 0.9, 0.9, 0]])
    sums = raw.sum(axis=0) + 20
    assert weights == pytest.approx(raw / sums[:, None] ** 0.6 / sums[None] ** 0.5, rel=1e-5)
    long = events([(0, item, float(item)) for item in range(30)])
    reached = np.flatnonzero(Pairs(long, 50).transitions[0])
    assert reached.tolist() == list(range(1, 21))


def test_als_finds_the_planted_taste() -> None:
    scores = ALS(people(), alpha=10.0, ridge=1.0, seed=0).scores([having([0, 2, 4]), having([1, 3, 5])])
    even = np.arange(30) % 2 == 0
    assert scores[0, even].mean() > scores[0, ~even].mean()
    assert scores[1, ~even].mean() > scores[1, even].mean()


def test_repeat_prefers_what_was_had_often_and_lately_and_then_what_is_popular() -> None:
    known = events([(0, 3, 0), (1, 3, 0), (2, 4, 0)], items=6)
    faded = Past(np.array([0, 1, 1], np.int32), np.array([1, 0, 0]), np.array([30.0, 0.0, 0.0]))
    scores = Repeat(known, half_life_days=30.0).scores([faded])[0]
    assert np.argsort(-scores, kind="stable").tolist()[:4] == [1, 0, 3, 4]
    assert scores[1] == pytest.approx(2.0)
    assert scores[0] == pytest.approx(0.5)


def test_recent_popularity_counts_its_window_alone() -> None:
    known = events([(user, 0, 0.0) for user in range(5)] + [(user, 1, 30.0) for user in range(3)])
    nobody = [having([])]
    assert Popular(known).scores(nobody)[0].tolist() == [5.0, 3.0]
    assert Popular(known, days=7.0).scores(nobody)[0].tolist() == [0.0, 3.0]


def test_settings_are_chosen_on_validation_for_each_variant() -> None:
    # Everybody comes back to one item of theirs: a short memory finds it, and among new items it can find nothing.
    rows = [(user, user, float(day)) for user in range(20) for day in (40, 41, 42)]
    rows += [(user, (user + shift) % 20, float(shift)) for user in range(20) for shift in (1, 2, 3)]
    rows += [(user, (user + 1) % 20, 4.0) for user in range(20)]
    known = events(rows)
    part, available = last_basket(known), np.ones(known.item_count, dtype=np.bool_)
    mask = speaks(known)
    moments = [(moment, past(known, mask, moment)) for moment in asked(known, part, VALIDATION, 50, 0)]
    ticks: list[None] = []
    chosen = choose(
        SHORT, known.where(part == TRAIN), moments, VARIANTS["last-basket"], available, 0, lambda: ticks.append(None)
    )
    repeat = next(one for one in chosen if one.family.name == "repeat")
    assert repeat.values[""] == {"days": 3.0}
    assert repeat.ndcg[""] == pytest.approx(1.0)
    assert repeat.ndcg[NEW_ITEMS] == 0.0
    assert len(ticks) == sum(len(family.grid) for family in SHORT)


def test_every_baseline_of_the_full_table_scores_all_items_of_a_batch() -> None:
    material = Material(people(), 10, 0)
    for family in FULL:
        scores = family.make(material, family.grid[0]).scores([having([0, 2]), having([])])
        assert scores.shape == (2, 30), family.name
        assert scores.dtype == np.float32, family.name
        assert np.isfinite(scores).all(), family.name
