"""What a slate is held to (ranking/target.py) and its dial (ranking/dial.py), as plain loops for numba."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests import loops
from interests.compiled import EXACT, compile_into, compiled, numba

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int32]


class Aims(NamedTuple):
    """Compiled functions of this module."""

    aim: Callable[..., tuple[Floats, Floats, float]]
    owed: Callable[..., Floats]
    openness: Callable[..., float]


@lru_cache(maxsize=1)
def aims() -> Aims | None:
    """Compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    loops.loops()
    compile_into(globals(), dict.fromkeys(("_narrowing", "_entropy", "main_topic", "between", "dials"), EXACT))
    return Aims(
        compiled(aim, "f1 f1 f1 d q f1 d d d d d d"),
        compiled(owed, "f1 f1 q"),
        compiled(openness, "f1 i1 f1 i1 i2 f2 d"),
    )


def aim(
    anchor: Floats, recent_mix: Floats, exposure_mix: Floats, exposure_weight: float, known: int, catalogue: Floats,
    recent: float, floor: float, memory: float, narrowed_by: float, half_trust: float, half_trust_events: float,
) -> Any:  # fmt: skip
    """Mix (T,), what was shown (T,) and protection. known: recent interactions; catalogue (T,): the mix of who is
    unknown; the rest: constants of ranking/target.py"""
    shown = exposure_mix * np.float32(exposure_weight)
    has_anchor, has_recent = anchor.sum() > 0, recent_mix.sum() > 0
    if not has_anchor and not has_recent:
        return catalogue.copy(), shown, 1.0
    narrowed = _narrowing(anchor, recent_mix, known, half_trust_events)
    base = anchor.copy() if has_anchor else recent_mix.copy()
    if has_anchor and has_recent:
        share = recent * (1.0 - narrowed)
        base = np.float32(1.0 - share) * anchor + np.float32(share) * recent_mix
    for topic in range(len(base)):
        base[topic] = max(base[topic], min(np.float32(2.0) * base[topic], np.float32(floor)))
    remembered = memory * exposure_weight / (exposure_weight + half_trust)
    return base / base.sum(), shown, (1.0 + narrowed_by * narrowed * narrowed) * (1.0 + remembered)


def owed(mix: Floats, shown: Floats, size: int) -> Floats:
    """The mix (T,) of the next `size` places."""
    wanted = np.maximum((shown.sum() + np.float32(size)) * mix - shown, np.float32(0.0))
    total = wanted.sum()
    return wanted / total if total > 0 else mix.copy()


def openness(
    anchor: Floats, shown_rows: Numbers, shown_weights: Floats, item_rows: Numbers, topics: Numbers, shares: Floats,
    half_trust: float,
) -> float:  # fmt: skip
    """By how much rarer what the user takes is than what they are shown, in [-1, 1]."""
    most = np.float64(0.0)
    for share in anchor:
        most = max(most, np.float64(share))
    if most <= 0.0:
        return 0.0
    had = np.sort(item_rows)
    shown, taken, rare_shown, rare_taken = 0.0, 0.0, 0.0, 0.0
    for at in range(len(shown_rows)):
        topic = main_topic(topics, shares, shown_rows[at])
        if topic < 0:
            continue
        rarity, weight = 1.0 - np.float64(anchor[topic]) / most, np.float64(shown_weights[at])
        shown += weight
        rare_shown += rarity * weight
        place = np.searchsorted(had, shown_rows[at])
        if place < len(had) and had[place] == shown_rows[at]:
            taken += weight
            rare_taken += rarity * weight
    if taken <= 0.0:
        return 0.0
    return (rare_taken / taken - rare_shown / shown) * taken / (taken + half_trust)


def dials(default: float, factor: float, known_dials: Doubles, known_strengths: Doubles) -> Any:
    """The dial and the strength of a default that is turned by a personal factor."""
    dial = default
    if factor != 1.0:
        turned = min(1.0, between(default, known_dials, known_strengths) * factor)
        dial = between(turned, known_strengths, known_dials)
    return dial, between(dial, known_dials, known_strengths)


def between(value: float, known: Doubles, wanted: Doubles) -> Any:
    """`wanted` at `value`, straight between its neighbours in `known`; the ends exactly."""
    if value == 0.0 or value == 1.0:
        return value
    place = 1
    while place < len(known) - 1 and known[place] <= value:
        place += 1
    share = (value - known[place - 1]) / (known[place] - known[place - 1])
    return wanted[place - 1] + share * (wanted[place] - wanted[place - 1])


def _narrowing(anchor: Floats, recent_mix: Floats, known: int, half_trust_events: float) -> Any:
    breadth = _entropy(anchor)
    if breadth <= 0.0 or recent_mix.sum() <= 0:
        return 0.0
    return max(0.0, 1.0 - _entropy(recent_mix) / breadth) * known / (known + half_trust_events)


def _entropy(shares: Floats) -> Any:
    return loops.entropy(shares) if len(shares) > 1 else 0.0


def main_topic(topics: Numbers, shares: Floats, row: int) -> Any:
    """The heaviest topic of a row, -1 where it has none."""
    heaviest, main = np.float32(-1.0), np.int64(-1)
    for column in range(topics.shape[1]):
        if topics[row, column] >= 0 and shares[row, column] > heaviest:
            heaviest, main = shares[row, column], np.int64(topics[row, column])
    return main
