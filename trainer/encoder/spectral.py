"""Item vectors from what stands near what in histories, for the encoder to begin from.

    W          how near items stand to each other, symmetric, each by the roots of both items' sums
    vectors    the eigenvectors of W's largest eigenvalues, each times the root of its eigenvalue, as unit rows

Items that are met together begin close together, so training has the last mile to go instead of the whole way.
Item vectors as a factorised matrix of who is near whom: Levy & Goldberg, NeurIPS 2014.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from trainer.content.content import unit
from trainer.data import Events
from trainer.links.nearness import near_gram

TOLERANCE = 1e-3
ROUNDS_MAX = 60

LASTING = 0.05  # how near all that one user had is, whenever, beside what stands next to each other

Floats = npt.NDArray[np.float32]


def of_events(events: Events, decay: float, dim: int) -> Floats:
    """Unit rows (n, dim) from all pairs of a user's events, their nearness as trainer/links/nearness.py has it.

    Zeros for items that stand alone, and for all where no two items share a user. Dense (n, n): for small catalogues.
    """
    count = events.item_count
    if count <= dim + 1:
        return np.zeros((count, dim), dtype=np.float32)
    had = sparse.csr_array((np.ones(len(events)), (events.users, events.items)), shape=(events.user_count, count))
    near = (1.0 - LASTING) * near_gram(events, np.arange(count, dtype=np.int32), count, decay)
    near += LASTING * (had.T @ had).toarray()
    np.fill_diagonal(near, 0.0)
    sums = near.sum(axis=1)
    roots = np.sqrt(np.maximum(sums, 1.0))
    near /= roots[:, None] * roots[None]
    return _leading(near, sums == 0, dim)


def of_links(rows: npt.NDArray[np.int32], weights: Floats, dim: int) -> Floats:
    """Unit rows (n, dim) from links (n, m) to `rows`, -1 padded; zeros for items without a link.

    Where there are no more items than dimensions, or no links, zeros for all.
    """
    count = len(rows)
    known = (rows >= 0) & (weights > 0)
    if count <= dim + 1:
        return np.zeros((count, dim), dtype=np.float32)
    source = np.repeat(np.arange(count), known.sum(axis=1))
    links = sparse.csr_array((weights[known].astype(np.float64), (source, rows[known])), shape=(count, count))
    both: Any = (links + links.T) / 2.0
    return _leading(both, np.asarray(both.sum(axis=1)).ravel() == 0, dim)


def _leading(links: Any, alone: npt.NDArray[np.bool_], dim: int) -> Floats:
    if alone.all():  # the solver stops at a matrix of zeros
        return np.zeros((len(alone), dim), dtype=np.float32)
    found: Any
    values: Any
    try:
        # A start of its own instead of a random one: the same links give the same bits.
        values, found = eigsh(links, dim, which="LA", v0=np.ones(len(alone)), tol=TOLERANCE, maxiter=ROUNDS_MAX * dim)
    except ArpackNoConvergence as error:
        values, found = error.eigenvalues, error.eigenvectors
    placed = np.zeros((len(alone), dim), dtype=np.float32)
    placed[:, : len(values)] = found * np.sqrt(np.maximum(values, 0.0))
    placed[alone] = 0.0
    return unit(placed)
