"""What goes into the compiled call and what comes out: named tuples, each with the words of its fields' types."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]
Marks = npt.NDArray[np.int8]

MF, TRANSITION, NEIGHBOUR, CONTENT, LATELY = 1, 2, 3, 6, 8  # places in SIGNALS of ranking/score.py


class Shop(NamedTuple):
    """What a bundle fixes: arrays of BundleArrays, and what retrieval lays out of them.

    codes, steps: of nearby items (ranking/nearby.py), no rows where others find what is near; factor_*: the same of
    factors; popular, by_topic, starts, ends, fresh: ranking/retrieve.py; cold_*: ranking/cold_shelf.py
    strengths: of actions, as asking; cold: weights in the order of SIGNALS for items that nobody ever turned to, empty
    where these count as all others do; again: whether what was had may come again, by default;
    mf_reach: the manifest's
    """

    vectors: Floats
    codes: Marks
    steps: Floats
    factors: Floats
    factor_codes: Marks
    factor_steps: Floats
    topic_ids: Numbers
    topic_shares: Floats
    transition_rows: Numbers
    transition_weights: Floats
    neighbour_rows: Numbers
    neighbour_weights: Floats
    popularity: Floats
    recent_popularity: Floats
    repeat_rates: Floats
    visit_shares: Floats
    debut_popularity: Floats
    content_ids: Numbers
    content_weights: Floats
    content_vectors: Floats
    topics_lately: Floats
    popular: Rows
    by_topic: Rows
    starts: Rows
    ends: Rows
    fresh: Rows
    cold_rows: Rows
    cold_starts: Rows
    cold_ends: Rows
    strengths: Floats
    cold: Floats
    half_life_ms: float
    transition_half_life: float
    neighbour_half_life: float
    neighbour_had: float
    again: bool
    mf_reach: float


SHOP = "f2 y2 f1 f2 y2 f1 i2 f2 i2 f2 i2 f2 f1 f1 f1 f1 f1 i2 f2 f2 f1 q1 q1 q1 q1 q1 q1 q1 q1 f1 f1 d d d d b d"


class User(NamedTuple):
    """What picking asks of a Profile; in its order."""

    item_rows: Numbers
    item_weights: Floats
    item_times_ms: Rows
    recent_rows: Numbers
    recent_times_ms: Rows
    recent_actions: Numbers
    blocked_rows: Numbers
    last_event_ms: int
    anchor: Floats
    exposure_rows: Numbers
    exposure_weights: Floats
    interests: Floats
    shares: Floats
    factor: Floats
    told: Floats
    told_shares: Floats


USER = "i1 f1 q1 i1 q1 i1 i1 q f1 i1 f1 f2 f1 f1 f2 f1"


class Picked(NamedTuple):
    """Rows (n,) in their order, scores, numbers of Source, the told interest that each serves or -1; what asked for
    transitions (rows and their weights) and neighbours; how many candidates there were."""

    rows: Rows
    scores: Floats
    sources: Marks
    serves: Rows
    transition_rows: Rows
    by_transition: Floats
    neighbour_rows: Rows
    by_neighbour: Floats
    candidates: int


PARTS = "d q q q q q q q"  # Parts of ranking/retrieve.py
