"""Encoded texts beside hashed words: one row of features an item, in parts that validation chose.

    d_i = unit( (e_i - mean) V / singular values^(1/2) )        V: the DIMS strongest directions; half whitened
    f_i = [ sqrt(1 - share) * hashed_i,  sqrt(share) * d_i ]    unit rows

What all items have in common says nothing of taste, and the few strongest directions would drown the rest; hence the
centring and half of a whitening. share is the one that ranks held-out items best: a fifth of the items is taken from
every user, who is then asked by content alone for what they had among them. Only the early part of each history is
looked at, which no protocol asks about. Su et al., "Whitening sentence representations", 2021.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interests.item_content import BUCKETS
from trainer.content.content import unit
from trainer.data import Events, positive
from trainer.factorise import weight_matrix

DIMS = 64
SAMPLE_MAX = 8_000
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)
EARLY_SHARE = 0.6
COLD_SHARE = 0.2
USERS_MAX = 400
COLD_MAX = 10_000
SIZE = 20

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Described:
    """features (n, BUCKETS) or (n, BUCKETS + d), unit rows; report: what was used and what it is worth."""

    features: sparse.csr_array
    report: dict[str, Any] = field(default_factory=dict)


def with_texts(hashed: sparse.csr_array, encoded: Floats, events: Events, seed: int) -> Described:
    """Both kinds of features. encoded (n, dim): unit rows, zeros where an item has no text."""
    dense = compress(encoded, seed)
    recall = {f"{share:g}": held_out_recall(stack(hashed, dense, share), events, seed) for share in SHARES}
    share = max(SHARES, key=lambda tried: recall[f"{tried:g}"])
    return Described(stack(hashed, dense, share), {"text_share": share, f"held_out_recall@{SIZE}": recall})


def compress(encoded: Floats, seed: int) -> Floats:
    """Centred, half whitened, at most DIMS directions (n, d), unit rows; zeros stay zeros."""
    known = np.flatnonzero(np.abs(encoded).sum(axis=1) > 0)
    if len(known) < 2:
        return np.zeros((len(encoded), 0), dtype=np.float32)
    sample = np.random.default_rng(seed).permutation(known)[:SAMPLE_MAX]
    mean = encoded[sample].mean(axis=0)
    _, sizes, directions = np.linalg.svd(encoded[sample] - mean, full_matrices=False)
    kept = np.flatnonzero(sizes[:DIMS] > 1e-4 * sizes[0])
    dense = np.zeros((len(encoded), len(kept)), dtype=np.float32)
    dense[known] = (encoded[known] - mean) @ directions[kept].T / np.sqrt(sizes[kept])
    return unit(dense)


def stack(hashed: sparse.csr_array, dense: Floats, share: float) -> sparse.csr_array:
    """Rows of both; an item that has one kind alone has that kind whole."""
    has_words, has_text = np.diff(hashed.indptr) > 0, np.abs(dense).sum(axis=1) > 0
    of_text = np.where(has_text, np.where(has_words, share, 1.0), 0.0) if share > 0 else np.zeros(len(dense))
    left = sparse.diags_array(np.sqrt(1.0 - of_text)) @ hashed
    if share <= 0 or not dense.shape[1]:
        return sparse.csr_array(left)
    right = sparse.csr_array(np.sqrt(of_text)[:, None] * dense.astype(np.float64))
    return sparse.csr_array(sparse.hstack([left, right], format="csr"))


def held_out_recall(described: sparse.csr_array, events: Events, seed: int) -> float:
    """Mean Recall@SIZE of ranking held-out items by content alone, for users who forgot them, on early events."""
    weights = weight_matrix(early(positive(events)))
    rng = np.random.default_rng(seed)
    items = np.flatnonzero(np.bincount(weights.indices, minlength=weights.shape[1]))
    cold = np.sort(rng.permutation(items)[: min(int(COLD_SHARE * len(items)), COLD_MAX)])
    users = np.flatnonzero(np.diff(weights.indptr) > 1)
    users = np.sort(rng.permutation(users)[:USERS_MAX])
    mine = sparse.csr_array(weights[users])
    had = sparse.csr_array(mine[:, cold])
    is_cold = np.zeros(weights.shape[1], dtype=np.bool_)
    is_cold[cold] = True
    mine.data = np.where(is_cold[mine.indices], 0.0, np.sqrt(mine.data))
    wanted = sparse.csr_array(mine @ described) @ sparse.csr_array(described[cold].T)
    found = []
    for place, scores in enumerate(sparse.csr_array(wanted).toarray()):
        relevant = had.indices[had.indptr[place] : had.indptr[place + 1]]
        if len(relevant):
            best = np.argsort(-scores, kind="stable")[:SIZE]
            found.append(len(np.intersect1d(best, relevant)) / len(relevant))
    return float(np.mean(found)) if found else 0.0


def early(events: Events) -> Events:
    """The first EARLY_SHARE of each user's timestamp groups."""
    groups, first = np.unique(events.groups, return_index=True)
    owners = events.users[first]
    count = np.bincount(owners, minlength=events.user_count)
    place = np.arange(len(groups)) - (np.cumsum(count) - count)[owners]
    kept = place < np.ceil(EARLY_SHARE * count[owners])
    return events.where(kept[np.searchsorted(groups, events.groups)])


def dense_part(described: sparse.csr_array) -> Floats:
    """The encoded part of features (n, d), d 0 where there is none."""
    part: Floats = described[:, BUCKETS:].toarray().astype(np.float32)
    return part
