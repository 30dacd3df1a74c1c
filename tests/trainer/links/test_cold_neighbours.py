"""Items without one interaction stand among the neighbours of what is like them, as strongly as likeness is worth."""

import numpy as np
import pytest

from tests.trainer.build import catalogue
from trainer.content.content import features
from trainer.links.cold_neighbours import COLD_SLOTS, alignment, most_alike, with_cold

ITEMS, KINDS, WIDTH = 60, 3, 12
KIND = np.arange(ITEMS) % KINDS
COUNTS = np.where(np.arange(ITEMS) >= 51, 0, 5)  # the last nine, three of a kind, are cold
DESCRIBED = features(catalogue([[f"kind {kind}"] for kind in KIND]))
NOBODY = -np.ones((ITEMS, WIDTH), dtype=np.int32)


def lists(weight: float) -> tuple[np.ndarray, np.ndarray]:
    """Full lists of warm items of the same kind, all as strong."""
    rows = NOBODY.copy()
    for item in np.flatnonzero(COUNTS):
        same = np.flatnonzero((KIND[item] == KIND) & (COUNTS > 0))
        rows[item] = same[same != item][:WIDTH]
    return rows, np.where(rows >= 0, np.float32(weight), np.float32(0))


def test_a_warm_item_leads_to_cold_items_of_its_kind_and_to_no_others() -> None:
    rows, _ = with_cold(*lists(0.5), DESCRIBED, COUNTS)
    for item in np.flatnonzero(COUNTS):
        cold = rows[item][rows[item] >= 51]
        assert len(cold)
        assert (KIND[cold] == KIND[item]).all()


def test_every_cold_item_is_led_to() -> None:
    rows, _ = with_cold(*lists(0.5), DESCRIBED, COUNTS)
    assert set(range(51, ITEMS)) <= set(rows.ravel().tolist())


def test_no_more_than_the_last_places_go_to_cold_items() -> None:
    before, _ = lists(0.5)
    rows, weights = with_cold(*lists(0.5), DESCRIBED, COUNTS)
    assert ((rows >= 51).sum(axis=1) <= COLD_SLOTS).all()
    assert np.array_equal(rows[0][: WIDTH - 3], before[0][: WIDTH - 3])
    assert (weights[rows < 0] == 0).all()


@pytest.mark.parametrize("weight", [0.2, 0.6])
def test_a_cold_neighbour_weighs_what_likeness_is_worth_between_warm_items(weight: float) -> None:
    rows, weights = with_cold(*lists(weight), DESCRIBED, COUNTS)
    given = weights[rows >= 51]
    worth = alignment(*lists(weight), DESCRIBED, np.flatnonzero(COUNTS))
    assert given == pytest.approx(worth, abs=1e-5)
    assert 0.4 * weight < worth <= weight


def test_where_likeness_is_worth_nothing_lists_stay_as_they_are() -> None:
    rows, weights = NOBODY, np.zeros((ITEMS, WIDTH), dtype=np.float32)
    found = with_cold(rows, weights, DESCRIBED, COUNTS)
    assert np.array_equal(found[0], rows)


def test_neighbours_that_speak_against_an_item_keep_their_places() -> None:
    rows, weights = lists(0.5)
    weights[0, :4] = -0.3
    found_rows, found = with_cold(rows, weights, DESCRIBED, COUNTS)
    assert np.array_equal(found_rows[0, :4], rows[0, :4])
    assert (found[0, :4] == np.float32(-0.3)).all()


def test_cold_items_lead_nowhere_of_their_own() -> None:
    rows, weights = with_cold(*lists(0.5), DESCRIBED, COUNTS)
    assert (rows[51:] == -1).all()
    assert not weights[51:].any()


def test_the_most_alike_are_found_exactly() -> None:
    rng = np.random.default_rng(0)
    described = features(catalogue([[f"c{c}" for c in rng.choice(12, 3, replace=False)] for _ in range(80)]))
    asked, among = np.arange(40), np.arange(40, 80)
    rows, likeness = most_alike(described, asked, among, 5)
    exact = -np.sort(-(described[asked] @ described[among].T).toarray(), axis=1)[:, :5]
    assert np.allclose(likeness, exact, atol=1e-4)
    assert ((rows >= 40) | (rows == -1)).all()
