"""Item vectors from what stands near what in histories, for the encoder to begin from.

    W          links between items, made symmetric
    vectors    the eigenvectors of W's largest eigenvalues, each times the root of its eigenvalue, as unit rows

Items that are met together begin close together, so training has the last mile to go instead of the whole way.
Item vectors as a factorised matrix of who is near whom: Levy & Goldberg, NeurIPS 2014.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from trainer.content import unit

TOLERANCE = 1e-3
ROUNDS_MAX = 60

Floats = npt.NDArray[np.float32]


def vectors(rows: npt.NDArray[np.int32], weights: Floats, dim: int) -> Floats:
    """Unit rows (n, dim) from links (n, m) to `rows`, -1 padded; zeros for items without a link.

    Where there are no more items than dimensions, or links of a kind without a spectrum, zeros for all.
    """
    count = len(rows)
    known = (rows >= 0) & (weights > 0)
    if count <= dim + 1 or not known.any():
        return np.zeros((count, dim), dtype=np.float32)
    source = np.repeat(np.arange(count), known.sum(axis=1))
    links = sparse.csr_array((weights[known].astype(np.float64), (source, rows[known])), shape=(count, count))
    both: Any = (links + links.T) / 2.0
    found: Any
    values: Any
    try:
        # A start of its own instead of a random one: the same links give the same bits.
        values, found = eigsh(both, dim, which="LA", v0=np.ones(count), tol=TOLERANCE, maxiter=ROUNDS_MAX * dim)
    except ArpackNoConvergence as error:
        values, found = error.eigenvalues, error.eigenvectors
    placed = np.zeros((count, dim), dtype=np.float32)
    placed[:, : len(values)] = found * np.sqrt(np.maximum(values, 0.0))
    placed[np.asarray(both.sum(axis=1)).ravel() == 0] = 0.0
    return unit(placed)
