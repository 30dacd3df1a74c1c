"""Implicit matrix factorisation by alternating least squares, and the exact fold-in of one history.

    minimise  sum over (u, i) of c_ui * (p_ui - x_u . y_i)^2 + regularisation * (|x_u|^2 + |y_i|^2)
    p_ui = 1 where the user had the item, else 0
    c_ui = 1 + alpha * log(1 + weight_ui), or 1 + alpha for each item had

The weight is the faded sum that a state holds of the item, so fold-in of a live state continues the training. Which
confidence, and how large alpha and regularisation are: `FactorRule`, chosen in trainer/factor_choice.py.
Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008; solved by a few conjugate
gradient steps from the previous sweep: Takács, Pilászy, Tikk, RecSys 2011.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from trainer.data import Events, faded_strengths

SWEEP_STEPS = 3
SHORTEST = 0.2
CHUNK = 65_536  # entries a gather takes at once, so that it stays in the cache

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FactorRule:
    """How sure an event makes, and how hard factors are held near 0.

    is_fading: whether confidence grows with the faded weight; else all items had count alike, however long ago
    """

    alpha: float = 10.0
    regularisation: float = 5.0
    is_fading: bool = True

    def confidences(self, weights: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """c - 1 for each weight; 0 for 0."""
        grown = np.log1p(weights) if self.is_fading else (weights > 0).astype(weights.dtype)
        extra: npt.NDArray[np.floating] = self.alpha * grown
        return extra


@dataclass(frozen=True, eq=False)
class Factors:
    """users (u, d), items (n, d), gram (d, d) = sum of item outer products plus the regularisation of the rule."""

    users: Floats
    items: Floats
    gram: npt.NDArray[np.float64]
    rule: FactorRule

    def whitened(self) -> "Factors":
        """The same products of users and items in axes where the gram is the identity.

        There no eigenvalue of a fold-in's system is below 1 or above 1 + its largest confidence, so that a few steps
        of conjugate gradient solve it, in float32 too; as trained, the axes of a small shop differ ten thousandfold.
        """
        root = np.linalg.cholesky(self.gram)
        items = linalg.solve_triangular(root, self.items.T.astype(np.float64), lower=True).T.astype(np.float32)
        users = (self.users.astype(np.float64) @ root).astype(np.float32)
        return Factors(users, np.ascontiguousarray(items), np.eye(len(root)), self.rule)

    def lifted(self) -> "Factors":
        """The same with no item's factor shorter than SHORTEST of the long ones; what nobody had stays zero.

        A signal of products over the largest of a user's own is of thousands for who had one obscure item, whose own
        product is next to nothing, and such a signal can be weighed with no other.
        """
        lengths = np.linalg.norm(self.items, axis=1)
        known = lengths > 0
        floor = SHORTEST * float(np.quantile(lengths[known], 0.99)) if known.any() else 0.0
        lift = np.where(known, np.maximum(1.0, floor / np.maximum(lengths, 1e-30)), 0.0).astype(np.float32)
        return replace(self, items=self.items * lift[:, None])


def weight_matrix(events: Events) -> sparse.csr_array:
    """Faded weights (users, items) as states hold them; what is not positive on balance is left out."""
    shape = (events.user_count, events.item_count)
    matrix = sparse.csr_array((faded_strengths(events), (events.users, events.items)), shape=shape)
    matrix.sum_duplicates()
    matrix.data = np.maximum(matrix.data, 0.0)
    matrix.eliminate_zeros()
    return matrix.astype(np.float32)


def factorise(
    weights: sparse.csr_array,
    dim: int,
    sweeps: int,
    seed: int,
    tick: Callable[[], None] = lambda: None,
    rule: FactorRule | None = None,
    start: Factors | None = None,
) -> Factors:
    """Fit to a (users, items) matrix of positive weights. O(sweeps * entries * dim); `tick` is called each sweep.

    rule: None means the usual one; start: where to go on from, None means from noise
    """
    rule = rule or FactorRule()
    extra = sparse.csr_array(
        (rule.confidences(weights.data).astype(np.float32), weights.indices, weights.indptr), weights.shape
    )
    flipped = sparse.csr_array(extra.T)
    if start is None:
        users = np.zeros((weights.shape[0], dim), dtype=np.float32)
        items = (np.random.default_rng(seed).normal(size=(weights.shape[1], dim)) * 0.1).astype(np.float32)
        items[np.diff(flipped.indptr) == 0] = 0.0
    else:
        users, items = start.users, start.items
    for _ in range(sweeps):
        users = _solve(extra, users, items, rule.regularisation)
        items = _solve(flipped, items, users, rule.regularisation)
        tick()
    wide = items.astype(np.float64)
    return Factors(users, items, wide.T @ wide + rule.regularisation * np.eye(dim), rule)


def fold_in(gram: npt.NDArray[np.float64], rule: FactorRule, factors: Floats, weights: Floats) -> Floats:
    """The exact factor (d,) of one history: factors (m, d) of its items, weights (m,), 0 where padded."""
    extra = rule.confidences(weights.astype(np.float64))
    wide = factors.astype(np.float64)
    target = wide.T @ np.where(weights > 0, 1.0 + extra, 0.0)
    factor: Floats = np.linalg.solve(gram + (wide * extra[:, None]).T @ wide, target).astype(np.float32)
    return factor


def solve_rows(
    extra: sparse.csr_array, target: npt.NDArray[np.floating], start: Floats, others: Floats, ridge: float, steps: int
) -> Floats:
    """Each row's x of (others' others + ridge I + others' diag(extra) others) x = target, from `start`.

    extra (r, c): confidences above 1; target, start (r, d); others (c, d). Conjugate gradient over all rows at once.
    """
    system = (others.T @ others + ridge * np.eye(others.shape[1])).astype(np.float32)
    rows = np.repeat(np.arange(extra.shape[0], dtype=np.int32), np.diff(extra.indptr))

    def apply(x: Floats) -> Floats:
        products = np.empty(len(rows), dtype=np.float32)
        for begin in range(0, len(rows), CHUNK):
            part = slice(begin, begin + CHUNK)
            products[part] = np.einsum("ed,ed->e", x[rows[part]], others[extra.indices[part]])
        weighted = sparse.csr_array((extra.data * products, extra.indices, extra.indptr), extra.shape)
        applied: Floats = x @ system + (weighted @ others).astype(np.float32, copy=False)
        return applied

    x = start.copy()
    residual: Floats = (target - apply(x)).astype(np.float32)
    direction, size = residual.copy(), np.einsum("nd,nd->n", residual, residual)
    for _ in range(steps):
        applied = apply(direction)
        along = np.einsum("nd,nd->n", direction, applied)
        step = np.where(along > 1e-12, size / np.maximum(along, 1e-12), 0.0)[:, None].astype(np.float32)
        x += step * direction
        residual -= step * applied
        grown = np.einsum("nd,nd->n", residual, residual)
        turn = np.where(size > 1e-12, grown / np.maximum(size, 1e-12), 0.0)[:, None].astype(np.float32)
        direction, size = residual + turn * direction, grown
    return x


def _solve(extra: sparse.csr_array, start: Floats, others: Floats, regularisation: float) -> Floats:
    target = sparse.csr_array((1.0 + extra.data, extra.indices, extra.indptr), extra.shape) @ others
    return solve_rows(extra, target, start, others, regularisation, SWEEP_STEPS)
