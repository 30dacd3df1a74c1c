"""The mix that a slate is held to, and how firmly.

    recent share r = RECENT * (1 - narrowing)
    base           = (1 - r) * anchor + r * recent mix
    mix            = max(base, min(2 * base, FLOOR)) over its sum             a small interest counts up to double
    narrowing      = (1 - entropy(recent) / entropy(anchor)) * m / (m + HALF_TRUST_EVENTS),  m: recent interactions
    protection     = (1 + NARROWED * narrowing^2) * (1 + MEMORY * w / (w + HALF_TRUST)), w: faded count of impressions

So where what a person does lately is narrower than what they are, the anchor holds more and the recent mix says less:
little where it is a bit narrower, as anybody's last weeks are, and much where a burst is all there is of it. Where
slates have been shown, what they left out is paid back sooner. Someone who really moves on takes the anchor with them
(interests/anchor.py). A user without topics gets the catalogue's recent mix.
Calibration: Steck, RecSys 2018; memory of exposure in the spirit of amortised fairness, Biega, Gummadi, Weikum, SIGIR
2018.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile, entropy
from ranking.fast.aims import aims

Floats = npt.NDArray[np.float32]

RECENT = 0.1
FLOOR = 0.01
MEMORY = 9.0  # chosen in simulated loops, so that the drift left by the default stays under a tenth
NARROWED = 20.0  # chosen in simulated bursts, so that the first slate after one is itself already
HALF_TRUST = 20.0  # impressions after which exposure counts by half: one slate
HALF_TRUST_EVENTS = 10.0


class Target(NamedTuple):
    """What slates together should come to; T topics.

    mix (T,): sums to 1, or is empty or all 0 where nothing is known
    shown (T,): places of each topic in what was shown before, faded counts that are not normalised
    protection: how much more closeness is worth than the dial says, from 1
    again: whether what was had may come again, by the bundle's default
    """

    mix: Floats
    shown: Floats
    protection: float = 1.0
    again: bool = False

    def owed(self, size: int) -> Floats:
        """The mix (T,) of the next `size` places that would bring all that was shown nearest to `mix`."""
        if (fast := aims()) is not None:
            return fast.owed(self.mix, self.shown, size)
        wanted = np.maximum((self.shown.sum() + size) * self.mix - self.shown, 0.0)
        total = wanted.sum()
        owed: Floats = (wanted / total).astype(np.float32) if total > 0 else self.mix
        return owed


def target(bundle: Bundle, profile: Profile) -> Target:
    """What this user's next slate is held to."""
    again = bundle.manifest.repeats_default == "allow"
    if (fast := aims()) is not None:
        of_user = (profile.anchor, profile.recent_mix, profile.exposure_mix, profile.exposure_weight)
        return Target(*fast.aim(*of_user, len(profile.recent_rows), bundle.arrays.topic_shares, *constants()), again)
    shown = profile.exposure_mix * np.float32(profile.exposure_weight)
    narrowed = narrowing(profile)
    base = _known(profile.anchor, profile.recent_mix, RECENT * (1.0 - narrowed))
    if base is None:
        return Target(np.array(bundle.arrays.topic_shares, dtype=np.float32), shown, again=again)
    mix = _normal(np.maximum(base, np.minimum(2.0 * base, FLOOR)))
    return Target(mix, shown, (1.0 + NARROWED * narrowed * narrowed) * remembered(profile.exposure_weight), again)


def remembered(places: float, most: float = MEMORY) -> float:
    """How much more counts what earlier slates owe, from 1, for who was shown so many places (a faded count).

    most: by how much it grows at most
    """
    return 1.0 + most * places / (places + HALF_TRUST)


def constants() -> tuple[float, ...]:
    """This module's, in the order that ranking/fast/aims.py takes them."""
    return RECENT, FLOOR, MEMORY, NARROWED, HALF_TRUST, HALF_TRUST_EVENTS


def plain(mix: Floats) -> Target:
    """A mix to hold to, with nothing shown before."""
    return Target(mix, np.zeros_like(mix))


def narrowing(profile: Profile) -> float:
    """How much narrower the recent mix is than the anchor, in [0, 1]; few interactions say little."""
    breadth = entropy(profile.anchor)
    if not breadth > 0 or not profile.recent_mix.sum() > 0:
        return 0.0
    known = len(profile.recent_rows)
    narrower = max(0.0, 1.0 - entropy(profile.recent_mix) / breadth)
    return narrower * known / (known + HALF_TRUST_EVENTS)


def _known(anchor: Floats, recent_mix: Floats, recent: float) -> Floats | None:
    if anchor.sum() > 0 and recent_mix.sum() > 0:
        return np.float32(1.0 - recent) * anchor + np.float32(recent) * recent_mix
    for mix in (anchor, recent_mix):
        if mix.sum() > 0:
            return mix
    return None


def _normal(mix: Floats) -> Floats:
    normal: Floats = (mix / mix.sum()).astype(np.float32)
    return normal
