"""Why: what each interest is made of; what brought an item is ranking/reasons.py.

Each item the user had belongs to its nearest interest. An interest is named by the topic that weighs most among its
items, and explained by the strongest of them; one that no item belongs to takes the topic nearest to it. Where the
encoder gives one vector alone, the topics of the anchor are the interests, each explained by items of its topic: a user
has several whatever it gives.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.events import Action
from interests.profile import Profile, mix
from ranking.nearest import nearest_interests, share_order
from ranking.slate import Cause
from ranking.topics import main_topics, mixes_of

INTEREST_CAUSES_MAX = 5

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NamedInterest:
    """One of a user's interests as a person would read it.

    index: its place, 0 has the largest share; share in [0, 1]; topic: empty where the bundle has none
    """

    index: int
    share: float
    topic: str
    causes: tuple[Cause, ...]


def named_interests(bundle: Bundle, profile: Profile) -> tuple[NamedInterest, ...]:
    """The user's interests, largest share first, each with up to five causes, strongest first."""
    told = profile.told_interests
    belongs = nearest_interests(profile, bundle.arrays.item_vectors[profile.item_rows])
    main = main_topics(mixes_of(bundle, profile.item_rows))
    named = []
    for index, at in enumerate(share_order(profile).tolist()):
        own_topic = int(told.topics[at])
        members = np.flatnonzero(main == own_topic if own_topic >= 0 else belongs == index)
        topics = mix(bundle, profile.item_rows[members], profile.item_weights[members])
        if not topics.sum() > 0:
            topics = bundle.arrays.topic_vectors @ told.vectors[at]
        named_after = int(told.topics[at])
        if named_after < 0 and len(topics):
            named_after = int(topics.argmax())
        topic = bundle.topic_names[named_after] if named_after >= 0 else ""
        causes = tuple(_had(bundle, profile, member) for member in members[:INTEREST_CAUSES_MAX].tolist())
        named.append(NamedInterest(index, float(told.shares[at]), topic, causes))
    return tuple(named)


def _had(bundle: Bundle, profile: Profile, place: int) -> Cause:
    row = int(profile.item_rows[place])
    return Cause(bundle.item_ids[row], Action(int(profile.item_actions[place])), int(profile.item_times_ms[place]))
