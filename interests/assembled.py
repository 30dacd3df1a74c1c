"""The parts of a profile out of a state's columns (interests/profile.py) as one compiled call."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests import items_loop, loops
from interests.compiled import EXACT, compile_into, compiled, numba

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

MS_PER_DAY = 86_400_000
FIXED = "i2 f2 f2 d1 d1 q q d d d d d q d q"


class Fixed(NamedTuple):
    """What is the same for all users of a bundle: topics of items and vectors; strengths and half-lives (days) by
    action, the action that takes back, how many recent interactions a state holds; constants of interests/anchor.py
    (the first four) and of interests/profile.py."""

    topic_ids: Numbers
    topic_shares: Floats
    vectors: Floats
    strengths: Doubles
    half_lives: Doubles
    dislike: int
    recent_max: int
    at_once: float
    ripe_days: float
    prompted: float
    shown_min: float
    recent_days: float
    told_max: int
    told_share_min: float
    topic_count: int


class Table(NamedTuple):
    """Columns of a state, items by row (-1: unknown to the bundle). Recent interactions have no weights, what was
    shown has no actions."""

    rows: Numbers
    actions: Numbers
    weights: Doubles
    times_ms: Longs


TABLE = "i1w i1w d1w q1w"  # as whoever reads a state has just made them


class Parts(NamedTuple):
    """Fields of Profile; told_*: of its topic interests, none unless they were asked for."""

    item_rows: Numbers
    item_weights: Floats
    item_actions: Numbers
    item_times_ms: Longs
    blocked_rows: Numbers
    recent_rows: Numbers
    recent_times_ms: Longs
    recent_actions: Numbers
    anchor: Floats
    recent_mix: Floats
    exposure_mix: Floats
    exposure_weight: float
    entropy: float
    exposure_rows: Numbers
    exposure_weights: Floats
    told_vectors: Floats
    told_shares: Floats
    told_topics: Numbers


@lru_cache(maxsize=1)
def assembler() -> Callable[..., Parts] | None:
    """`assemble`, compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    loops.loops(), items_loop.had_loop()
    compile_into(globals(), dict.fromkeys(("_faded", "_recent", "_shown", "_lasting"), EXACT))
    made: Callable[..., Parts] = compiled(assemble, (Fixed, FIXED), "q", *3 * ((Table, TABLE),), "b")
    return made


def assemble(fixed: Fixed, last_event_ms: int, memories: Table, recent: Table, shown: Table, told: bool) -> Parts:
    """The parts of one user's profile. told: whether interests are told apart by topic"""
    faded = _faded(fixed, memories, last_event_ms)
    had = items_loop.had(memories.rows, memories.actions, faded, memories.times_ms, fixed.dislike)
    item_rows, weights, item_actions, item_times_ms, blocked = had
    recent_rows, recent_times_ms, recent_actions, ages_days = _recent(recent, last_event_ms)
    shown_rows, shown_weights = _shown(shown, _faded(fixed, shown, last_event_ms))
    lasting = _lasting(
        fixed, item_rows, weights, item_times_ms, recent_rows, ages_days, recent_actions, shown_rows, shown_weights
    )
    topics = (fixed.topic_ids, fixed.topic_shares)
    anchor = loops.mix(*topics, item_rows, lasting, fixed.topic_count)
    lately = (2.0 ** (-ages_days / fixed.recent_days)).astype(np.float32)
    vectors, shares, kept = np.zeros((0, 0), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32)
    if told and len(item_rows):
        wanted = (fixed.told_max, fixed.told_share_min)
        vectors, shares, kept = loops.topic_interests(*topics, fixed.vectors, item_rows, lasting, anchor, *wanted)
    total = np.float32(weights.astype(np.float64).sum())
    if total > 0:
        weights = weights / total
    return Parts(
        item_rows, weights, item_actions, item_times_ms, blocked, recent_rows, recent_times_ms, recent_actions,
        anchor, loops.mix(*topics, recent_rows, lately, fixed.topic_count),
        loops.mix(*topics, shown_rows, shown_weights, fixed.topic_count), np.float64(shown_weights.sum()),
        loops.entropy(anchor) if len(anchor) > 1 else 0.0, shown_rows, shown_weights, vectors, shares, kept,
    )  # fmt: skip


def _faded(fixed: Fixed, table: Table, now_ms: int) -> Doubles:
    """Sums as they stand at `now_ms`."""
    faded = np.empty(len(table.rows), np.float64)
    for at in range(len(faded)):
        elapsed_ms = max(now_ms - table.times_ms[at], 0)
        faded[at] = table.weights[at] * 2.0 ** (-elapsed_ms / (fixed.half_lives[table.actions[at]] * MS_PER_DAY))
    return faded


def _recent(recent: Table, now_ms: int) -> Any:
    """Rows, times, actions and ages in days of those that are known."""
    known = recent.rows >= 0
    times_ms = recent.times_ms[known]
    return recent.rows[known], times_ms, recent.actions[known], np.maximum(now_ms - times_ms, 0) / MS_PER_DAY


def _shown(shown: Table, faded: Doubles) -> Any:
    known = shown.rows >= 0
    return shown.rows[known], faded[known].astype(np.float32)


def _lasting(
    fixed: Fixed, rows: Numbers, weights: Floats, times_ms: Longs, recent_rows: Numbers, ages_days: Doubles,
    recent_actions: Numbers, shown_rows: Numbers, shown_weights: Floats,
) -> Floats:  # fmt: skip
    """Weights in the anchor (interests/anchor.py)."""
    if len(rows) == 0:
        return weights
    lasting = weights
    if len(recent_rows):
        lasting = loops.anchor_weights(
            rows, weights, recent_rows, ages_days, recent_actions, shown_rows, shown_weights, fixed.strengths,
            fixed.half_lives, fixed.recent_max, fixed.at_once, fixed.ripe_days, fixed.prompted, fixed.shown_min,
        )  # fmt: skip
    return lasting * loops.steady(fixed.topic_ids, fixed.topic_shares, rows, times_ms // MS_PER_DAY)
