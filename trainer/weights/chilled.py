"""A bundle as if nobody had ever turned to some of its items: what weights of cold items are learned on."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interests.bundle import Bundle
from trainer.content.content import content_vectors, unit
from trainer.links.cold_neighbours import with_cold

COLD_SHARE = 0.2

Rows = npt.NDArray[np.int64]
Longs = npt.NDArray[np.int64]


def pseudo_cold(described: sparse.csr_array, counts: Longs, seed: int) -> Rows:
    """COLD_SHARE of the items that have interactions and a description, ascending."""
    known = np.flatnonzero((counts > 0) & (np.diff(described.indptr) > 0))
    return np.sort(np.random.default_rng(seed).choice(known, int(COLD_SHARE * len(known)), replace=False))


def chill(bundle: Bundle, described: sparse.csr_array, counts: Longs, cold: Rows, seed: int) -> Bundle:
    """The bundle as if nobody had ever turned to the items `cold`; counts (n,): interactions of each item."""
    arrays = bundle.arrays
    left = counts.copy()
    left[cold] = 0
    is_cold = np.zeros(len(counts), dtype=np.bool_)
    is_cold[cold] = True
    vectors = arrays.item_vectors.copy()
    vectors[cold] = unit(content_vectors(described, arrays.item_vectors, left)[cold])
    empty = cold[np.linalg.norm(vectors[cold], axis=1) < 1e-6]
    vectors[empty] = unit(np.random.default_rng(seed).normal(size=(len(empty), vectors.shape[1])).astype(np.float32))
    beside = _without(arrays.neighbour_rows, arrays.neighbour_weights, is_cold)
    after = _without(arrays.transition_rows, arrays.transition_weights, is_cold)
    beside = with_cold(*beside, described, left)
    known = ~is_cold
    typical = np.float32(arrays.visit_shares[left > 0].mean()) if (left > 0).any() else np.float32(0)
    return replace(
        bundle,
        # The golden cases are of the vectors as they were.
        # With some weight or other, so that retrieval looks for cold items.
        manifest=bundle.manifest.model_copy(update={"golden": [], "cold_weights": {"content": 1.0}}),
        arrays=replace(
            arrays,
            item_vectors=vectors,
            item_factors=arrays.item_factors * known[:, None],
            neighbour_rows=beside[0],
            neighbour_weights=beside[1],
            transition_rows=after[0],
            transition_weights=after[1],
            popularity=arrays.popularity * known,
            recent_popularity=arrays.recent_popularity * known,
            debut_popularity=arrays.debut_popularity * known,
            visit_shares=np.where(known, arrays.visit_shares, typical),
        ),
    )


def _without(
    rows: npt.NDArray[np.int32], weights: npt.NDArray[np.float32], gone: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Neighbour lists that neither name these items nor are theirs."""
    dropped = gone[np.maximum(rows, 0)] | gone[:, None] | (rows < 0)
    weights = np.where(dropped, np.float32(0), weights)
    order = np.argsort(-weights, axis=1, kind="stable")
    rows = np.take_along_axis(np.where(dropped, np.int32(-1), rows), order, axis=1)
    return rows, np.take_along_axis(weights, order, axis=1)
