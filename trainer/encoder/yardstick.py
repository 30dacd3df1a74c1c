"""How well queries in item space find what users turned to next: what training stops by, and what K is chosen by."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data import Events
from trainer.evaluation.metrics import expected_gain, ideal_gain

SIZE, DEEP = 10, 100
REPEATED_MIN = 0.1  # of what is asked for: where less was had before, what a user had is left out, as a ranking would

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Reading:
    """NDCG@10 and Recall@100, means over users; coverage@100: share of items in anyone's first hundred."""

    ndcg: float = 0.0
    recall: float = 0.0
    coverage: float = 0.0


class Yardstick:
    """Users with what they had and what they turned to."""

    def __init__(self, events: Events, relevant: Mapping[int, Rows]) -> None:
        """events: what was before; relevant: rows of what each user did next, by user row."""
        self.users = np.fromiter(relevant, dtype=np.int32)
        self._relevant = list(relevant.values())
        starts = np.searchsorted(events.users, self.users)
        ends = np.searchsorted(events.users, self.users, side="right")
        self._had = [np.unique(events.items[start:end]) for start, end in zip(starts, ends, strict=True)]
        asked = sum(len(rows) for rows in self._relevant)
        again = sum(len(np.intersect1d(*pair)) for pair in zip(self._relevant, self._had, strict=True))
        self.leaves_out_had = again < REPEATED_MIN * asked

    def read(self, queries: Floats, items: Floats) -> Reading:
        """queries (users, K, d), of which an item's score is its largest product; items (n, d)."""
        gains, recalls, shown = [], [], np.zeros(len(items), dtype=bool)
        deep = min(DEEP, len(items))
        for query, wanted, had in zip(queries, self._relevant, self._had, strict=True):
            scores = (items @ query.T).max(axis=1)
            if self.leaves_out_had:
                scores[had] = -np.inf
                wanted = np.setdiff1d(wanted, had)
            if not len(wanted):
                continue
            found = scores[wanted]
            above = (scores[None] > found[:, None]).sum(axis=1)
            level = (scores[None] == found[:, None]).sum(axis=1)
            gains.append(float(expected_gain(above, level, SIZE).sum()) / ideal_gain(len(wanted), SIZE))
            recalls.append(float((above < deep).mean()))
            shown[np.argpartition(-scores, deep - 1)[:deep]] = True
        if not gains:
            return Reading()
        return Reading(float(np.mean(gains)), float(np.mean(recalls)), float(shown.mean()))
