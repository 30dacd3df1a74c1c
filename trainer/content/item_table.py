"""Item vectors as the encoder trains them: unit rows with lengths of their own underneath, moved row by row.

Adam that moves only the rows a batch touched ("lazy"), so that a catalogue of a million items costs a batch no more
than the items in it. Kingma & Ba, "Adam", ICLR 2015.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.content.content import unit

# How long the rows are at the start. Adam moves every row by about the same length, so short rows turn fast.
LENGTH = 0.25
DECAY1, DECAY2, EPSILON = 0.9, 0.999, 1e-8

Floats = npt.NDArray[np.float32]


class ItemTable:
    """Rows (n, d) and what their optimiser remembers."""

    def __init__(self, item_vectors: Floats) -> None:
        """item_vectors (n, d): where to start from."""
        self.rows = tf.Variable(unit(item_vectors) * LENGTH, name="items")
        self._moment1 = tf.Variable(tf.zeros_like(self.rows), name="items_moment1")
        self._moment2 = tf.Variable(tf.zeros_like(self.rows), name="items_moment2")
        self._steps = tf.Variable(0.0, name="items_steps")

    def move(self, touched: Any, rows: Any, gradient: Any, rate: Any) -> None:
        """One step of the rows at `touched` (t,), distinct; rows and gradient (t, d)."""
        self._steps.assign_add(1.0)
        first = DECAY1 * tf.gather(self._moment1, touched) + (1.0 - DECAY1) * gradient
        second = DECAY2 * tf.gather(self._moment2, touched) + (1.0 - DECAY2) * gradient * gradient
        self._moment1.scatter_update(tf.IndexedSlices(first, touched))
        self._moment2.scatter_update(tf.IndexedSlices(second, touched))
        unbiased1 = first / (1.0 - DECAY1**self._steps)
        unbiased2 = second / (1.0 - DECAY2**self._steps)
        moved = rows - rate * unbiased1 / (tf.sqrt(unbiased2) + EPSILON)
        self.rows.scatter_update(tf.IndexedSlices(moved, touched))
