"""The mix that a slate is held to.

    base   = (1 - RECENT) * anchor + RECENT * recent mix
    heard  = max(base, min(2 * base, FLOOR)) over its sum                    a small interest counts up to double
    owed   = heard + MEMORY * w / (w + HALF_TRUST) * (heard - exposure mix)  w: faded count of impressions
    target = max(owed, heard / 4) over its sum

So a topic that was lately shown more than its share gets less, one that was starved gets more, and none that belongs
to the user dies. A user without topics gets the catalogue's recent mix. Calibration: Steck, RecSys 2018; memory of
exposure in the spirit of amortised fairness, Biega, Gummadi, Weikum, SIGIR 2018.
"""

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile

Floats = npt.NDArray[np.float32]

RECENT = 0.3
FLOOR = 0.05
MEMORY = 0.8
HALF_TRUST = 20.0  # impressions after which exposure counts by half: one slate


def target(bundle: Bundle, profile: Profile) -> Floats:
    """The target mix (T,), summing to 1, or empty where the bundle has no topics."""
    base = _known(profile.anchor, profile.recent_mix)
    if base is None:
        return np.array(bundle.arrays.topic_shares, dtype=np.float32)
    heard = _normal(np.maximum(base, np.minimum(2.0 * base, FLOOR)))
    owed = heard
    if profile.exposure_weight > 0 and profile.exposure_mix.sum() > 0:
        trust = MEMORY * profile.exposure_weight / (profile.exposure_weight + HALF_TRUST)
        owed = heard + np.float32(trust) * (heard - profile.exposure_mix)
    return _normal(np.maximum(owed, heard / 4.0))


def _known(anchor: Floats, recent_mix: Floats) -> Floats | None:
    if anchor.sum() > 0 and recent_mix.sum() > 0:
        return (1.0 - RECENT) * anchor + RECENT * recent_mix
    for mix in (anchor, recent_mix):
        if mix.sum() > 0:
            return mix
    return None


def _normal(mix: Floats) -> Floats:
    normal: Floats = (mix / mix.sum()).astype(np.float32)
    return normal
