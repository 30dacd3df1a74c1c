"""How well an item fits what the catalogue says of the items that a user had.

    P          = sum over items i had of sqrt(w_i) * f_i / |the same sum|        w_i: the item's faded share of the user
    content[j] = P . f_j                                            in [0, 1]; 0 where nothing is known of either

f are sparse unit rows over hashed features: categories, brand, words, price step. An item that nobody ever turned to
has them too, so it is found and scored from the moment the catalogue names it. The root keeps one item bought weekly
from being all that a user is. The profile is the seed of the content side in Lops, de Gemmis, Semeraro, "Content-based
recommender systems", 2011, with fading weights.
"""

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer]


def content(bundle: Bundle, profile: Profile, rows: Rows) -> Floats:
    """The signal of each row, (n,) float32 in [0, 1]. O((rows + items had) * features an item)."""
    ids, weights = bundle.arrays.content_ids, bundle.arrays.content_weights
    wanted = content_profile(bundle, profile)
    if not len(wanted):
        return np.zeros(len(rows), dtype=np.float32)
    # Features that the user never met, the padding among them, stand at the end, where the profile is 0.
    met = np.minimum(ids[rows], len(wanted) - 1)
    found: Floats = np.einsum("nc,nc->n", wanted[met], weights[rows])
    return np.minimum(found, np.float32(1.0))


def content_profile(bundle: Bundle, profile: Profile) -> Floats:
    """The user as a unit vector over features, then one 0; empty where nothing is known of what they had."""
    ids, weights = bundle.arrays.content_ids, bundle.arrays.content_weights
    had = profile.item_rows
    reached = ids[had].ravel()
    if not (reached >= 0).any():
        return np.zeros(0, dtype=np.float32)
    given = weights[had] * np.sqrt(profile.item_weights)[:, None]
    total = np.bincount(reached[reached >= 0], weights=given.ravel()[reached >= 0])
    wanted: Floats = np.append(total / max(float(np.linalg.norm(total)), 1e-12), 0.0).astype(np.float32)
    return wanted
