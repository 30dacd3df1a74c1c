"""The diversity a slate is made with: the request's, or the bundle's default fitted to the user.

    diversity = default * clip(entropy / entropy_mean, 0.5, 1.5)

Someone with wide interests gets more breadth, someone with one gets less. `entropy_mean` is the mean over users on
validation, so the factor's mean is about 1. A cold user gets the default.
"""

from interests.bundle import Bundle
from interests.profile import Profile

FACTOR_MIN, FACTOR_MAX = 0.5, 1.5


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
    return min(max(profile.entropy / mean, FACTOR_MIN), FACTOR_MAX)
