"""How items are factorised, chosen on validation: what short histories need is far from what long ones do.

Confidence and whether it fades first, at the usual regularisation, then the regularisation. Each setting goes on from
the one before it, since a good start saves most of the sweeps. Users are folded in as they will be when served, and all
items are ranked: those that are new to the user, where anything was new. The usual rule stands unless the best is
better by more than a standard error of what it adds.
That alpha and regularisation decide how good it is: Rendle, Krichene, Zhang, Koren, "Revisiting the performance of
iALS on item recommendation benchmarks", RecSys 2022.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data import Events
from trainer.evaluation.metrics import expected_gain, ideal_gain
from trainer.factorise import FactorRule, Factors, factorise, fold_in, weight_matrix

# The usual setting is among them.
ALPHAS, REGULARISATIONS = (1.0, 4.0, 10.0, 40.0), (1.0, 25.0, 100.0)
FIRST_SWEEPS, SWEEPS = 3, 2  # at the first setting, and at each that goes on from another
USERS = 1_000
BLOCK_SCORES_MAX = 8_000_000
SIZE = 10

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Relevant = dict[int, npt.NDArray[np.int32]]


@dataclass(frozen=True)
class FactorChoice:
    """The rule, and NDCG@10 by setting on validation; the usual rule where there was nothing to choose by."""

    rule: FactorRule
    report: dict[str, float]


def steps() -> int:
    """How often `choose_factors` ticks."""
    return 2 * len(ALPHAS) + len(REGULARISATIONS)


def choose_factors(
    train: Events, relevant: Relevant, dim: int, seed: int, tick: Callable[[], None] = lambda: None
) -> FactorChoice:
    """train: positive events; relevant: what each validation user did next, by user row."""
    weights = weight_matrix(train)
    questions = _Questions(weights, relevant)
    if not questions.users:
        return FactorChoice(FactorRule(), {})
    found: dict[FactorRule, Doubles] = {}

    def tried(rule: FactorRule, start: Factors | None) -> Factors:
        factors = factorise(weights, dim, SWEEPS if start else FIRST_SWEEPS, seed, rule=rule, start=start)
        found[rule] = questions.ndcgs(factors)
        tick()
        return factors

    usual, best_of = FactorRule(), dict[FactorRule, Factors]()
    for is_fading in (True, False):
        factors: Factors | None = None
        for alpha in ALPHAS:
            rule = replace(usual, alpha=alpha, is_fading=is_fading)
            factors = tried(rule, factors)
            if rule == _best(found):
                best_of = {rule: factors}
    [(rule, factors)] = best_of.items()
    for regularisation in REGULARISATIONS:
        tried(replace(rule, regularisation=regularisation), factors)
    best = _best(found)
    added = found[best] - found[usual]
    is_better = added.mean() > added.std() / np.sqrt(len(added))
    return FactorChoice(best if is_better else usual, {_said(one): float(ndcg.mean()) for one, ndcg in found.items()})


def _best(found: dict[FactorRule, Doubles]) -> FactorRule:
    return max(found, key=lambda one: float(found[one].mean()))


def _said(rule: FactorRule) -> str:
    return f"alpha {rule.alpha:g}, regularisation {rule.regularisation:g}, {'fading' if rule.is_fading else 'lasting'}"


class _Questions:
    """Users with what they had and what they turned to."""

    def __init__(self, weights: sparse.csr_array, relevant: Relevant) -> None:
        """weights (users, n): faded, as states hold them"""
        had = {user: weights.indices[weights.indptr[user] : weights.indptr[user + 1]] for user in relevant}
        known = [user for user in relevant if len(had[user])][:USERS]
        fresh = [np.setdiff1d(relevant[user], had[user]) for user in known]
        self._only_new = any(len(wanted) for wanted in fresh)
        wanted = fresh if self._only_new else [relevant[user] for user in known]
        self.users = [user for user, rows in zip(known, wanted, strict=True) if len(rows)]
        self._wanted = [rows for rows in wanted if len(rows)]
        self._weights = weights

    def ndcgs(self, factors: Factors) -> Doubles:
        """NDCG@10 of each user folded in (u,), all items ranked."""
        block = max(BLOCK_SCORES_MAX // len(factors.items), 1)
        found = []
        for begin in range(0, len(self.users), block):
            pasts = [self._past(user) for user in self.users[begin : begin + block]]
            folded = [fold_in(factors.gram, factors.rule, factors.items[rows], weights) for rows, weights in pasts]
            scores: Floats = np.stack(folded) @ factors.items.T
            for mine, (rows, _), wanted in zip(scores, pasts, self._wanted[begin : begin + block], strict=True):
                if self._only_new:
                    mine[rows] = -np.inf
                above = np.array([np.count_nonzero(mine > mine[item]) for item in wanted])
                level = np.array([np.count_nonzero(mine == mine[item]) for item in wanted])
                found.append(float(expected_gain(above, level, SIZE).sum()) / ideal_gain(len(wanted), SIZE))
        return np.array(found)

    def _past(self, user: int) -> tuple[npt.NDArray[np.int32], Floats]:
        part = slice(self._weights.indptr[user], self._weights.indptr[user + 1])
        return self._weights.indices[part], self._weights.data[part]
