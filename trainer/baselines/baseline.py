"""What any personal ranking must beat: rankings that know little, and say so by their names.

A baseline scores all n items for a batch of pasts at once; what must not be shown is taken out by who asks.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from interests.absorb import MS_PER_DAY
from trainer.data import Events
from trainer.evaluation.moments import Past

Floats = npt.NDArray[np.float32]

FALLBACK = 1e-6  # popularity, among items that a user never had


class Baseline(Protocol):
    """One row of the table."""

    def scores(self, pasts: Sequence[Past]) -> Floats:
        """Scores (u, n) float32 of all items for each past, higher is better."""


class Random:
    """Another order for everyone who asks, the same for the same seed."""

    def __init__(self, item_count: int, seed: int) -> None:
        self._count, self._rng = item_count, np.random.default_rng(seed)

    def scores(self, pasts: Sequence[Past]) -> Floats:
        """Uniform noise (u, n)."""
        return self._rng.random((len(pasts), self._count), dtype=np.float32)


class Popular:
    """The same for everyone: how often an item was had, over the last `days` or from the start."""

    def __init__(self, events: Events, days: float | None = None) -> None:
        late = events.times_ms > events.cutoff_ms - (days or np.inf) * MS_PER_DAY
        self._counts = np.bincount(events.items[late], minlength=events.item_count).astype(np.float32)

    def scores(self, pasts: Sequence[Past]) -> Floats:
        """Counts (u, n)."""
        return np.tile(self._counts, (len(pasts), 1))


class Repeat:
    """What the user had, often and lately: sum over its events of 2^(-age / half-life); popular items after that."""

    def __init__(self, events: Events, half_life_days: float) -> None:
        counts = np.bincount(events.items, minlength=events.item_count).astype(np.float32)
        self._fallback = counts * np.float32(FALLBACK / max(float(counts.max(initial=0.0)), 1.0))
        self._half_life_days = half_life_days

    def scores(self, pasts: Sequence[Past]) -> Floats:
        """Faded counts (u, n)."""
        found = np.tile(self._fallback, (len(pasts), 1))
        for row, one in zip(found, pasts, strict=True):
            faded = np.exp2(-one.ages_days / self._half_life_days)
            row += np.bincount(one.items, weights=faded, minlength=len(row)).astype(np.float32)
        return found
