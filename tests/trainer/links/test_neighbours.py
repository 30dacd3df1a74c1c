"""Item to item: what goes together, and what stands near in time, whatever the order inside a group."""

import numpy as np
import pytest

from tests.trainer.build import events
from trainer.data import Events
from trainer.factorise import weight_matrix
from trainer.links.neighbours import LinkRule, cosines, neighbours, transitions

RULE = LinkRule(ridge=1.0, lasting=0.05, decay=0.8)
PLAIN = LinkRule(ridge=10.0, lasting=1.0)


def random_events(seed: int, rows: int = 300) -> Events:
    rng = np.random.default_rng(seed)
    return events([(int(rng.integers(30)), int(rng.integers(25)), float(rng.integers(9))) for _ in range(rows)])


def test_items_of_the_same_users_are_neighbours_and_others_are_not() -> None:
    known = events([(user, item, 0.0) for user in range(8) for item in ((0, 1, 2) if user < 4 else (3, 4))])
    found, weights = neighbours(known, weight_matrix(known), RULE, 4)
    assert set(found[0][weights[0] > 1e-6].tolist()) == {1, 2}
    assert set(found[3][weights[3] > 1e-6].tolist()) == {4}


def test_plain_neighbours_solve_the_regression_of_each_item_on_all_others() -> None:
    known = random_events(0)
    x = np.zeros((known.user_count, known.item_count))
    np.add.at(x, (known.users, known.items), 1.0)
    x = np.log1p(x)
    found, weights = neighbours(known, weight_matrix(known), PLAIN, 24)
    dense = np.zeros((known.item_count, known.item_count))
    np.put_along_axis(dense, found, weights, axis=1)
    for item in range(known.item_count):
        others = np.delete(np.arange(known.item_count), item)
        a = x[:, others]
        solved = np.linalg.solve(a.T @ a + PLAIN.ridge * np.eye(len(others)), a.T @ x[:, item])
        assert np.allclose(dense[others, item], solved, atol=1e-4)


def test_items_beyond_the_cap_have_neighbours_on_the_same_scale() -> None:
    known = random_events(1, 400)
    found, weights = neighbours(known, weight_matrix(known), RULE, 5, cap=12)
    counts = np.bincount(known.items, minlength=known.item_count)
    beyond = np.argsort(-counts, kind="stable")[12:]
    within = np.argsort(-counts, kind="stable")[:12]
    assert (found[beyond, 0] >= 0).all()
    ratio = np.median(weights[beyond].max(axis=1)) / np.median(weights[within].max(axis=1))
    assert 0.9 < ratio < 1.1


def test_cosines_equal_the_dense_product() -> None:
    known = random_events(2)
    x = np.log1p(weight_matrix(known).toarray())
    together = x.T @ x
    norms = np.sqrt(np.diag(together))
    dense = together / (norms[:, None] * norms[None] + 1.0)
    np.fill_diagonal(dense, 0.0)
    of = np.arange(known.item_count)
    found, weights = cosines(weight_matrix(known), 5, of)
    for row in of:
        kept = found[row] >= 0
        assert np.allclose(weights[row][kept], np.sort(dense[row])[::-1][: kept.sum()], atol=1e-5)
        assert np.allclose(dense[row][found[row][kept]], weights[row][kept], atol=1e-5)


def test_transitions_equal_the_sum_over_all_pairs_in_both_directions() -> None:
    known, rule = random_events(3, 200), LinkRule(near_decay=0.7, within=0.5)
    near = np.zeros((known.item_count, known.item_count))
    for user in range(known.user_count):
        mine = np.flatnonzero(known.users == user)
        group = known.groups[mine]
        place = {g: np.flatnonzero(group == g).mean() for g in set(group.tolist())}
        for i, one in enumerate(mine):
            for j, other in enumerate(mine):
                distance = abs(place[group[i]] - place[group[j]])
                if i != j and distance <= np.log(0.02) / np.log(0.7):
                    near[known.items[one], known.items[other]] += 0.5 if distance == 0 else 0.7**distance
    np.fill_diagonal(near, 0.0)
    sums = near.sum(axis=1) + 20.0
    dense = near / (sums[:, None] ** 0.6 * sums[None] ** 0.5)
    found, weights = transitions(known, rule, known.item_count - 1)
    reached = np.zeros_like(dense)
    for row in range(known.item_count):
        kept = found[row] >= 0
        reached[row, found[row][kept]] = weights[row][kept]
    assert np.allclose(reached, dense / dense.max(), atol=1e-5)


def test_transitions_ignore_the_order_inside_a_group() -> None:
    rng = np.random.default_rng(1)
    rows = [(int(rng.integers(15)), int(rng.integers(12)), float(rng.integers(6))) for _ in range(240)]
    shuffled = [rows[place] for place in rng.permutation(len(rows))]
    known, other = events(rows), events(shuffled)
    assert np.allclose(transitions(known, RULE, 11)[1], transitions(other, RULE, 11)[1], atol=1e-6)


def test_without_weight_inside_a_group_its_items_are_no_transitions_of_each_other() -> None:
    known = events([(user, item, 0.0) for user in range(5) for item in range(3)])
    assert (transitions(known, LinkRule(within=0.0), 3)[0] == -1).all()


@pytest.mark.parametrize("count", [1, 4, 30])
def test_of_equal_cosines_those_of_lower_rows_are_kept(count: int) -> None:
    together = events([(user, item, 1.0) for user in range(3) for item in range(40)])
    rows, found = cosines(weight_matrix(together), count, np.array([7]))
    assert rows[0].tolist() == [item for item in range(40) if item != 7][:count]
    assert len(set(found[0].tolist())) == 1


def test_a_catalogue_of_one_item_has_no_links() -> None:
    known = events([(0, 0, 0.0), (1, 0, 1.0)])
    assert (neighbours(known, weight_matrix(known), RULE, 3)[0] == -1).all()
    assert (transitions(known, RULE, 3)[0] == -1).all()
