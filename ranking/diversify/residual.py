"""How much of each vector the picks so far cannot express.

    residual_i = |v_i|^2 - sum over basis vectors b of (v_i . b)^2

Kept by an orthonormal basis of the picks (size x dim, Gram-Schmidt): one matrix-vector product a pick and no matrix
of pairs. The squared volume that the picks span is the product of their residuals when picked, which is what a greedy
determinantal process maximises: Chen, Zhang, Zhou, "Fast greedy MAP inference for determinantal point process",
NeurIPS 2018, there by a Cholesky factor of the pairs.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

EPSILON = 1e-5  # of a unit vector's square: below it float32 says nothing more

UNIT_TOLERANCE = 1e-4


def squared_lengths(vectors: Floats) -> Floats:
    """|v_i|^2 (n,); those of unit vectors exactly 1, so that equals stay equal: rounding is no reason to choose."""
    squared: Floats = np.einsum("nd,nd->n", vectors, vectors)
    squared[np.abs(squared - 1.0) < UNIT_TOLERANCE] = 1.0
    return squared


class Residual:
    """Residuals of n vectors under a growing set of picks."""

    def __init__(self, vectors: Floats, picks_max: int) -> None:
        self._vectors = vectors
        self._basis = np.zeros((min(picks_max, vectors.shape[1]), vectors.shape[1]), dtype=np.float32)
        self._rank = 0
        self.of: Floats = squared_lengths(vectors)

    def pick(self, place: int) -> None:
        """Take one vector into the basis; one that the basis spans already changes nothing. O(n * dim)."""
        if self._rank == len(self._basis):
            return
        basis = self._basis[: self._rank]
        new = self._vectors[place]
        for _ in range(2):  # once leaves float32's rounding
            new = new - basis.T @ (basis @ new)
        squared = float(new @ new)
        if squared <= EPSILON:
            return
        new /= np.float32(np.sqrt(squared))
        self._basis[self._rank] = new
        self._rank += 1
        shadow = self._vectors @ new
        self.of -= shadow * shadow
        np.maximum(self.of, 0.0, out=self.of)
