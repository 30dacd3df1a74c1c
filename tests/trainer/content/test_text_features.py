"""Encoded texts enter content as far as they rank held-out items better, and never where they do not."""

import numpy as np
import pytest
from scipy import sparse

from interests.item_content import BUCKETS
from tests.trainer.build import catalogue, events
from trainer.content.content import content_table, features
from trainer.content.text_features import compress, dense_part, early, held_out_recall, stack, with_texts
from trainer.data import Events

ITEMS, USERS, KINDS = 200, 60, 4


def shop(seed: int) -> tuple[Events, np.ndarray]:
    """Users who buy of one kind each; the kind of each item."""
    rng = np.random.default_rng(seed)
    kind = np.arange(ITEMS) % KINDS
    rows = [
        (user, int(item), float(day))
        for user in range(USERS)
        for day, item in enumerate(rng.choice(np.flatnonzero(kind == user % KINDS), 20, replace=False))
    ]
    return events(rows, users=USERS, items=ITEMS), kind


def encoded(kind: np.ndarray, signal: float) -> np.ndarray:
    """Unit rows that tell the kind, as loudly as `signal`."""
    rng = np.random.default_rng(1)
    rows = signal * np.eye(KINDS, 32)[kind] + 0.05 * rng.normal(size=(len(kind), 32)) + 0.5
    found: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found.astype(np.float32)


def test_texts_that_tell_taste_are_used() -> None:
    bought, kind = shop(0)
    silent = features(catalogue([[f"only {row}"] for row in range(ITEMS)]))
    found = with_texts(silent, encoded(kind, 1.0), bought, seed=0)
    recall = found.report["held_out_recall@20"]
    assert found.report["text_share"] > 0
    assert recall[f"{found.report['text_share']:g}"] > recall["0"] + 0.1


def test_texts_that_tell_nothing_are_left_out() -> None:
    bought, kind = shop(0)
    told = features(catalogue([[f"kind {k}"] for k in kind]))
    found = with_texts(told, encoded(np.random.default_rng(5).permutation(kind), 1.0), bought, seed=0)
    assert found.report["text_share"] == 0.0
    assert dense_part(found.features).shape == (ITEMS, 0)


def test_rows_stay_of_length_one_whichever_part_an_item_has() -> None:
    hashed = features(catalogue([["a"], ["b"], [], []]))
    dense = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=np.float32)
    both = stack(hashed, dense, 0.4)
    lengths = np.sqrt(np.asarray(both.multiply(both).sum(axis=1)).ravel())
    assert lengths.tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0], abs=1e-6)
    ids, weights = content_table(both)
    assert ids.max() < BUCKETS
    assert np.square(weights).sum(axis=1).tolist() == pytest.approx([0.6, 1.0, 0.0, 0.0], abs=1e-6)
    assert np.square(dense_part(both)).sum(axis=1).tolist() == pytest.approx([0.4, 0.0, 1.0, 0.0], abs=1e-6)


def test_what_all_texts_share_is_taken_out() -> None:
    rng = np.random.default_rng(0)
    rows = 5.0 + rng.normal(size=(50, 16))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    assert (rows @ rows.T).mean() > 0.9
    dense = compress(rows, seed=0)
    assert abs(float((dense @ dense.T).mean())) < 0.1


def test_only_the_early_part_of_a_history_is_asked_about() -> None:
    bought = events([(0, item, float(item)) for item in range(10)] + [(1, 3, 0.0)])
    assert early(bought).items.tolist() == [0, 1, 2, 3, 4, 5, 3]


def test_a_catalogue_that_says_nothing_scores_nothing() -> None:
    bought, _ = shop(0)
    nothing = sparse.csr_array((ITEMS, BUCKETS))
    assert held_out_recall(nothing, bought, seed=0) < 0.7
    assert compress(np.zeros((ITEMS, 8), dtype=np.float32), seed=0).shape == (ITEMS, 0)
