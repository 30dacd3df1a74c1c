"""What a profile is made of (interests/profile.py, interests/anchor.py) as plain loops for numba: a dozen small arrays
cost numpy more in steps than in numbers."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into, compiled, numba

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


class Loops(NamedTuple):
    """What is called by itself; interests/assembled.py calls the rest."""

    mix: Callable[..., Floats]
    entropy: Callable[..., float]


@lru_cache(maxsize=1)
def loops() -> Loops | None:
    """Compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    steps = ("_main_topic", "_ripe", "_shown", "anchor_weights", "steady", "topic_interests")
    compile_into(globals(), dict.fromkeys(steps, EXACT))
    return Loops(compiled(mix, "i2 f2 i1 f1 q"), compiled(entropy, "f1"))


def mix(topics: Rows, shares: Floats, rows: Rows, weights: Floats, topic_count: int) -> Floats:
    """The mix (T,) of weighted rows; topics, shares (n, m) of all items."""
    total = np.zeros(topic_count, np.float64)
    for at in range(len(rows)):
        for column in range(topics.shape[1]):
            topic = topics[rows[at], column]
            if topic >= 0:
                total[topic] += np.float64(shares[rows[at], column] * weights[at])
    found = total.astype(np.float32)
    mass = found.sum()
    return found / mass if mass > 0 else found


def anchor_weights(
    rows: Rows,
    weights: Floats,
    recent_rows: Rows,
    ages_days: Doubles,
    recent_actions: Rows,
    shown_rows: Rows,
    shown_weights: Floats,
    strengths: Doubles,
    half_lives: Doubles,
    recent_max: int,
    at_once: float,
    half_life_days: float,
    prompted: float,
    shown_min: float,
) -> Floats:
    """Anchor weights (m,) of the items had; strengths, half_lives: by action, the rest: constants of the module."""
    counted, young = np.zeros(len(rows), np.float64), np.zeros(len(rows), np.float64)
    for at in range(len(recent_rows)):
        place = 0
        while place < len(rows) and rows[place] != recent_rows[at]:
            place += 1
        if place < len(rows):  # not what was disliked since
            action, age = recent_actions[at], ages_days[at]
            faded = strengths[action] * 2.0 ** (-age / half_lives[action])
            kept = prompted if _shown(recent_rows[at], shown_rows, shown_weights, shown_min) else 1.0
            counted[place] += faded
            young[place] += faded * _ripe(age, at_once, half_life_days) * kept
    lasting = np.empty(len(rows), np.float32)
    oldest = _ripe(max(ages_days.max(), 0.0), at_once, half_life_days)
    for place in range(len(rows)):
        weight = np.float64(weights[place])
        # An event that counted less than its action's strength (three stars) takes no more than its item's sum.
        scale = min(1.0, weight / max(counted[place], 1e-12))
        if len(recent_rows) >= recent_max:
            lasting[place] = young[place] * scale + max(weight - counted[place], 0.0) * oldest
        else:  # Every event is among the latest: what is left over is how much of it there was, not an older event.
            lasting[place] = young[place] * scale * max(1.0, weight / max(counted[place] * scale, 1e-12))
    return lasting


def steady(topics: Rows, shares: Floats, rows: Rows, days: Longs) -> Floats:
    """How much each of these items counts (m,), in (0, 1]: less where its topic came all at once.

    topics, shares (n, m): of all items; days (m,): on which day each was last had
    """
    main, order = np.empty(len(rows), np.int64), np.argsort(days, kind="mergesort")
    for at in range(len(rows)):
        main[at] = _main_topic(topics, shares, rows[at]) + 1
    topic_count = int(main.max()) + 1
    items, active, latest = np.zeros(topic_count), np.zeros(topic_count), np.full(topic_count, -1, np.int64)
    all_days, before = 0, np.int64(-1)
    for step in range(len(order)):
        at = order[step]
        if step == 0 or days[at] != before:
            all_days, before = all_days + 1, days[at]
        items[main[at]] += 1.0
        if latest[main[at]] != all_days:
            latest[main[at]] = all_days
            active[main[at]] += 1.0
    a_day = len(rows) / all_days
    found = np.empty(len(rows), np.float32)
    for at in range(len(rows)):
        found[at] = min(1.0, a_day * active[main[at]] / items[main[at]])
    return found


def entropy(shares: Floats) -> float:
    """Entropy of a mix (T,), T > 1, over log T."""
    total = 0.0
    for share in shares:
        if share > 0:
            total -= np.float64(share) * math.log(np.float64(share))
    return total / math.log(len(shares))


def topic_interests(
    topics: Rows, shares: Floats, vectors: Floats, rows: Rows, weights: Floats, anchor: Floats, most: int, least: float
) -> Any:
    """Vectors (k, dim), shares (k,) and topics (k,) of the anchor's largest topics that items had belong to."""
    main = np.empty(len(rows), np.int64)
    for at in range(len(rows)):
        main[at] = _main_topic(topics, shares, rows[at])
    found, kept, count = np.zeros((most, vectors.shape[1]), np.float32), np.empty(most, np.int32), 0
    left = anchor.copy()
    for _ in range(min(most, len(anchor))):
        topic = int(left.argmax())
        if anchor[topic] < least:
            break
        left[topic] = -1.0
        for at in range(len(rows)):
            if main[at] == topic:
                kept[count] = topic
                for dim in range(vectors.shape[1]):
                    found[count, dim] += weights[at] * vectors[rows[at], dim]
        count += bool(np.any(main == topic))
    for place in range(count):
        squared = np.float32(0.0)
        for dim in range(vectors.shape[1]):
            squared += found[place, dim] * found[place, dim]
        found[place] /= max(np.float32(math.sqrt(squared)), np.float32(1e-12))
    kept = kept[:count].copy()
    parts = anchor[kept]
    return found[:count].copy(), parts / parts.sum(), kept


def _main_topic(topics: Rows, shares: Floats, row: int) -> Any:
    heaviest, main = np.float32(-1.0), np.int64(-1)
    for column in range(topics.shape[1]):
        if shares[row, column] > heaviest:
            heaviest, main = shares[row, column], np.int64(topics[row, column])
    return main


def _ripe(age_days: float, at_once: float, half_life_days: float) -> Any:
    return at_once + (1.0 - at_once) * (1.0 - 2.0 ** -((age_days / half_life_days) ** 2))


def _shown(row: int, shown_rows: Rows, shown_weights: Floats, shown_min: float) -> Any:
    found = False
    for at in range(len(shown_rows)):
        found |= shown_rows[at] == row and shown_weights[at] > shown_min
    return found
