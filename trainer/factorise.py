"""Implicit matrix factorisation by alternating least squares, and the exact fold-in of one history.

    minimise  sum over (u, i) of c_ui * (p_ui - x_u . y_i)^2 + regularisation * (|x_u|^2 + |y_i|^2)
    p_ui = 1 where the user had the item, else 0;  c_ui = 1 + alpha * log(1 + weight_ui)

The weight is the faded sum that a state holds of the item, so fold-in of a live state continues the training.
Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008; solved by a few conjugate
gradient steps from the previous sweep: Takács, Pilászy, Tikk, RecSys 2011.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data import Events, faded_strengths

ALPHA = 10.0
REGULARISATION = 5.0
SWEEP_STEPS = 3
CHUNK = 65_536  # entries a gather takes at once, so that it stays in the cache

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Factors:
    """user_factors (u, d), item_factors (n, d), gram (d, d) = sum of item outer products plus the regularisation."""

    users: Floats
    items: Floats
    gram: npt.NDArray[np.float64]


def weight_matrix(events: Events) -> sparse.csr_array:
    """Faded weights (users, items) as states hold them; what is not positive on balance is left out."""
    shape = (events.user_count, events.item_count)
    matrix = sparse.csr_array((faded_strengths(events), (events.users, events.items)), shape=shape)
    matrix.sum_duplicates()
    matrix.data = np.maximum(matrix.data, 0.0)
    matrix.eliminate_zeros()
    return matrix.astype(np.float32)


def confidences(weights: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """c - 1 for each weight; 0 for 0."""
    extra: npt.NDArray[np.floating] = ALPHA * np.log1p(weights)
    return extra


def factorise(
    weights: sparse.csr_array, dim: int, sweeps: int, seed: int, tick: Callable[[], None] = lambda: None
) -> Factors:
    """Fit to a (users, items) matrix of positive weights. O(sweeps * entries * dim); `tick` is called each sweep."""
    rng = np.random.default_rng(seed)
    extra = sparse.csr_array(
        (confidences(weights.data).astype(np.float32), weights.indices, weights.indptr), weights.shape
    )
    flipped = sparse.csr_array(extra.T)
    users = np.zeros((weights.shape[0], dim), dtype=np.float32)
    items = (rng.normal(size=(weights.shape[1], dim)) * 0.1).astype(np.float32)
    items[np.diff(flipped.indptr) == 0] = 0.0
    for _ in range(sweeps):
        users = _solve(extra, users, items)
        items = _solve(flipped, items, users)
        tick()
    return Factors(users, items, gram(items))


def gram(items: Floats) -> npt.NDArray[np.float64]:
    """What a fold-in's system starts from, (d, d)."""
    wide = items.astype(np.float64)
    out: npt.NDArray[np.float64] = wide.T @ wide + REGULARISATION * np.eye(items.shape[1])
    return out


def fold_in(gram: npt.NDArray[np.float64], factors: Floats, weights: Floats) -> Floats:
    """The exact factor (d,) of one history: factors (m, d) of its items, weights (m,), 0 where padded."""
    extra = confidences(weights.astype(np.float64))
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


def _solve(extra: sparse.csr_array, start: Floats, others: Floats) -> Floats:
    target = sparse.csr_array((1.0 + extra.data, extra.indices, extra.indptr), extra.shape) @ others
    return solve_rows(extra, target, start, others, REGULARISATION, SWEEP_STEPS)
