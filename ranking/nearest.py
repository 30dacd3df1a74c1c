"""Which of a user's interests an item serves."""

import numpy as np
import numpy.typing as npt

from interests.profile import Profile
from interests.state import InterestVectors

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def interest_weights(vectors: InterestVectors) -> Floats:
    """How far each interest counts (K,): 1 for the largest, the root of the rest's share of it, so that a small one
    is heard."""
    shares = np.maximum(vectors.shares, 0.0)
    largest = shares.max(initial=0.0)
    return np.sqrt(shares / largest) if largest > 0 else np.ones_like(shares)


def share_order(profile: Profile) -> Indices:
    """The told interests, largest share first: place among the user's interests -> index in `told_interests`."""
    return np.argsort(-profile.told_interests.shares, kind="stable")


def nearest_interests(profile: Profile, vectors: Floats) -> Indices:
    """The interest that each vector serves (n,): the nearest by cosine, however small its share.

    Interests are counted as users see them: 0 has the largest share. -1 where the user has none.
    """
    told = profile.told_interests.vectors
    if not len(told):
        return np.full(len(vectors), -1, dtype=np.int64)
    nearest: Indices = (vectors @ told[share_order(profile)].T).argmax(axis=1)
    return nearest
