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
from trainer.factorise import solve_rows

DIM, SWEEPS, STEPS = 64, 10, 3

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
        extra = sparse.csr_array((np.float32(self._alpha) * had.data, had.indices, had.indptr), shape=had.shape)
        target: Floats = ((1.0 + self._alpha) * (had @ others)).astype(np.float32)
        return solve_rows(extra, target, start, others, self._ridge, STEPS)
