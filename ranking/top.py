"""The largest values of a long array, faster than a full partition."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SAMPLE_STRIDE = 16
SAMPLED_FROM = 4096  # shorter arrays are partitioned at once


def top(values: Floats, count: int) -> Rows:
    """Rows of the `count` largest values, or of all, in no order; of equals at the edge those that come first.

    A sample's threshold first sets most values aside: one comparison each instead of a partition of them all. Where
    the sample misled, the whole is partitioned.
    """
    if count <= 0:
        return np.zeros(0, dtype=np.int64)
    if count >= len(values):
        return np.arange(len(values))
    if len(values) >= SAMPLED_FROM:
        sample = values[::SAMPLE_STRIDE]
        place = min(2 * count // SAMPLE_STRIDE + 8, len(sample))
        threshold = np.partition(sample, -place)[-place]
        passing = np.flatnonzero(values >= threshold)
        if count <= len(passing) < len(values) // 2:
            return passing[_largest(values[passing], count)]
    return _largest(values, count)


def _largest(values: Floats, count: int) -> Rows:
    if count == len(values):
        return np.arange(count)
    edge = np.partition(values, len(values) - count)[len(values) - count]
    above = np.flatnonzero(values > edge)
    return np.concatenate([above, np.flatnonzero(values == edge)[: count - len(above)]])
