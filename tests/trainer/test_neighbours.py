"""Item to item: what goes together, and what comes after, by groups and never inside one."""

import numpy as np

from tests.trainer.build import events
from trainer.data import Events
from trainer.factorise import weight_matrix
from trainer.neighbours import neighbours, transitions


def test_items_of_the_same_users_are_neighbours_and_others_are_not() -> None:
    rows = [(user, item, 0.0) for user in range(8) for item in ((0, 1, 2) if user < 4 else (3, 4))]
    found, weights = neighbours(weight_matrix(events(rows)), 4)
    assert set(found[0][found[0] >= 0].tolist()) == {1, 2}
    assert set(found[3][found[3] >= 0].tolist()) == {4}
    assert ((weights >= 0) & (weights <= 1)).all()
    assert (np.diff(weights, axis=1) <= 0).all()


def test_neighbours_equal_the_dense_product() -> None:
    rng = np.random.default_rng(0)
    known = events([(int(rng.integers(30)), int(rng.integers(25)), float(rng.integers(9))) for _ in range(300)])
    x = np.log1p(weight_matrix(known).toarray())
    together = x.T @ x
    norms = np.sqrt(np.diag(together))
    dense = together / (norms[:, None] * norms[None] + 1.0)
    np.fill_diagonal(dense, 0.0)
    found, weights = neighbours(weight_matrix(known), 5)
    for row in range(known.item_count):
        kept = found[row] >= 0
        assert np.allclose(weights[row][kept], np.sort(dense[row])[::-1][: kept.sum()], atol=1e-5)
        assert np.allclose(dense[row][found[row][kept]], weights[row][kept], atol=1e-5)


def test_transitions_point_forward_in_time() -> None:
    rows = [(user, 0, 0.0) for user in range(6)] + [(user, 1, 3.0) for user in range(6)]
    found, weights = transitions(events(rows), 3)
    assert found[0].tolist() == [1, -1, -1]
    assert weights[0, 0] == 1.0
    assert found[1].tolist() == [-1, -1, -1]


def test_transitions_ignore_the_order_inside_a_group() -> None:
    rng = np.random.default_rng(1)
    rows = [(int(rng.integers(15)), int(rng.integers(12)), float(rng.integers(6))) for _ in range(240)]
    shuffled = [rows[place] for place in rng.permutation(len(rows))]
    assert _groups(events(rows)) == _groups(events(shuffled))
    for one, other in zip(transitions(events(rows), 4), transitions(events(shuffled), 4), strict=True):
        assert np.array_equal(one, other)


def test_items_of_one_group_do_not_follow_each_other() -> None:
    found, _ = transitions(events([(user, item, 0.0) for user in range(5) for item in range(3)]), 3)
    assert (found == -1).all()


def test_what_comes_months_later_does_not_follow() -> None:
    rows = [(user, item, day) for user in range(5) for item, day in ((0, 0.0), (1, 100.0))]
    assert (transitions(events(rows), 2)[0] == -1).all()


def _groups(known: Events) -> list[tuple[int, list[int]]]:
    return [(int(g), sorted(known.items[known.groups == g].tolist())) for g in np.unique(known.groups)]
