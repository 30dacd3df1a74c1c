"""iALS: implicit matrix factorisation by alternating least squares, as a baseline with settings of its own.

    minimise  sum over all (u, i) of c_ui (p_ui - x_u . y_i)^2 + ridge * (|x|^2 + |y|^2)
    p 1 where the user had the item, else 0;  c = 1 + alpha p

Hu, Koren, Volinsky, ICDM 2008; conjugate gradient: Takács, Pilászy, Tikk, RecSys 2011; that its settings decide how
good it is: Rendle, Krichene, Zhang, Koren, "Revisiting the performance of iALS", RecSys 2022.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data import Events
from trainer.evaluation.moments import Past

DIM, SWEEPS, STEPS = 64, 10, 3
CHUNK = 65_536  # entries a gather takes at once, so that it stays in the cache

Floats = npt.NDArray[np.float32]


class ALS:
    """Item factors, and a user folded in from what they had."""

    def __init__(self, events: Events, alpha: float, ridge: float, seed: int) -> None:
        """Fits. O(SWEEPS * distinct pairs * DIM)."""
        pairs = np.unique(events.users.astype(np.int64) * events.item_count + events.items)
        ones = np.ones(len(pairs), dtype=np.float32)
        shape = (events.user_count, events.item_count)
        had = sparse.csr_array((ones, (pairs // events.item_count, pairs % events.item_count)), shape=shape)
        flipped = sparse.csr_array(had.T)
        self._alpha, self._ridge = alpha, ridge
        rng = np.random.default_rng(seed)
        self._items: Floats = (rng.normal(size=(shape[1], DIM)) / np.sqrt(DIM)).astype(np.float32)
        self._items[np.diff(flipped.indptr) == 0] = 0.0
        users = np.zeros((shape[0], DIM), dtype=np.float32)
        for _ in range(SWEEPS):
            users = self._solve(had, users, self._items)
            self._items = self._solve(flipped, self._items, users)

    def scores(self, pasts: Sequence[Past]) -> Floats:
        """Scores (u, n) of users solved for exactly."""
        gram = self._items.T @ self._items + self._ridge * np.eye(DIM)
        factors = np.zeros((len(pasts), DIM), dtype=np.float32)
        for row, one in zip(factors, pasts, strict=True):
            mine = self._items[one.had].astype(np.float64)
            row[:] = np.linalg.solve(gram + self._alpha * mine.T @ mine, (1.0 + self._alpha) * mine.sum(axis=0))
        found: Floats = factors @ self._items.T
        return found

    def _solve(self, had: sparse.csr_array, start: Floats, others: Floats) -> Floats:
        """Conjugate gradient over all rows at once; each row is a system of its own."""
        system = (others.T @ others + self._ridge * np.eye(DIM)).astype(np.float32)
        rows = np.repeat(np.arange(had.shape[0]), np.diff(had.indptr))

        def apply(x: Floats) -> Floats:
            products = np.empty(len(rows), dtype=np.float32)
            for begin in range(0, len(rows), CHUNK):
                part = slice(begin, begin + CHUNK)
                products[part] = np.einsum("ed,ed->e", x[rows[part]], others[had.indices[part]])
            seen = sparse.csr_array((self._alpha * products, had.indices, had.indptr), shape=had.shape)
            applied: Floats = x @ system + (seen @ others).astype(np.float32)
            return applied

        x = start.copy()
        residual: Floats = ((1.0 + self._alpha) * (had @ others)).astype(np.float32) - apply(x)
        direction, size = residual.copy(), np.einsum("nd,nd->n", residual, residual)
        for _ in range(STEPS):
            applied = apply(direction)
            along = np.einsum("nd,nd->n", direction, applied)
            step = np.where(along > 1e-12, size / np.maximum(along, 1e-12), 0.0)[:, None].astype(np.float32)
            x += step * direction
            residual -= step * applied
            grown = np.einsum("nd,nd->n", residual, residual)
            turn = np.where(size > 1e-12, grown / np.maximum(size, 1e-12), 0.0)[:, None].astype(np.float32)
            direction, size = residual + turn * direction, grown
        return x
