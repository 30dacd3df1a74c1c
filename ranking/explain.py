"""Why: what each interest is made of, and which earlier interactions brought an item.

Each item the user had belongs to its nearest interest. An interest is named by the topic that weighs most among its
items, and explained by the strongest of them; one that no item belongs to takes the topic nearest to it. Works
whatever number of interests the encoder gives, none and one among them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.events import Action
from interests.profile import Profile, mix
from ranking.nearest import nearest_interests, share_order
from ranking.pull import Asked, neighbour_query, transition_query
from ranking.slate import Cause, Source

INTEREST_CAUSES_MAX = 5
ITEM_CAUSES_MAX = 3

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
    belongs = nearest_interests(profile, bundle.arrays.item_vectors[profile.item_rows])
    named = []
    for index, at in enumerate(share_order(profile).tolist()):
        members = np.flatnonzero(belongs == index)
        topics = mix(bundle, profile.item_rows[members], profile.item_weights[members])
        if not topics.sum() > 0:
            topics = bundle.arrays.topic_vectors @ profile.vectors.interests[at]
        topic = bundle.topic_names[int(topics.argmax())] if len(topics) else ""
        causes = tuple(_had(bundle, profile, member) for member in members[:INTEREST_CAUSES_MAX].tolist())
        named.append(NamedInterest(index, float(profile.vectors.shares[at]), topic, causes))
    return tuple(named)


class Explainer:
    """Why items are in one user's slate; prepared once a slate."""

    def __init__(self, bundle: Bundle, profile: Profile) -> None:
        self._bundle, self._profile = bundle, profile
        self._vectors = bundle.arrays.item_vectors[profile.item_rows]
        self._belongs = nearest_interests(profile, self._vectors)
        self._place_of = {row: place for place, row in enumerate(profile.item_rows.tolist())}
        self._latest = {row: at for at, row in enumerate(profile.recent_rows.tolist())}
        arrays = bundle.arrays
        self._links = [
            (query.rows, arrays_rows[query.rows], arrays_weights[query.rows] * query.weights[:, None])
            for query, arrays_rows, arrays_weights in (
                (_merged(transition_query(bundle, profile)), arrays.transition_rows, arrays.transition_weights),
                (_merged(neighbour_query(bundle, profile)), arrays.neighbour_rows, arrays.neighbour_weights),
            )
        ]

    def causes(self, row: int, source: Source, interest: int) -> tuple[Cause, ...]:
        """Up to three interactions that brought an item, strongest first; none for what is popular, fresh or given."""
        if source is Source.REPEAT:
            return tuple(self._cause(cause) for cause in [row] if self._is_known(cause))
        if source is Source.NEIGHBOUR:
            return tuple(self._cause(cause) for cause in self._linked(row))
        if source is Source.INTEREST:
            return tuple(self._cause(cause) for cause in self._alike(row, interest))
        return ()

    def _linked(self, row: int) -> list[int]:
        strength: dict[int, float] = {}
        for asked, reached, weights in self._links:
            from_rows, at = np.nonzero(reached == row)
            largest = float(weights.max(initial=0.0)) or 1.0  # the two kinds of link have scales of their own
            for place, column in zip(from_rows.tolist(), at.tolist(), strict=True):
                cause = int(asked[place])
                strength[cause] = strength.get(cause, 0.0) + float(weights[place, column]) / largest
        ranked = sorted(strength, key=lambda cause: (-strength[cause], cause))
        return [cause for cause in ranked if strength[cause] > 0][:ITEM_CAUSES_MAX]

    def _alike(self, row: int, interest: int) -> list[int]:
        members = np.flatnonzero(self._belongs == interest) if interest >= 0 else np.arange(len(self._belongs))
        if not len(members):  # the interest speaks for none of the items had: the nearest of all then
            members = np.arange(len(self._belongs))
        likeness = self._vectors[members] @ self._bundle.arrays.item_vectors[row]
        nearest = members[np.argsort(-likeness, kind="stable")[:ITEM_CAUSES_MAX]]
        return [int(cause) for cause in self._profile.item_rows[nearest]]

    def _is_known(self, row: int) -> bool:
        return row in self._place_of or row in self._latest

    def _cause(self, row: int) -> Cause:
        if row in self._place_of:
            return _had(self._bundle, self._profile, self._place_of[row])
        at = self._latest[row]
        action = Action(int(self._profile.recent_actions[at]))
        return Cause(self._bundle.item_ids[row], action, int(self._profile.recent_times_ms[at]))


def _had(bundle: Bundle, profile: Profile, place: int) -> Cause:
    row = int(profile.item_rows[place])
    return Cause(bundle.item_ids[row], Action(int(profile.item_actions[place])), int(profile.item_times_ms[place]))


def _merged(asked: Asked) -> Asked:
    """Each row once, with all its weight."""
    rows, at = np.unique(asked.rows, return_inverse=True)
    return Asked(rows, np.bincount(at, weights=asked.weights, minlength=len(rows)).astype(np.float32))
