"""Who asks and what for: users by how much they did before, answers by how popular the item is."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trainer.evaluation.moments import Past

POPULARITY = ("head items", "middle items", "tail items")

Rows = npt.NDArray[np.integer]


def activity(pasts: Sequence[Past]) -> list[str]:
    """A name for each past: no event, or one of three bands that hold about as many of the others each."""
    counts = np.array([len(one.items) for one in pasts], dtype=np.int64)
    some = counts[counts > 0]
    low, high = (int(edge) for edge in np.percentile(some, [100 / 3, 200 / 3])) if len(some) else (0, 0)
    names = ("users with no event", f"users with 1–{low} events", f"{low + 1}–{high} events", f"over {high} events")
    names = (names[0], names[1], f"users with {names[2]}", f"users with {names[3]}")
    band = np.where(counts == 0, 0, 1 + (counts > low) + (counts > high))
    return [names[at] for at in band.tolist()]


def popularity(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Which of POPULARITY each item is in (n,): the most popular hold a third of the events, and so on."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    band = np.full(len(counts), 2, dtype=np.int64)
    band[order] = np.minimum(3 * before // max(int(counts.sum()), 1), 2)
    band[counts == 0] = 2
    return band
