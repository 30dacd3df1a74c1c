"""How much of each vector the picks so far cannot express.

    residual_i = |v_i|^2 - sum over basis vectors b of (v_i . b)^2

Kept by an orthonormal basis of the picks (size x dim, Gram-Schmidt): one matrix-vector product a pick and no matrix
of pairs. The squared volume that the picks span is the product of their residuals when picked, which is what a greedy
determinantal process maximises: Chen, Zhang, Zhou, "Fast greedy MAP inference for determinantal point process",
NeurIPS 2018, there by a Cholesky factor of the pairs.
"""

import numpy as np

from ranking.diversify.inputs import Floats

EPSILON = 1e-5  # of a unit vector's square: below it float32 says nothing more

UNIT_TOLERANCE = 1e-4


class Residual:
    """Residuals of n vectors under a growing set of picks."""

    def __init__(self, vectors: Floats, picks_max: int) -> None:
        self._vectors = vectors
        self._basis = np.zeros((min(picks_max, vectors.shape[1]), vectors.shape[1]), dtype=np.float32)
        self._rank = 0
        self.of: Floats = np.einsum("nd,nd->n", vectors, vectors)
        self.of[np.abs(self.of - 1.0) < UNIT_TOLERANCE] = 1.0  # equals stay equal: rounding is no reason to choose

    def pick(self, place: int) -> None:
        """Take one vector into the basis; one that the basis spans already changes nothing. O(n * dim)."""
        if self.of[place] <= EPSILON or self._rank == len(self._basis):
            return
        basis = self._basis[: self._rank]
        new = self._vectors[place] - basis.T @ (basis @ self._vectors[place])
        length = float(np.linalg.norm(new))
        if length * length <= EPSILON:
            return
        new /= length
        self._basis[self._rank] = new
        self._rank += 1
        shadow = self._vectors @ new
        self.of -= shadow * shadow
        np.maximum(self.of, 0.0, out=self.of)
