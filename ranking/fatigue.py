"""What was shown again and again to somebody who never took it gives way.

    relevance' = relevance / (1 + FATIGUE * faded count of impressions)        where relevance > 0

Items that the user has had are not tired of: what is bought each week comes each week. With no impressions nothing
changes. A factor on relevance, so the same for every method of diversifying and for none.
"""

import numpy as np
import numpy.typing as npt

from interests.profile import Profile

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

FATIGUE = 1.0


def tired(profile: Profile, rows: Rows, relevance: Floats) -> Floats:
    """Relevance (n,) of these rows after what was shown in vain."""
    if not len(profile.exposure_rows) or not len(rows):
        return relevance
    shown = np.zeros(int(max(rows.max(), profile.exposure_rows.max(), profile.item_rows.max(initial=0))) + 1)
    shown[profile.exposure_rows] = profile.exposure_weights
    shown[profile.item_rows] = 0.0
    faded: Floats = np.where(relevance > 0, relevance / (1.0 + FATIGUE * shown[rows]), relevance).astype(np.float32)
    return faded
