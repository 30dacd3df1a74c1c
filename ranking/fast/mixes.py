"""What a slate is made of (ranking/topics.py), and which items had are most like its items (ranking/reasons.py)."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests.compiled import ANY_ORDER, compile_into, compiled, numba

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Topics = npt.NDArray[np.int32]

SMOOTHING = 0.01  # as in ranking/topics.py


class MixKernels(NamedTuple):
    """Compiled `made_of` and `alike`."""

    made_of: Callable[..., tuple[Rows, Floats, float]]
    alike: Callable[..., Rows]


@lru_cache(maxsize=1)
def mix_kernels() -> MixKernels | None:
    """Compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    compile_into(globals(), {"_product": ANY_ORDER})
    return MixKernels(compiled(made_of, "q1 i2 f2 f1"), compiled(alike, "f2 q1 q1 i1 q1 q"))


def made_of(rows: Rows, topics: Topics, shares: Floats, aim: Floats) -> Any:
    """Of these rows (-1: unknown) the main topics (n,), the mix (T,) and KL(aim || mix)."""
    main = np.full(len(rows), -1, np.int64)
    total = np.zeros(len(aim), np.float64)
    for place in range(len(rows)):
        heaviest = np.float32(-1.0)
        for column in range(topics.shape[1]):
            topic = topics[rows[place], column] if rows[place] >= 0 else -1
            if topic >= 0:
                total[topic] += shares[rows[place], column]
                if shares[rows[place], column] > heaviest:
                    heaviest, main[place] = shares[rows[place], column], topic
    mix = total.astype(np.float32)
    mass = mix.sum()
    if mass > 0:
        mix /= mass
    kl = 0.0
    for topic in range(len(aim)):
        if aim[topic] > 0:
            p, q = np.float64(aim[topic]), np.float64(mix[topic])
            kl += p * math.log(p / ((1.0 - SMOOTHING) * q + SMOOTHING * p))
    return main, mix, max(kl, 0.0)


def alike(vectors: Floats, rows: Rows, interests: Rows, had: Topics, serves: Rows, most: int) -> Rows:
    """For each row the items had of the same interest that are most like it, (n, most), -1 padded, equals by place.

    interests (n,): what each row serves, -1 for none; had (m,), serves (m,): the same of the items had. An interest
    that none of these serves is spoken for by all of them.
    """
    best = np.full((len(rows), most), -1, np.int64)
    likeness = np.empty(len(had), np.float32)
    for place in range(len(rows)):
        interest = interests[place]
        anyone = interest < 0 or not np.any(serves == interest)
        for at in range(len(had)):
            mine = anyone or serves[at] == interest
            likeness[at] = _product(vectors, rows[place], had[at]) if mine else -np.inf
        for rank in range(min(most, len(had))):
            nearest = int(likeness.argmax())
            if likeness[nearest] == -np.inf:
                break
            best[place, rank] = had[nearest]
            likeness[nearest] = -np.inf
    return best


def _product(vectors: Floats, one: int, other: int) -> Any:
    total = np.float32(0.0)
    for dim in range(vectors.shape[1]):
        total += vectors[one, dim] * vectors[other, dim]
    return total
