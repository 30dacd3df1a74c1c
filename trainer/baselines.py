"""Rankings that are the same for everyone: what any personal one must beat."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interests.absorb import MS_PER_DAY
from trainer.data import Events
from trainer.metrics import expected_gain, ideal_gain

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]

RECENT_DAYS = 7.0


@dataclass(frozen=True)
class Places:
    """For each relevant item how many items rank above it, and how many level with it, itself among them."""

    above: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]

    def ndcg(self, size: int) -> float:
        """NDCG at `size`, ties averaged."""
        ideal = ideal_gain(len(self.above), size)
        return float(expected_gain(self.above, self.level, size).sum()) / ideal if ideal else 0.0

    def recall(self, size: int) -> float:
        """Expected share among the first `size`, ties averaged."""
        if not len(self.above):
            return 0.0
        return float(np.clip((size - self.above) / self.level, 0.0, 1.0).mean())


class FixedRanking:
    """Items by one score, sorted once; what a user must not see is taken out afterwards."""

    def __init__(self, name: str, scores: Doubles) -> None:
        """scores (n,), higher is better; unavailable items at minus infinity."""
        self.name = name
        self._scores = scores
        self._ascending = np.sort(scores)
        self._best = np.argsort(-scores, kind="stable")

    def places(self, relevant: Rows, hidden: Rows) -> Places:
        """Where relevant items stand once `hidden` ones are gone; the two have nothing in common."""
        wanted = self._scores[relevant]
        above = len(self._scores) - np.searchsorted(self._ascending, wanted, side="right")
        level = len(self._scores) - above - np.searchsorted(self._ascending, wanted, side="left")
        gone = self._scores[hidden]
        above -= (gone[None] > wanted[:, None]).sum(axis=1)
        level -= (gone[None] == wanted[:, None]).sum(axis=1)
        return Places(above, level)

    def first(self, size: int, hidden: Rows) -> list[int]:
        """The best `size` rows, ties by row."""
        best = self._best[: size + len(hidden)]
        return [int(row) for row in best[~np.isin(best, hidden)][:size]]


def popular(events: Events, available: npt.NDArray[np.bool_]) -> FixedRanking:
    """By interactions over the whole of the events."""
    return FixedRanking("popular", _counts(events, np.ones(len(events), dtype=np.bool_), available))


def recent_popular(events: Events, available: npt.NDArray[np.bool_]) -> FixedRanking:
    """By interactions in the last week before the cut-off."""
    late = events.times_ms > events.cutoff_ms - RECENT_DAYS * MS_PER_DAY
    return FixedRanking("recent-popular", _counts(events, late, available))


def _counts(events: Events, mask: npt.NDArray[np.bool_], available: npt.NDArray[np.bool_]) -> Doubles:
    counts = np.bincount(events.items[mask], minlength=events.item_count).astype(np.float64)
    return np.where(available, counts, -np.inf)
