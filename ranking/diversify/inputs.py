"""What every method is given, checked and brought into relevance order."""

import math
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ranking.diversify.kernels import greedy_kernels
from ranking.diversify.residual import squared_lengths
from ranking.target import Target
from ranking.topics import Mixes

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


class Diversify(Protocol):
    """The signature of every method; see the package."""

    def __call__(
        self, relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float
    ) -> list[int]:
        """Places of the chosen candidates, best first."""


class Ordered(NamedTuple):
    """Candidates in relevance order, so that the first of equals is the more relevant.

    places (n,): where each stood in the input; size: how many to choose, at most n; squared (n,): the vectors' lengths
    """

    places: Places
    relevance: Floats
    vectors: Floats
    mixes: Mixes
    size: int
    squared: Floats

    def original(self, picks: npt.ArrayLike) -> list[int]:
        """The places in the input of these picks (numbers or a mask)."""
        chosen = np.asarray(picks)
        found: list[int] = self.places[chosen].tolist() if chosen.size else []
        return found


def ordered(relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float) -> Ordered:
    """Check the inputs and sort them by falling relevance, equals by place. Raises ValueError."""
    n, mix = len(relevance), target.mix
    if relevance.shape != (n,) or vectors.ndim != 2 or len(vectors) != n or mix.ndim != 1:
        raise ValueError(f"relevance {relevance.shape}, vectors {vectors.shape} and target {mix.shape} do not fit")
    if target.shown.shape != mix.shape:
        raise ValueError(f"a target of {mix.shape} and what was shown of {target.shown.shape} do not fit")
    if mixes.topics.shape != mixes.shares.shape or mixes.topics.ndim != 2 or len(mixes.topics) != n:
        raise ValueError(f"mixes of {mixes.topics.shape} and {mixes.shares.shape} do not fit {n} candidates")
    if mixes.topics.size and int(mixes.topics.max()) >= len(mix):
        raise ValueError(f"a candidate has topic {int(mixes.topics.max())}, the target has {len(mix)} topics")
    if size < 0 or not 0.0 <= diversity <= 1.0:
        raise ValueError(f"size is {size} and diversity {diversity}; give a size from 0 and a diversity from 0 to 1")
    places, falling = _falling(relevance)
    by_place, sorted_mixes, squared = _sorted(places, vectors, mixes)
    given = {"relevance": relevance, "vectors": squared, "mixes": mixes.shares, "target": mix, "shown": target.shown}
    # The sum of finite numbers is finite unless it overflows, and quicker to look at than each of them.
    with np.errstate(over="ignore", invalid="ignore"):
        broken = [name for name, array in given.items() if not math.isfinite(array.sum())]
    for name in broken:
        if not np.isfinite(vectors if name == "vectors" else given[name]).all():
            raise ValueError(f"{name} holds NaN or infinity")
    return Ordered(places, falling, by_place, sorted_mixes, min(size, n), squared)


def _falling(relevance: Floats) -> tuple[Places, Floats]:
    """Places by falling relevance, equals by place, and the relevance there. A sort that keeps the order of equals
    takes four times as long, so it is for where there are some."""
    places = np.argsort(-relevance)
    falling = relevance.take(places)
    if (falling[1:] == falling[:-1]).any():
        places = np.argsort(-relevance, kind="stable")
        falling = relevance.take(places)
    return places, falling


def _sorted(places: Places, vectors: Floats, mixes: Mixes) -> tuple[Floats, Mixes, Floats]:
    """Vectors and mixes in that order, and the vectors' squared lengths (n,)."""
    if (fast := greedy_kernels()) is not None:
        given = (vectors, np.float32), (mixes.topics, np.int32), (mixes.shares, np.float32)
        arrays = [array.astype(kind, "C", copy=False) for array, kind in given]
        by_place, topics, shares, squared = fast.sorted_rows(places, *arrays)
        return by_place, Mixes(topics, shares), squared
    by_place = vectors.take(places, axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        squared = squared_lengths(by_place)
    return by_place, Mixes(mixes.topics.take(places, axis=0), mixes.shares.take(places, axis=0)), squared


def unit_scale(relevance: Floats) -> Floats:
    """Relevance in order, moved to [0, 1]: 1 the best, 0 the worst, all 0 where all are equal."""
    if not len(relevance):
        return relevance
    low, high = float(relevance[-1]), float(relevance[0])
    if not high > low:
        return np.zeros_like(relevance)
    scaled: Floats = ((relevance.astype(np.float64) - low) / (high - low)).astype(np.float32)
    return scaled


def standard_scale(relevance: Floats) -> Floats:
    """Relevance less its mean, over its deviation; all 0 where all are equal."""
    deviation = float(relevance.std())
    centred: Floats = relevance - relevance.mean(dtype=np.float64).astype(np.float32)
    return centred / np.float32(deviation) if deviation > 0 else centred
