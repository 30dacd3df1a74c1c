"""The diversity a slate is made with: the request's, or the bundle's default fitted to the user.

    diversity = default * clip(entropy / entropy_mean * (1 + openness), 0.5, 1.5)
    openness  = (mean rarity of what was shown and taken - mean rarity of what was shown) * n / (n + HALF_TRUST)
    rarity    = 1 - anchor share of an item's main topic over the largest such share;  n: places shown and taken

Someone with wide interests gets more breadth, someone with one gets less; who takes the rarer items out of what they
are shown gets more of them, who passes them over gets fewer. `entropy_mean` is the mean over users on validation, so
the factor's mean is about 1 there. A cold user gets the default.
"""

import numpy as np

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.topics import main_topics, mixes_of

FACTOR_MIN, FACTOR_MAX = 0.5, 1.5
HALF_TRUST = 10.0  # places shown and taken after which openness counts by half


def diversity(bundle: Bundle, profile: Profile, asked: float | None) -> float:
    """The dial to use, in [0, 1]. Raises ValueError where `asked` is outside it."""
    if asked is not None:
        if not 0.0 <= asked <= 1.0:
            raise ValueError(f"diversity is {asked}; give 0 to 1")
        return asked
    return min(1.0, bundle.manifest.diversity_default * personal_factor(bundle, profile))


def personal_factor(bundle: Bundle, profile: Profile) -> float:
    """By how much the default is turned for this user, in [FACTOR_MIN, FACTOR_MAX]."""
    mean = bundle.manifest.entropy_mean
    if mean <= 0 or profile.is_cold:
        return 1.0
    return min(max(profile.entropy / mean * (1.0 + openness(bundle, profile)), FACTOR_MIN), FACTOR_MAX)


def openness(bundle: Bundle, profile: Profile) -> float:
    """By how much rarer what the user takes is than what they are shown, in [-1, 1]; 0 where nothing was shown."""
    most = float(profile.anchor.max(initial=0.0))
    topics = main_topics(mixes_of(bundle, profile.exposure_rows))
    known = topics >= 0
    shown = profile.exposure_weights[known]
    taken = shown * np.isin(profile.exposure_rows[known], profile.item_rows)
    count = float(taken.sum())
    if not most > 0 or not count > 0:
        return 0.0
    rarity = 1.0 - profile.anchor[topics[known]] / most
    return float(rarity @ taken / count - rarity @ shown / shown.sum()) * count / (count + HALF_TRUST)
