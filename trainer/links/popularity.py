"""How popular items are, on a scale that means the same in each catalogue."""

import numpy as np
import numpy.typing as npt

from interests.absorb import MS_PER_DAY
from trainer.data import Events

RECENT_HALF_LIFE_DAYS = 14.0

Floats = npt.NDArray[np.float32]


def recent_counts(events: Events, half_life_days: float = RECENT_HALF_LIFE_DAYS) -> npt.NDArray[np.float64]:
    """Interactions of each item (n,), faded by their age at the cut-off."""
    faded = 2.0 ** (-(events.cutoff_ms - events.times_ms) / MS_PER_DAY / half_life_days)
    return np.bincount(events.items, weights=faded, minlength=events.item_count).astype(np.float64)


def debuts(events: Events) -> Events:
    """Each user's first event with each item."""
    pairs = events.users.astype(np.int64) * events.item_count + events.items
    _, first = np.unique(pairs, return_index=True)
    return events.where(np.sort(first))


def log_share(counts: npt.NDArray[np.float64]) -> Floats:
    """Counts on a log scale, the largest 1."""
    scaled = np.log1p(counts)
    return (scaled / max(float(scaled.max(initial=0.0)), 1e-12)).astype(np.float32)
