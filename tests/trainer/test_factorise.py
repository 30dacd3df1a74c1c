"""Matrix factorisation: finds planted tastes, and folds a new user in as it was trained."""

import numpy as np
import pytest

from tests.trainer.build import events
from trainer.data import Events
from trainer.factorise import SHORTEST, FactorRule, factorise, fold_in, weight_matrix


def two_tastes() -> Events:
    rng = np.random.default_rng(0)
    rows = [(user, int(rng.integers(10)) + 10 * (user % 2), float(day)) for user in range(60) for day in range(8)]
    return events(rows)


def test_items_of_ones_own_taste_score_above_all_others() -> None:
    factors = factorise(weight_matrix(two_tastes()), dim=8, sweeps=8, seed=0)
    scores = factors.users @ factors.items.T
    assert scores[::2, :10].min() > scores[::2, 10:].max()
    assert scores[1::2, 10:].min() > scores[1::2, :10].max()


@pytest.mark.parametrize("rule", [FactorRule(), FactorRule(alpha=40.0, regularisation=1.0, is_fading=False)])
@pytest.mark.parametrize("whiten", [False, True])
def test_folding_in_a_user_gives_the_factor_that_training_gave(rule: FactorRule, whiten: bool) -> None:
    weights = weight_matrix(two_tastes())
    factors = factorise(weights, dim=8, sweeps=25, seed=0, rule=rule)
    factors = factors.whitened() if whiten else factors
    for user in range(5):
        part = slice(weights.indptr[user], weights.indptr[user + 1])
        folded = fold_in(factors.gram, rule, factors.items[weights.indices[part]], weights.data[part])
        assert folded @ factors.users[user] / np.linalg.norm(folded) / np.linalg.norm(factors.users[user]) > 0.999


def test_fold_in_solves_its_own_equation() -> None:
    rng = np.random.default_rng(0)
    factors, weights = rng.normal(size=(5, 4)).astype(np.float32), np.array([1, 2, 0.5, 0, 0], dtype=np.float32)
    gram = factors.T @ factors + 5.0 * np.eye(4)
    x = fold_in(gram, FactorRule(), factors, weights)
    extra = FactorRule().confidences(weights)
    system = gram + sum(c * np.outer(y, y) for c, y in zip(extra, factors, strict=True))
    target = sum((1 + c) * y for c, y, w in zip(extra, factors, weights, strict=True) if w > 0)
    assert np.allclose(system @ x, target, atol=1e-4)


def test_whitened_factors_give_the_same_products_and_easy_systems() -> None:
    weights, rule = weight_matrix(two_tastes()), FactorRule(alpha=40.0, regularisation=1.0)
    trained = factorise(weights, dim=8, sweeps=8, seed=0, rule=rule)
    white = trained.whitened()
    assert np.allclose(white.users @ white.items.T, trained.users @ trained.items.T, atol=1e-4)
    mine = white.items[weights.indices[: weights.indptr[1]]].astype(np.float64)
    extra = rule.confidences(weights.data[: weights.indptr[1]].astype(np.float64))
    values = np.linalg.eigvalsh(white.gram + (mine * extra[:, None]).T @ mine)
    assert values.min() >= 1.0 - 1e-6
    assert values.max() <= 1.0 + extra.max()


def test_lifted_factors_are_none_too_short_and_nobodys_stay_zero() -> None:
    rng = np.random.default_rng(0)
    rows = [(user, int(item), float(item)) for user in range(40) for item in rng.choice(20, 6, replace=False)]
    weights = weight_matrix(events([*rows, (40, 20, 0.0)], items=22))  # 20 is one loner's, 21 nobody's
    trained = factorise(weights, dim=8, sweeps=8, seed=0, rule=FactorRule(alpha=1.0)).whitened()
    lengths, lifted = (np.linalg.norm(one.items, axis=1) for one in (trained, trained.lifted()))
    assert lengths[20] < 0.9 * SHORTEST * lengths.max()
    assert lifted[:21].min() == pytest.approx(SHORTEST * np.quantile(lengths[:21], 0.99), rel=1e-4)
    assert lifted[21] == 0
    long = lengths > SHORTEST * lengths.max()
    assert np.array_equal(trained.items[long], trained.lifted().items[long])


def test_lasting_confidence_counts_all_that_was_had_alike_and_fading_what_weighs_more() -> None:
    weights = np.array([0.0, 0.1, 5.0])
    assert FactorRule(alpha=3.0, is_fading=False).confidences(weights).tolist() == [0.0, 3.0, 3.0]
    fading = FactorRule(alpha=3.0).confidences(weights)
    assert fading[0] == 0 < fading[1] < fading[2]


def test_an_item_that_nobody_had_has_no_factor() -> None:
    known = events([(0, 0, 0.0), (1, 1, 0.0)], items=4)
    assert (factorise(weight_matrix(known), 4, 3, 0).items[2:] == 0).all()


def test_the_same_seed_gives_the_same_factors() -> None:
    one, other = (factorise(weight_matrix(two_tastes()), 8, 4, seed=7) for _ in range(2))
    assert np.array_equal(one.items, other.items)
