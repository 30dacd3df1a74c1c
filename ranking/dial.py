"""The diversity a slate is made with: the request's, or the bundle's default fitted to the user.

A dial says how far slates come from relevance alone towards the users' mixes, as the trainer measured it:

    dial(strength) = (KL(0) - KL(strength)) / (KL(0) - KL(1)),      KL by bundle.manifest.dial_curve

so 0.3 is three tenths of the way in every catalogue, whatever strength of a method that takes there. Where a request
leaves it unset:

    strength = strength(default) * clip(entropy / entropy_mean * (1 + openness), 0.5, 1.5)
    openness = (mean rarity of what was shown and taken - mean rarity of what was shown) * n / (n + HALF_TRUST)
    rarity   = 1 - anchor share of an item's main topic over the largest such share;  n: places shown and taken

Someone with wide interests gets more breadth, someone with one gets less; who takes the rarer items out of what they
are shown gets more of them, who passes them over gets fewer. `entropy_mean` is the mean over users on validation, so
the factor's mean is about 1 there. A cold user gets the default.
"""

from bisect import bisect_right
from functools import lru_cache

import numpy as np

from interests.bundle import Bundle
from interests.manifest import DialPoint
from interests.profile import Profile
from ranking.fast.aims import aims
from ranking.topics import main_topics, mixes_of

FACTOR_MIN, FACTOR_MAX = 0.5, 1.5
HALF_TRUST = 10.0  # places shown and taken after which openness counts by half
KL_SPAN_MIN = 1e-3  # nats between both ends of a curve: below it says nothing


def diversity(bundle: Bundle, profile: Profile, asked: float | None) -> float:
    """The dial to use, in [0, 1]. Raises ValueError where `asked` is outside it."""
    if asked is not None:
        if not 0.0 <= asked <= 1.0:
            raise ValueError(f"diversity is {asked}; give 0 to 1")
        return asked
    default = bundle.manifest.diversity_default
    factor = personal_factor(bundle, profile)
    return default if factor == 1.0 else dial_of(bundle, min(1.0, strength(bundle, default) * factor))


def strength(bundle: Bundle, dial: float) -> float:
    """How strongly a method is to diversify, in [0, 1], for a dial to mean what it says; the dial itself where the
    bundle has no curve."""
    dials, strengths = curve(bundle)
    return _between(dial, dials, strengths)


def dial_of(bundle: Bundle, strength: float) -> float:
    """The dial that a strength amounts to: the inverse of `strength`."""
    dials, strengths = curve(bundle)
    return _between(strength, strengths, dials)


def personal_factor(bundle: Bundle, profile: Profile) -> float:
    """By how much the default's strength is turned for this user, in [FACTOR_MIN, FACTOR_MAX]."""
    mean = bundle.manifest.entropy_mean
    if mean <= 0 or profile.is_cold:
        return 1.0
    return min(max(profile.entropy / mean * (1.0 + openness(bundle, profile)), FACTOR_MIN), FACTOR_MAX)


def openness(bundle: Bundle, profile: Profile) -> float:
    """By how much rarer what the user takes is than what they are shown, in [-1, 1]; 0 where nothing was shown."""
    if not len(profile.exposure_rows):
        return 0.0
    if (fast := aims()) is not None:
        seen, arrays = (profile.exposure_rows, profile.exposure_weights), bundle.arrays
        of_items = (arrays.item_topic_ids, arrays.item_topic_shares)
        return fast.openness(profile.anchor, *seen, profile.item_rows, *of_items, HALF_TRUST)
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


def curve(bundle: Bundle) -> tuple[list[float], list[float]]:
    """Dials and strengths, both rising from 0 to 1."""
    return _read_curve(tuple(bundle.manifest.dial_curve))


@lru_cache(maxsize=8)
def _read_curve(points: tuple[DialPoint, ...]) -> tuple[list[float], list[float]]:
    dials, strengths = [0.0], [0.0]
    if len(points) > 2:
        span = points[0].kl - points[-1].kl
        for point in points[1:-1]:
            dial = (points[0].kl - point.kl) / span if span > KL_SPAN_MIN else point.strength
            if dials[-1] < dial < 1.0 and strengths[-1] < point.strength < 1.0:
                dials.append(dial)
                strengths.append(point.strength)
    return [*dials, 1.0], [*strengths, 1.0]


def _between(value: float, known: list[float], wanted: list[float]) -> float:
    """`wanted` at `value`, straight between its neighbours in `known`."""
    if value in (0.0, 1.0):
        return value  # the ends exactly: 0 is relevance alone
    place = bisect_right(known, value, hi=len(known) - 1)
    share = (value - known[place - 1]) / (known[place] - known[place - 1])
    return wanted[place - 1] + share * (wanted[place] - wanted[place - 1])
