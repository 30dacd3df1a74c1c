"""EASE over what was near in time: item–item weights that discount what other items already say.

    G = LASTING * Y'Y + (1 - LASTING) * N        Y: log counts of users, N: sums of nearness, see nearness.py
    B = I - P / diag(P),  P = (G + ridge I)^-1,  diagonal 0

`lasting` 1 is plain EASE. Dense in the items that take part, so only the most popular `cap` do. O(cap^3).
Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import lapack

from trainer.data import Events
from trainer.links.nearness import near_gram

CAP = 5_000

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Capped:
    """The most popular items of a catalogue: items (c,) their rows, ascending; column_of (n,) or -1."""

    items: Rows
    column_of: Rows


def capped(events: Events, cap: int = CAP) -> Capped:
    """The `cap` items with most events, none without any."""
    counts = np.bincount(events.items, minlength=events.item_count)
    most = np.argsort(-counts, kind="stable")[:cap]
    items = np.sort(most[counts[most] > 0]).astype(np.int32)
    column_of = np.full(events.item_count, -1, dtype=np.int32)
    column_of[items] = np.arange(len(items), dtype=np.int32)
    return Capped(items, column_of)


def log_gram(events: Events, among: Capped) -> Doubles:
    """Y'Y (c, c), Y the log of 1 + how often each user had each item."""
    column = among.column_of[events.items]
    known = column >= 0
    shape = (events.user_count, len(among.items))
    y = sparse.csr_array((np.ones(int(known.sum())), (events.users[known], column[known])), shape=shape)
    y.sum_duplicates()
    y.data = np.log1p(y.data)
    return np.asarray((y.T @ y).toarray(), dtype=np.float64)


def gram(events: Events, among: Capped, lasting: float, decay: float) -> Doubles:
    """G (c, c) without the ridge."""
    lasts = log_gram(events, among)
    if lasting >= 1.0:
        return lasts
    lasts *= lasting
    near = near_gram(events, among.column_of, len(among.items), decay)
    near *= 1.0 - lasting
    lasts += near
    return lasts


def ease(system: Doubles, ridge: float) -> Floats:
    """B (c, c) of a Gram matrix; row i is what item i says of every other."""
    if not len(system):
        return np.zeros((0, 0), dtype=np.float32)
    ridged = system + ridge * np.eye(len(system))
    lower, _ = lapack.dpotrf(ridged.T, lower=1, clean=0, overwrite_a=1)
    inverse, failed = lapack.dpotri(lower, lower=1, overwrite_c=1)
    if failed:
        raise ArithmeticError(f"a ridge of {ridge:g} leaves {len(system)} items without an inverse")
    found: Floats = np.tril(inverse).astype(np.float32)  # LAPACK fills one triangle and leaves the other as it was
    diagonal = found.diagonal().copy()
    found += np.tril(found, -1).T
    found /= -diagonal[None]
    np.fill_diagonal(found, 0.0)
    return found
