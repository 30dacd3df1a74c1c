"""How well an item fits what the catalogue says of the items that a user had.

    P          = sum over items i had of sqrt(w_i) * f_i / |the same sum|        w_i: the item's faded share of the user
    content[j] = P . f_j                                            in [0, 1]; 0 where nothing is known of either

f are unit rows: sparse hashed features (categories, brand, words, price step), and, where a text encoder was used, its
vector beside them. An item that nobody ever turned to has them too, so it is found and scored from the moment the
catalogue names it. The root keeps one item bought weekly from being all that a user is. Content-based profiles: Lops,
de Gemmis, Semeraro, "Content-based recommender systems: state of the art and trends", 2011; here with fading weights.
"""

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.fast.signals import signals_compiled

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer]


def content(bundle: Bundle, profile: Profile, rows: Rows) -> Floats:
    """The signal of each row, (n,) float32 in [0, 1]. O((rows + items had) * (features an item + dense dims))."""
    ids, weights, vectors = (
        bundle.arrays.content_ids,
        bundle.arrays.content_weights,
        bundle.arrays.content_vectors,
    )
    sparse, dense = content_profile(bundle, profile)
    if (fast := signals_compiled()) is not None:
        return fast.content(rows.astype(np.int64, copy=False), sparse, dense, ids, weights, vectors)
    found = np.zeros(len(rows), dtype=np.float32)
    if len(sparse) > 1:
        # Features that the user never met, the padding among them, stand at the end, where the profile is 0.
        met = np.minimum(ids[rows], len(sparse) - 1)
        found += np.einsum("nc,nc->n", sparse[met], weights[rows])
    if len(dense):
        found += vectors[rows] @ dense
    return np.clip(found, np.float32(0.0), np.float32(1.0))


def content_profile(bundle: Bundle, profile: Profile) -> tuple[Floats, Floats]:
    """The user over hashed features, then one 0; and over dense dimensions: together a unit vector, or zeros."""
    ids, weights, vectors = (
        bundle.arrays.content_ids,
        bundle.arrays.content_weights,
        bundle.arrays.content_vectors,
    )
    if (fast := signals_compiled()) is not None:
        return fast.content_profile(profile.item_rows, profile.item_weights, ids, weights, vectors)
    had, share = profile.item_rows, np.sqrt(profile.item_weights)
    reached = ids[had].ravel()
    given = (weights[had] * share[:, None]).ravel()
    sparse = np.append(np.bincount(reached[reached >= 0], weights=given[reached >= 0]), 0.0).astype(np.float32)
    dense = (share @ vectors[had]).astype(np.float32)
    length = np.float32(max(np.sqrt(float(sparse @ sparse) + float(dense @ dense)), 1e-12))
    return sparse / length, dense / length
