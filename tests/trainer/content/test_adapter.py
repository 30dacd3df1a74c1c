"""From content to item space: by contrast where that finds partners of unseen items better, by regression elsewhere."""

import numpy as np
import pytest

from tests.trainer.build import catalogue
from trainer.content import adapter
from trainer.content.adapter import PAIRS_MIN, Pairs, contrast, held_out, mapping, pairs_of, ridge
from trainer.content.content import features

ITEMS, KINDS, DIM = 240, 6, 8
RNG = np.random.default_rng(0)
KIND = np.arange(ITEMS) % KINDS
COUNTS = np.full(ITEMS, 20)
CENTRES = np.linalg.qr(RNG.normal(size=(DIM, DIM)))[0][:KINDS]
LEARNED = (CENTRES[KIND] + 0.2 * RNG.normal(size=(ITEMS, DIM))).astype(np.float32)
DESCRIBED = features(catalogue([[f"kind {kind}"] for kind in KIND], titles=[f"number {row}" for row in range(ITEMS)]))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for a planted world."""
    monkeypatch.setattr(adapter, "STEPS", 60)
    monkeypatch.setattr(adapter, "BATCH", 128)


def partners() -> Pairs:
    """Items of one kind go together."""
    left, right = np.nonzero((KIND[:, None] == KIND) & ~np.eye(ITEMS, dtype=bool))
    return Pairs(left, right, np.ones(len(left)))


def test_an_item_lands_where_those_that_go_with_it_are() -> None:
    made = DESCRIBED @ mapping(DESCRIBED, LEARNED, COUNTS, partners(), seed=0)
    assert (np.argmax(made @ CENTRES.T, axis=1) == KIND).all()


def test_contrast_finds_partners_of_unseen_items() -> None:
    contrasted, regression = held_out(DESCRIBED, LEARNED, COUNTS, partners(), seed=0)
    assert contrasted > 0.9
    assert regression > 0.9


def test_contrast_turns_a_wrong_map_towards_the_partners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "LEARNING_RATE", 0.02)
    wrong = RNG.normal(size=(DESCRIBED.shape[1], DIM)).astype(np.float32)
    learned = contrast(wrong, DESCRIBED, LEARNED, partners(), seed=0)
    before, after = ((np.argmax(DESCRIBED @ made @ CENTRES.T, axis=1) == KIND).mean() for made in (wrong, learned))
    assert after > before + 0.2


def test_the_same_seed_gives_the_same_bits() -> None:
    start = ridge(DESCRIBED, LEARNED, COUNTS)
    once, twice = (contrast(start, DESCRIBED, LEARNED, partners(), seed=3) for _ in range(2))
    assert np.array_equal(once, twice)


def test_with_few_pairs_it_is_the_regression() -> None:
    few = partners().where(np.arange(len(partners())) < PAIRS_MIN - 1)
    assert np.array_equal(mapping(DESCRIBED, LEARNED, COUNTS, few, seed=0), ridge(DESCRIBED, LEARNED, COUNTS))
    assert np.array_equal(mapping(DESCRIBED, LEARNED, COUNTS, None, seed=0), ridge(DESCRIBED, LEARNED, COUNTS))


def test_contrast_ships_only_where_it_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.content.adapter.held_out", lambda *_: (0.4, 0.5))
    assert np.array_equal(mapping(DESCRIBED, LEARNED, COUNTS, partners(), seed=0), ridge(DESCRIBED, LEARNED, COUNTS))
    monkeypatch.setattr("trainer.content.adapter.held_out", lambda *_: (0.6, 0.5))
    assert not np.array_equal(
        mapping(DESCRIBED, LEARNED, COUNTS, partners(), seed=0), ridge(DESCRIBED, LEARNED, COUNTS)
    )


def test_pairs_are_of_items_with_interactions_that_speak_for_each_other() -> None:
    rows = np.array([[1, 2, -1], [0, 2, -1], [0, -1, -1]], dtype=np.int32)
    weights = np.array([[0.5, -0.2, 0.0], [0.3, 0.1, 0.0], [0.4, 0.0, 0.0]], dtype=np.float32)
    found = pairs_of(rows, weights, np.array([3, 1, 0]))
    assert list(zip(found.lefts.tolist(), found.rights.tolist(), strict=True)) == [(0, 1), (1, 0)]
