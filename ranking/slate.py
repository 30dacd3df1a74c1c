"""A slate: what one request is answered with, and why."""

from dataclasses import dataclass
from enum import IntEnum

from plural.v1 import recommendations_pb2

from interests.events import Action


class Source(IntEnum):
    """How an item became a candidate; the numbers are those of the wire."""

    INTEREST = recommendations_pb2.SOURCE_INTEREST
    NEIGHBOUR = recommendations_pb2.SOURCE_NEIGHBOUR
    POPULAR = recommendations_pb2.SOURCE_POPULAR
    FRESH = recommendations_pb2.SOURCE_FRESH
    REPEAT = recommendations_pb2.SOURCE_REPEAT
    CALLER = recommendations_pb2.SOURCE_CALLER


class Relaxation(IntEnum):
    """What was given up to fill a slate; the numbers are those of the wire."""

    REPEATS = recommendations_pb2.RELAXATION_REPEATS
    SIZE = recommendations_pb2.RELAXATION_SIZE


@dataclass(frozen=True, slots=True)
class Cause:
    """An earlier interaction that explains something."""

    item_id: str
    action: Action
    time_ms: int


@dataclass(frozen=True, slots=True)
class SlateItem:
    """One item of a slate, in its place.

    interest: index among the user's interests, largest share first; None where it serves none
    propensity: how likely chance was to choose it, where chance did; see ranking/explore.py
    """

    item_id: str
    score: float
    source: Source
    interest: int | None
    topic: str
    causes: tuple[Cause, ...]
    propensity: float | None = None


@dataclass(frozen=True, slots=True)
class Slate:
    """An ordered list of items for one request. Same state, bundle and query: same slate, slate id included.

    diversity: the dial that was used
    mix, target_mix: (topic, share), largest first
    calibration_kl: KL(target || mix), the mix smoothed by 1% of the target
    """

    slate_id: str
    user_id: str
    state_version: int
    bundle_version: str
    diversity: float
    items: tuple[SlateItem, ...]
    mix: tuple[tuple[str, float], ...]
    target_mix: tuple[tuple[str, float], ...]
    calibration_kl: float
    relaxed: tuple[Relaxation, ...]
