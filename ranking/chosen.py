"""Items that were chosen, before anyone has said why."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Items in their order.

    item_ids; rows (n,) int64, -1 where the bundle does not know the item; scores (n,) float32
    sources (n,) int8, numbers of Source; interests (n,) int64, -1 where the item serves none
    """

    item_ids: list[str]
    rows: Rows
    scores: Floats
    sources: npt.NDArray[np.int8]
    interests: Rows

    def __len__(self) -> int:
        return len(self.item_ids)

    def take(self, places: Rows) -> "Chosen":
        """These of them, in this order."""
        ids = [self.item_ids[place] for place in places.tolist()]
        return Chosen(ids, self.rows[places], self.scores[places], self.sources[places], self.interests[places])

    def followed_by(self, more: "Chosen") -> "Chosen":
        """These, then those."""
        return Chosen(
            self.item_ids + more.item_ids,
            np.concatenate([self.rows, more.rows]),
            np.concatenate([self.scores, more.scores]),
            np.concatenate([self.sources, more.sources]),
            np.concatenate([self.interests, more.interests]),
        )
