"""What a person is in the long run, as weights of items: slow to take on, slow to let go.

    anchor weight of an item = steady(topic) * sum over its events of  faded strength * ripe(age) * (PROMPTED if shown)
    ripe(age)     = RIPE_AT_ONCE + (1 - RIPE_AT_ONCE) * (1 - 2^(-(age / RIPE_HALF_LIFE_DAYS)^2))
    steady(topic) = min(1, items a day / items of the topic a day of the topic)            days: with an item, not idle

A burst (a gift bought, a child on the tablet) is young, so it hardly moves the anchor, and crowded into a day, so it
does not later on either; what goes on for weeks ripens and does. What was taken from what we chose to show says less of
a person than what they came for, and would let the system learn its own narrowing; what outlasts the showing counts in
full. A history of one evening is all of one age and one day: there nothing of this changes anything.

The latest events have times of their own in a state. What a sum holds beyond them is older than all of them.
"""

import numpy as np
import numpy.typing as npt

from interests.absorb import DEFAULT_RULE, AbsorbRule
from interests.events import Action

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]

RIPE_AT_ONCE = 0.02
RIPE_HALF_LIFE_DAYS = 28.0
PROMPTED = 0.15
SHOWN_MIN = 0.001  # faded impressions: what was taken as it was shown says less for a month, if no longer


def anchor_weights(
    rows: Rows,
    weights: Floats,
    recent_rows: Rows,
    recent_ages_days: npt.NDArray[np.float64],
    recent_actions: Rows,
    shown_rows: Rows,
    shown_weights: Floats,
    rule: AbsorbRule = DEFAULT_RULE,
) -> Floats:
    """Anchor weights (m,) of the items had.

    rows, weights (m,): items had and their faded sums, > 0; recent_* (r,): latest events; shown_* (e,): items shown and
    their faded counts
    """
    if not len(rows) or not len(recent_rows):
        return weights
    place = np.full(int(max(rows.max(), recent_rows.max())) + 1, -1)
    place[rows] = np.arange(len(rows))
    at = place[recent_rows]
    known = at >= 0  # not what was disliked since
    at, ages = at[known], recent_ages_days[known]
    strengths, half_lives = by_action(rule)
    faded = strengths[recent_actions[known]] * np.exp2(-ages / half_lives[recent_actions[known]])
    prompted = np.where(np.isin(recent_rows[known], shown_rows[shown_weights > SHOWN_MIN]), PROMPTED, 1.0)
    counted = np.bincount(at, weights=faded, minlength=len(rows))
    # An event that counted less than its action's strength (three stars) takes no more than its item's sum.
    scale = np.minimum(1.0, weights / np.maximum(counted, 1e-12))
    young = np.bincount(at, weights=faded * ripe(ages) * prompted, minlength=len(rows)) * scale
    if len(recent_rows) >= rule.recent_max:
        lasting = young + np.maximum(weights - counted, 0.0) * ripe(recent_ages_days.max(initial=0.0))
    else:  # Every event is among the latest: what is left over is how much of it there was, not an older event.
        lasting = young * np.maximum(1.0, weights / np.maximum(counted * scale, 1e-12))
    anchored: Floats = lasting.astype(np.float32)
    return anchored


def ripe(ages_days: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """How much of an event of this age counts, in [RIPE_AT_ONCE, 1)."""
    grown = 1.0 - np.exp2(-np.square(np.asarray(ages_days, dtype=np.float64) / RIPE_HALF_LIFE_DAYS))
    ripened: npt.NDArray[np.float64] = RIPE_AT_ONCE + (1.0 - RIPE_AT_ONCE) * grown
    return ripened


def steady(topics: Rows, days: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How much each item counts (m,), in (0, 1]: less where its topic came all at once.

    topics (m,): main topic, -1 for none; days (m,): on which day it was last had
    """
    if not len(topics):
        return np.ones(0)
    topic = topics.astype(np.int64) + 1
    cells = np.unique(topic * (2**40) + (days - days.min()))
    items, active = np.bincount(topic), np.bincount(cells // 2**40, minlength=int(topic.max()) + 1)
    a_day = len(topics) / len(np.unique(days))
    counted: npt.NDArray[np.float64] = np.minimum(1.0, a_day * active[topic] / items[topic])
    return counted


def by_action(rule: AbsorbRule = DEFAULT_RULE) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Strengths, none below 0, and half-lives in days, each by the number of an action."""
    return _BY_DEFAULT if rule is DEFAULT_RULE else _by_action(rule)


def _by_action(rule: AbsorbRule) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    strengths, half_lives = np.zeros(max(Action) + 1), np.ones(max(Action) + 1)
    for action, days in rule.half_life_days.items():
        strengths[action] = max(rule.strengths.get(action, 0.0), 0.0)
        half_lives[action] = days
    return strengths, half_lives


_BY_DEFAULT = _by_action(DEFAULT_RULE)
